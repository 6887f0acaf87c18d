"""Writes the Adjudicator's code, as the committed artifact of proto/evm has it, as C: artifact.py ARTIFACT.json OUT.c"""
import json
import sys


def array(name, bytes_):
    lines = [", ".join(f"0x{b:02x}" for b in bytes_[i:i + 20]) for i in range(0, len(bytes_), 20)]
    return f"const uint8_t {name}[] = {{\n" + ",\n".join(lines) + f"}};\nconst size_t {name}_len = sizeof {name};\n"


def main(path, out):
    with open(path, encoding="utf-8") as file:
        artifact = json.load(file)
    code = {"creation": artifact["bytecode"], "runtime": artifact["deployedBytecode"]}
    places = sorted((place["start"], place["length"]) for place in artifact["immutableReferences"])
    with open(out, "w", encoding="ascii") as file:
        file.write("/* Made by artifact.py from proto/evm/artifact/Adjudicator.json. */\n#include \"l1/evm/artifact.h\"\n")
        for name, digits in code.items():
            file.write(array(f"cd_artifact_{name}", bytes.fromhex(digits.removeprefix("0x"))))
        rows = ", ".join(f"{{{start}, {length}}}" for start, length in places)
        file.write(f"const cd_artifact_hole cd_artifact_holes[] = {{{rows}}};\n"
                   "const size_t cd_artifact_holes_len = sizeof cd_artifact_holes / sizeof cd_artifact_holes[0];\n")


main(*sys.argv[1:])
