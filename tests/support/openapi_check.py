"""Checks JSON against proto/openapi.yaml: the part of JSON Schema that the file uses, and nothing else.

    spec = Spec()
    problems = spec.response("get", "/v1/info", 200, body)   # [] if the body is what the file promises
"""
import os
import re

import yaml

PATH = os.path.join(os.path.dirname(__file__), "..", "..", "proto", "openapi.yaml")
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
KNOWN = {"type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "items",
         "required", "properties", "additionalProperties", "oneOf", "$ref", "default", "description", "examples"}


def is_type(value, name):
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


class Spec:
    def __init__(self, path=PATH):
        with open(path, encoding="utf-8") as file:
            self.doc = yaml.safe_load(file)

    def deref(self, node):
        while "$ref" in node:
            target = self.doc
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = {**target, **{k: v for k, v in node.items() if k != "$ref"}}
        return node

    def operations(self):
        """(method, path, operation, parameters) of everything."""
        for path, item in self.doc["paths"].items():
            for method, operation in item.items():
                if method != "parameters":
                    parameters = [self.deref(p) for p in item.get("parameters", []) + operation.get("parameters", [])]
                    yield method, path, operation, parameters

    def operation(self, method, path):
        """The operation that serves a real path."""
        path = path.split("?")[0]
        for candidate, template, operation, _ in self.operations():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            if candidate == method.lower() and re.fullmatch(pattern, path):
                return operation
        return None

    def response(self, method, path, status, body):
        """What is wrong with a response: a list of sentences."""
        operation = self.operation(method, path)
        if operation is None:
            return [f"there is no {method.upper()} {path} in openapi.yaml"]
        response = operation["responses"].get(str(status))
        if response is None:
            return [f"{operation['operationId']} has no status {status} in openapi.yaml"]
        schema = self.deref(response)["content"]["application/json"]["schema"]
        return list(self.violations(schema, body, operation["operationId"]))

    def violations(self, schema, value, where="value"):
        """One sentence for each way in which the value breaks the schema."""
        schema = self.deref(schema)
        unknown = set(schema) - KNOWN
        if unknown:
            raise ValueError(f"{where}: openapi_check.py does not know {', '.join(sorted(unknown))}")
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(is_type(value, t) for t in types):
            yield f"{where} is {value!r}, not {' or '.join(types)}"
            return
        if "enum" in schema and value not in schema["enum"]:
            yield f"{where} is {value!r}, not one of {schema['enum']}"
        if "oneOf" in schema:
            fits = [not list(self.violations(s, value, where)) for s in schema["oneOf"]]
            if sum(fits) != 1:
                yield f"{where} fits {sum(fits)} of the {len(fits)} schemas of its oneOf: {value!r}"
        yield from self._sizes(schema, value, where)
        if isinstance(value, dict):
            yield from self._object(schema, value, where)
        if isinstance(value, list) and "items" in schema:
            for i, item in enumerate(value):
                yield from self.violations(schema["items"], item, f"{where}[{i}]")

    def _sizes(self, schema, value, where):
        if isinstance(value, str):
            if "pattern" in schema and not re.search(schema["pattern"], value):
                yield f"{where} is {value!r}, which {schema['pattern']} does not match"
            size, low, high = len(value), "minLength", "maxLength"
        elif isinstance(value, list):
            size, low, high = len(value), "minItems", "maxItems"
        elif is_type(value, "integer"):
            size, low, high = value, "minimum", "maximum"
        else:
            return
        if size < schema.get(low, size) or size > schema.get(high, size):
            yield f"{where} is {value!r}, outside {schema.get(low)} to {schema.get(high)}"

    def _object(self, schema, value, where):
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in value:
                yield f"{where} has no {name}"
        for name, item in value.items():
            if name in properties:
                yield from self.violations(properties[name], item, f"{where}.{name}")
            elif schema.get("additionalProperties") is False:
                yield f"{where} has {name}, which openapi.yaml does not"
