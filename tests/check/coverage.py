"""What the library's unit tests and the simulator reach of it: coverage.py BUILD_DIR.

BUILD_DIR is built with -Db_coverage=true and without optimisation, so that the branches are those of the source: each side
of every condition within a condition, each case of a switch and the way past all of them. Every one of them counts;
nothing is filtered, and a switch over an enum is only complete once a value that is none of it was tried, too.

A line that nothing can reach says /* never: why */ and does not count, with all that is on it. Each is printed, and it is
an error if a test reaches all of it. The last line is

    coverage: lines=P% (N of N) branches=P% (N of N) excluded=P% (N of N)
"""
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
LEAST_LINES, LEAST_BRANCHES, MOST_EXCLUDED = 95.0, 90.0, 1.0
SEEDS = 600
NEVER = re.compile(r"/\* never:\s*(.*?)\s*\*/")


def run_tests(build):
    """Runs what is measured, from zero; the sentences of what failed."""
    for counters in glob.glob(f"{build}/**/*.gcda", recursive=True):
        os.remove(counters)
    for notes in glob.glob(f"{build}/**/*.gcno", recursive=True):
        if not os.path.exists(notes.removesuffix("gcno") + "o"):  # of a source that is no longer built
            os.remove(notes)
    cpus = os.cpu_count() or 1
    share = SEEDS // cpus
    runs = [["meson", "test", "-C", build, "--no-rebuild", "-q", "--suite", "library", "--num-processes", str(cpus)]]
    runs += [[f"{build}/tests/sim", "--seeds", str(share), "--from", str(first)] for first in range(0, share * cpus, share)]
    with concurrent.futures.ThreadPoolExecutor(cpus) as pool:
        done = pool.map(lambda argv: subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True), runs)
    return [f"{' '.join(run.args)} failed:\n{run.stdout}" for run in done if run.returncode]


def measure(build):
    """For each file its lines that are code, by number: how often it ran, and how often each of its branches."""
    report = subprocess.run(["gcovr", "--root", ROOT, "--filter", f"{ROOT}/libchannel/", "--no-markers", "--json", "-", build],
                            check=True, stdout=subprocess.PIPE, cwd=build).stdout
    return {file["file"]: {line["line_number"]: (line["count"], [branch["count"] for branch in line["branches"]])
                           for line in file["lines"] if not line["gcovr/noncode"]}
            for file in json.loads(report)["files"]}


def exclude(name, code):
    """Takes the lines with a mark out of `code` and prints them; (how many, the sentences of wrong marks)."""
    with open(f"{ROOT}/{name}") as file:
        marked = {number: mark[1] for number, mark in enumerate(map(NEVER.search, file), 1) if mark}
    wrong = []
    for number, why in marked.items():
        count, branches = code.pop(number, (1, []))
        print(f"excluded {name}:{number}: {why}")
        if not why or (count and all(branches)):
            wrong.append(f"{name}:{number}: " + ("the mark is not needed" if why else "the mark does not say why"))
    return len(marked), wrong


def print_unreached(name, code):
    lines = [str(number) for number, (count, _) in code.items() if not count]
    branches = [str(number) for number, (count, branches) in code.items() if count and not all(branches)]
    for what, numbers in (("lines", lines), ("branches in lines", branches)):
        if numbers:
            print(f"unreached {name} {what} {' '.join(numbers)}")


def share(part, whole):
    return 100 * part / whole if whole else 0.0


def report(files):
    """Prints all of it; the sentences of what is not as it should be."""
    excluded, wrong = 0, []
    for name, code in sorted(files.items()):
        n, sentences = exclude(name, code)
        excluded += n
        wrong += sentences
    for name, code in sorted(files.items()):
        print_unreached(name, code)
    lines = [count for code in files.values() for count, _ in code.values()]
    branches = [count for code in files.values() for _, counts in code.values() for count in counts]
    figures = {"lines": (sum(map(bool, lines)), len(lines)), "branches": (sum(map(bool, branches)), len(branches)),
               "excluded": (excluded, len(lines) + excluded)}
    if share(*figures["lines"]) < LEAST_LINES:
        wrong.append(f"less than {LEAST_LINES} % of the lines are reached")
    if share(*figures["branches"]) < LEAST_BRANCHES:
        wrong.append(f"less than {LEAST_BRANCHES} % of the branches are reached")
    if share(*figures["excluded"]) > MOST_EXCLUDED:
        wrong.append(f"more than {MOST_EXCLUDED} % of the lines are excluded")
    print("coverage: " + " ".join(f"{name}={share(*n):.1f}% ({n[0]} of {n[1]})" for name, n in figures.items()))
    return wrong


def main(build):
    build = os.path.abspath(build)
    wrong = run_tests(build) or report(measure(build))
    for sentence in wrong:
        print(f"coverage: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
