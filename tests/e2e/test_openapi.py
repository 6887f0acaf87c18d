"""proto/openapi.yaml is right in itself, and says the same as the API's table of routes. Prints TAP."""
import json
import os
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from openapi_check import Spec  # noqa: E402

BUILD = os.environ.get("BUILD_DIR", os.path.join(ROOT, "build"))
UNBOUNDED = 2**63 - 1


def content_examples(spec, node, where):
    """(schema, example, where) of a request's or response's content."""
    media = spec.deref(node).get("content", {}).get("application/json")
    if media and "example" in media:
        yield media["schema"], media["example"], where
    for name, example in (media or {}).get("examples", {}).items():
        yield media["schema"], example["value"], f"{where} {name}"


def every_example(spec):
    for _, _, operation, _ in spec.operations():
        name = operation["operationId"]
        yield from content_examples(spec, operation.get("requestBody", {}), f"{name} request")
        for status, response in operation["responses"].items():
            yield from content_examples(spec, response, f"{name} {status}")


def examples_fit(spec):
    """Every example fits its schema."""
    found = 0
    for schema, example, where in every_example(spec):
        found += 1
        yield from spec.violations(schema, example, where)
    if found < 50:
        yield f"only {found} examples were found"


def statuses(spec):
    """Every operation names the errors that any request can end with, and has one success."""
    for _, _, operation, _ in spec.operations():
        missing = {"400", "401", "421", "429", "500", "503"} - set(operation["responses"])
        if missing:
            yield f"{operation['operationId']} lacks {sorted(missing)}"
        if not any(s in operation["responses"] for s in ("200", "202")):
            yield f"{operation['operationId']} never succeeds"


def body_fields(spec, schema):
    """{name: (schema, required)} of an object; for oneOf, of all its forms together."""
    fields = {}
    for form in schema.get("oneOf", [schema]):
        for name, item in form.get("properties", {}).items():
            fields[name] = (spec.deref(item), name in form.get("required", []))
    return fields


def documented(spec, operation, parameters):
    """{(place, name): (schema, required)}"""
    fields = {(p["in"], p["name"]): (spec.deref(p["schema"]), p.get("required", False)) for p in parameters}
    body = operation.get("requestBody")
    if body:
        schema = body["content"]["application/json"]["schema"]
        fields |= {("body", name): field for name, field in body_fields(spec, schema).items()}
    return fields


def compare_field(spec, field, schema, required, where):
    """The table's row and the file's schema allow the same."""
    alternative = schema.get("type") == "array" and field["type"] == "list"
    if field["required"] != required and not alternative:
        yield f"{where}: required is {field['required']} in routes.c, {required} in openapi.yaml"
    kind = field["type"]
    expected = {"text": "string", "amount": "string", "integer": "integer", "flag": "boolean", "list": "array"}.get(kind)
    if schema.get("type") != expected:
        yield f"{where}: {kind} in routes.c, {schema.get('type')} in openapi.yaml"
    if kind == "integer" and (field["min"], field["max"]) != (schema.get("minimum"), schema.get("maximum", UNBOUNDED)):
        yield f"{where}: {field['min']} to {field['max']} in routes.c, not in openapi.yaml"
    if kind == "list":
        if (field["min"], field["max"]) != (schema.get("minItems"), schema.get("maxItems")):
            yield f"{where}: {field['min']} to {field['max']} items in routes.c, not in openapi.yaml"
        inner = {("body", n): f for n, f in body_fields(spec, schema["items"]).items()}
        yield from compare_fields(spec, field["items"], inner, where)
    if kind == "word" and field["words"].split() != schema.get("enum"):
        yield f"{where}: {field['words']} in routes.c, {schema.get('enum')} in openapi.yaml"


def compare_fields(spec, fields, promised, where):
    taken = {(f["place"], f["name"]): f for f in fields}
    yield from (f"{where}: {key} is only in routes.c" for key in taken.keys() - promised.keys())
    yield from (f"{where}: {key} is only in openapi.yaml" for key in promised.keys() - taken.keys())
    for key in taken.keys() & promised.keys():
        yield from compare_field(spec, taken[key], *promised[key], f"{where} {key[1]}")


def same_routes(spec):
    """The table of routes and the file have the same methods, paths, names and arguments."""
    dump = subprocess.run([os.path.join(BUILD, "tests", "routes_dump")], check=True, capture_output=True)
    table = {(r["method"].lower(), r["path"]): r for r in json.loads(dump.stdout)}
    promised = {(m, p): (o, q) for m, p, o, q in spec.operations()}
    yield from (f"{key} is only in routes.c" for key in table.keys() - promised.keys())
    yield from (f"{key} is only in openapi.yaml" for key in promised.keys() - table.keys())
    for key in table.keys() & promised.keys():
        operation, parameters = promised[key]
        if table[key]["command"] != operation["operationId"]:
            yield f"{key} is {table[key]['command']} in routes.c, {operation['operationId']} in openapi.yaml"
        yield from compare_fields(spec, table[key]["fields"], documented(spec, operation, parameters), operation["operationId"])


def checker_refuses(spec):
    """The checker itself says no to what is wrong."""
    good = {"code": "a", "message": "b", "hint": "c"}
    for broken in ({"code": "a"}, {**good, "x": 1}, {**good, "message": 1}, {**good, "code": "A"}, [], None):
        if spec.response("get", "/v1/info", 401, good) or not spec.response("get", "/v1/info", 401, broken):
            yield f"{broken} passed"
    if not spec.response("get", "/v1/info", 299, good) or not spec.response("get", "/v1/nothing", 200, good):
        yield "an unknown status or path passed"


def main():
    spec, failed = Spec(), 0
    checks = (examples_fit, statuses, same_routes, checker_refuses)
    for check in checks:
        problems = list(check(spec))
        failed += bool(problems)
        print(f"{'not ok' if problems else 'ok'} openapi {check.__name__.replace('_', ' ')}")
        for problem in problems[:20]:
            print(f"# {problem}")
    print(f"1..{len(checks)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
