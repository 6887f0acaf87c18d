"""Shows that each rule of rules.py passes on a small clean repository and fails on each violation made on purpose."""
import os
import shutil
import subprocess
import sys
import tempfile

import rules

HERE = os.path.dirname(os.path.abspath(__file__))
HEADER = """#ifndef CHANNEL_A_H
#define CHANNEL_A_H

#define CH_API __attribute__((visibility("default")))

CH_API int ch_a(int x);

#endif
"""
CLEAN = {
    "libchannel/include/channel/a.h": HEADER,
    "libchannel/src/a.h": "#include <secp256k1.h>\n",
    "libchannel/src/a.c": '#include "channel/a.h"\n#include "a.h"\n#include "peer.pb.h"\n\nint ch_a(int x) {\n  return x;\n}\n',
    "channeld/ports.h": "#include <channel/a.h>\n",
    "channeld/util/u.h": "#include <time.h>\n",
    "channeld/net/n.h": '#include "channel/a.h"\n#include "ports.h"\n#include "util/u.h"\n',
    "channeld/net/n.c": '#include "net/n.h"\n',
    "channeld/store/s.h": '#include "ports.h"\n',
    "channeld/l1/sql.h": '#include "util/u.h"\n',
    "channeld/l1/dev/d.h": '#include "l1/sql.h"\n',
    "channeld/l1/evm/e.h": '#include "l1/sql.h"\n',
    "channeld/cli/c.c": '#include "util/u.h"\n#include <stdio.h>\n',
    "channeld/main.c": '#include "net/n.h"\n#include "store/s.h"\n',
    "scripts/run": "#!/usr/bin/env bash\necho run\n",
    "tests/check/long.allow": "libchannel/src/allowed.c:f # reason\n",
}
LONG = "int ch_a(int x) {\n" + "  x++;\n" * 59 + "  return x;\n}\n"
INCLUDE = "include directions"

# What is done on purpose: (the rule that must fail, file, text that it gets)
VIOLATIONS = [
    (INCLUDE, "channeld/net/n.c", '#include "store/s.h"\n'),
    (INCLUDE, "channeld/net/n.c", '#include "../store/s.h"\n'),
    (INCLUDE, "channeld/net/n.c", '#include "../../libchannel/src/a.h"\n'),
    (INCLUDE, "channeld/l1/evm/e.h", '#include "l1/dev/d.h"\n'),
    (INCLUDE, "channeld/l1/sql.h", '#include "l1/dev/d.h"\n'),
    (INCLUDE, "channeld/main.c", '#include "../libchannel/src/a.h"\n'),
    (INCLUDE, "channeld/cli/c.c", '#include "ports.h"\n'),
    (INCLUDE, "channeld/util/u.h", '#include "ports.h"\n'),
    (INCLUDE, "channeld/util/u.h", '#include "absent.h"\n'),
    (INCLUDE, "channeld/ports.h", '#include "net/n.h"\n'),
    (INCLUDE, "libchannel/src/a.h", '#include "util/u.h"\n'),
    (INCLUDE, "libchannel/src/a.h", "#include <stdio.h>\n"),
    (INCLUDE, "libchannel/src/a.h", "#include <nng/nng.h>\n"),
    (INCLUDE, "libchannel/include/channel/a.h", HEADER + "#include <sodium.h>\n"),
    ("undefined symbols", "libchannel/src/a.c", "int puts(const char *);\nint ch_a(int x) {\n  return puts(\"\") + x;\n}\n"),
    ("undefined symbols", "libchannel/src/a.c", "long time(long *);\nint ch_a(int x) {\n  return (int)time(0) + x;\n}\n"),
    ("undefined symbols", "libchannel/src/a.c", "void randombytes_buf(void *, unsigned long);\n"
                                                "int ch_a(int x) {\n  randombytes_buf(&x, 4);\n  return x;\n}\n"),
    ("exported symbols", "libchannel/src/a.c", "int ch_a(int x) {\n  return x;\n}\nint other(void) {\n  return 1;\n}\n"),
    ("exported symbols", "libchannel/src/a.c", "int ch_a(int x) {\n  return x;\n}\nint ch_b(void) {\n  return 1;\n}\n"),
    ("exported symbols", "libchannel/src/a.c", "static int ch_a(int x) {\n  return x;\n}\nint (*ch_b)(int) = ch_a;\n"),
    ("public headers", "libchannel/include/channel/a.h", HEADER + "uint8_t ch_x(void);\n"),
    ("public headers", "libchannel/include/channel/a.h", HEADER + "int ch_x(int class);\n"),
    ("formatting", "libchannel/src/a.c", "int ch_a( int x ) { return x; }\n"),
    ("sizes", "libchannel/src/long.c", LONG),
    ("sizes", "libchannel/src/long.c", "int x;\n" * 801),
    ("sizes", "tests/vectors/long.js", "function f(x) {\n" + "  x++;\n" * 60 + "}\n"),
    ("open marks", "README.md", "TO" + "DO: write this\n"),
    ("scripts", "scripts/run", "#!/usr/bin/env bash\nif true; then\n"),
    ("scripts", "scripts/run", "#!/usr/bin/env bash\ncd $1\n"),
    ("scripts", "scripts/run.py", "def f(:\n"),
]
ALLOWED = {"libchannel/src/allowed.c": LONG.replace("ch_a", "f")}


def write(root, files):
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)


def build(root):
    """libchannel.a and libchannel.so of the fixture, as far as nm is concerned."""
    out = os.path.join(root, "build", "libchannel")
    os.makedirs(out)
    code = subprocess.run(["sed", "/#include/d", f"{root}/libchannel/src/a.c"], capture_output=True, check=True).stdout
    flags = ["gcc", "-w", "-O1", "-fno-builtin", "-fPIC", "-x", "c", "-"]
    subprocess.run([*flags, "-c", "-o", f"{out}/a.o"], input=code, check=True)
    subprocess.run(["ar", "rc", f"{out}/libchannel.a", f"{out}/a.o"], check=True)
    subprocess.run(["gcc", "-shared", "-o", f"{out}/libchannel.so", f"{out}/a.o"], check=True)


def broken_rules(change):
    """The names of the rules that fail on the clean repository with these files changed."""
    with tempfile.TemporaryDirectory() as root:
        write(root, {**CLEAN, **change})
        shutil.copy(os.path.join(HERE, "symbols.allow"), os.path.join(root, "tests/check"))
        shutil.copy(os.path.join(HERE, "../../.clang-format"), root)
        wants_build = any(name == "libchannel/src/a.c" for name in change) or not change
        if wants_build:
            build(root)
        repo = rules.Repo(root, os.path.join(root, "build"))
        checked = [r for r in rules.RULES if wants_build or not r.__name__.endswith("_symbols")]
        return [r.__name__.replace("_", " ") for r in checked if list(r(repo))]


def main():
    results = [("a clean repository passes", broken_rules({}) == []),
               ("a function on the list may be long", broken_rules(ALLOWED) == [])]
    for number, (rule, name, text) in enumerate(VIOLATIONS, 1):
        results.append((f"{rule} fails, violation {number}", rule in broken_rules({name: text})))
    for name, good in results:
        print(f"{'ok' if good else 'not ok'} {name}")
    print(f"1..{len(results)}")
    return 0 if all(good for _, good in results) else 1


if __name__ == "__main__":
    sys.exit(main())
