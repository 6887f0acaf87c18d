"""Shows that coverage.py can fail: each case of a small source with its counters, and what is to be said of it."""
import contextlib
import io
import os
import sys
import tempfile

import coverage

LINES = 200
REACHED, HALF, NEVER_RUN = (1, [1, 1]), (1, [1, 0]), (0, [])

# name: (marks by line, counters of lines that differ from REACHED, what the only sentence begins with)
CASES = {
    "all is reached": ({}, {}, None),
    "goals are just met": ({}, {**{n: NEVER_RUN for n in range(1, 11)}, **{n: HALF for n in range(11, 49)}}, None),
    "too few lines": ({}, {n: NEVER_RUN for n in range(1, 12)}, "less than 95.0 % of the lines"),
    "too few branches": ({}, {n: HALF for n in range(1, 42)}, "less than 90.0 % of the branches"),
    "an exclusion with a reason": ({7: "/* never: because */"}, {7: NEVER_RUN}, None),
    "an exclusion without a reason": ({7: "/* never: */"}, {7: NEVER_RUN}, "source.c:7: the mark does not say why"),
    "an exclusion of what is reached": ({7: "/* never: so they say */"}, {}, "source.c:7: the mark is not needed"),
    "an exclusion of a branch": ({7: "/* never: because */"}, {7: HALF}, None),
    "too many exclusions": ({n: "/* never: because */" for n in (1, 2, 3)}, {n: NEVER_RUN for n in (1, 2, 3)},
                            "more than 1.0 % of the lines"),
}


def check(marks, counters, expected):
    code = {n: counters.get(n, REACHED) for n in range(1, LINES + 1)}
    with open(os.path.join(coverage.ROOT, "source.c"), "w") as file:
        file.writelines(f"code(); {marks.get(n, '')}\n" for n in range(1, LINES + 1))
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        wrong = coverage.report({"source.c": code})
    if "coverage: lines=" not in output.getvalue():
        return False
    return not wrong if expected is None else len(wrong) == 1 and wrong[0].startswith(expected)


def main():
    failures = 0
    print(f"1..{len(CASES)}")
    with tempfile.TemporaryDirectory() as coverage.ROOT:
        for number, (name, case) in enumerate(CASES.items(), 1):
            good = check(*case)
            failures += not good
            print(f"{'ok' if good else 'not ok'} {number} - coverage: {name}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
