"""Mutants: each NAME.patch in this folder breaks one rule of proto/protocol.md; something must notice.

    run.py            all of them
    run.py NAME...    only these, with what noticed
    run.py --table    README.md's table, made of the patches' headers

    mutant NAME: killed seed=S      the simulator fails in seed S
    mutant NAME: killed test=TEST   for what the simulator cannot see: this unit test fails
    control: seeds=S failed=0       without a mutant, the simulator passes the same seeds, and the tests pass
    mutants: killed=N of N

A patch begins with `rule: WHERE: what is broken`; `kill: unit PROGRAM TEST` below says which test of tests/unit/test_PROGRAM.c
is to notice. The exit status is 1 if a mutant survives, does not apply or does not compile, or if the control fails.

Everything happens in copies of the tree, one for each processor, each with a build folder of its own, so that a mutant
costs one object and a link.
"""
import argparse
import concurrent.futures
import dataclasses
import glob
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
COPIED = ("meson.build", "libchannel", "channeld", "proto", "tests")
SKIPPED = shutil.ignore_patterns("node_modules", "__pycache__", "corpus", "lib", "out", "cache")
OPTIONS = ("-Doptimization=1", "-Ddebug=false", "-Dwerror=false", "-Ddefault_library=static")
SEEDS = 4000  # a mutant that survives them has survived
PATIENCE = 600  # seconds


@dataclasses.dataclass
class Mutant:
    name: str
    rule: str
    files: list
    program: str = ""  # of tests/unit; empty: the simulator
    test: str = ""


class Broken(Exception):
    """A mutant that proves nothing: it does not apply, or does not compile, or nothing noticed it."""


def read(path):
    name = os.path.basename(path)[:-len(".patch")]
    with open(path) as file:
        text = file.read()
    rule, kill = re.match(r"rule: (.+)\n", text), re.search(r"^kill: unit (\w+) (\w+)$", text, re.M)
    files = re.findall(r"^\+\+\+ b/(\S+)$", text, re.M)
    if not rule or not files:
        raise Broken(f"{name}.patch begins with `rule: WHERE: what is broken`, a unified diff follows")
    return Mutant(name, rule[1], files, *(kill.groups() if kill else ()))


def output_of(argv, cwd=None, env=None):
    """(exit status, output); a program that does not end has status -1."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=PATIENCE)
    except subprocess.TimeoutExpired as late:
        return -1, f"{(late.stdout or b'').decode(errors='replace')}\nno end after {PATIENCE} s"
    return done.returncode, done.stdout


class Tree:
    """A copy of the sources with a build folder."""

    def __init__(self, folder):
        self.folder = folder
        self.build = os.path.join(folder, "build")
        os.makedirs(folder)
        for name in COPIED:
            of = os.path.join(ROOT, name)
            (shutil.copytree if os.path.isdir(of) else shutil.copy2)(
                of, os.path.join(folder, name), **({"ignore": SKIPPED} if os.path.isdir(of) else {}))
        status, text = output_of(["meson", "setup", *OPTIONS, self.build, folder])
        if status:
            raise Broken(f"meson setup failed:\n{text}")

    def ninja(self, program):
        status, text = output_of(["ninja", "--quiet", "-C", self.build, f"tests/{program}"])
        if status:
            raise Broken(f"does not compile:\n{text}")
        return os.path.join(self.build, "tests", program)

    def apply(self, mutant):
        path = os.path.join(HERE, f"{mutant.name}.patch")
        status, text = output_of(["patch", "-p1", "-F0", "-s", "-f", "--no-backup-if-mismatch", "-r", "-", "-i", path],
                                 cwd=self.folder)
        if status:
            raise Broken(f"no longer applies; make it anew: break the rule in {' '.join(mutant.files)} again, put `git diff "
                         f"-U1` of it below the header of tests/mutants/{mutant.name}.patch, and `git checkout` the "
                         f"file\n{text}")

    def restore(self, mutant):
        for name in mutant.files:
            shutil.copyfile(os.path.join(ROOT, name), os.path.join(self.folder, name))


def simulate(program, first, seeds):
    """(the first seed that fails or None, why)."""
    status, text = output_of([program, "--from", str(first), "--seeds", str(seeds), "--first"])
    failed = re.search(r"^# seed (\d+): (.*)", text, re.M)
    if status and not failed:
        raise Broken(f"the simulator did not come to an end, exit status {status}\n{text[-2000:]}")
    return (int(failed[1]), failed[2]) if failed else (None, "")


def unit(program, test):
    """Whether this test, or without a name any of the program, fails, and what the program says."""
    status, text = output_of([program], env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP"})
    if not test:
        return status != 0, text
    if not re.search(rf"^(not )?ok \d+ - {test}$", text, re.M):
        raise Broken(f"{os.path.basename(program)} has no result of {test}:\n{text[-2000:]}")
    return bool(re.search(rf"^not ok \d+ - {test}$", text, re.M)), text


def check(tree, mutant):
    """(what killed it, why)."""
    tree.apply(mutant)
    if mutant.test:
        failed, why = unit(tree.ninja(f"test_{mutant.program}"), mutant.test)
        if not failed:
            raise Broken(f"survives {mutant.test}")
        return f"test={mutant.test}", "\n".join(line for line in why.splitlines() if not line.startswith("ok "))
    seed, why = simulate(tree.ninja("sim"), 1, SEEDS)
    if seed is None:
        raise Broken(f"survives {SEEDS} seeds")
    return f"seed={seed}", why


def check_all(trees, mutants, loud):
    """The seeds that killed; prints a line for each mutant in their order."""
    free = queue.Queue()
    for tree in trees:
        free.put(tree)

    def one(mutant):
        tree = free.get()
        try:
            killer, why = check(tree, mutant)
            return f"killed {killer}", why if loud else "", killer
        except Broken as error:
            what, _, why = str(error).partition("\n")
            return what, why, ""
        finally:
            tree.restore(mutant)
            free.put(tree)

    killers = []
    with concurrent.futures.ThreadPoolExecutor(len(trees)) as pool:
        for mutant, (what, why, killer) in zip(mutants, pool.map(one, mutants)):
            print(f"mutant {mutant.name}: {what}", flush=True)
            for line in why.splitlines()[:40]:
                print(f"    | {line}", flush=True)
            killers += [killer] if killer else []
    return killers


def control(tree, killers, mutants):
    """Whether what killed the mutants is content without them."""
    last = max([int(k[len("seed="):]) for k in killers if k.startswith("seed=")], default=0)
    seed, why = simulate(tree.ninja("sim"), 1, last)
    print(f"control: seeds={last} failed={int(seed is not None)}", flush=True)
    if seed is not None:
        print(f"    | seed {seed}: {why}", flush=True)
    good = seed is None
    for program in sorted({m.program for m in mutants if m.program}):
        failed, text = unit(tree.ninja(f"test_{program}"), "")
        if failed:
            print(f"control: test_{program} fails\n{text}", flush=True)
            good = False
    return good


def table(mutants):
    """In the order of the specification."""
    def key(mutant):
        return [int(n) if n.isdigit() else n for n in re.split(r"(\d+)", mutant.rule)]
    rows = [(m.rule.partition(": "), f"`{m.name}`", f"`{m.test}`" if m.test else "simulator")
            for m in sorted(mutants, key=key)]
    return ["| rule | what the mutant does | mutant | killed by |", "|---|---|---|---|",
            *(f"| {where} | {what} | {name} | {by} |" for (where, _, what), name, by in rows)]


def in_readme(mutants):
    with open(os.path.join(HERE, "README.md")) as file:
        return "\n".join(table(mutants)) in file.read()


def main():
    parser = argparse.ArgumentParser(description="Breaks one rule at a time; something must notice.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--table", action="store_true", help="print README.md's table")
    options = parser.parse_args()
    every = [read(path) for path in sorted(glob.glob(os.path.join(HERE, "*.patch")))]
    if options.table:
        print("\n".join(table(every)))
        return 0
    chosen = [m for m in every if m.name in options.names] if options.names else every
    if len(chosen) < len(set(options.names)):
        print(f"mutants: the names are {' '.join(m.name for m in every)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="channel-mutants-") as folder:
        workers = min(os.cpu_count() or 1, len(chosen))
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            trees = list(pool.map(Tree, [os.path.join(folder, str(i)) for i in range(workers)]))
        killers = check_all(trees, chosen, bool(options.names))
        good = control(trees[0], killers, chosen)
    listed = in_readme(every)
    if not listed:
        print("mutants: the table in tests/mutants/README.md is old; `run.py --table` prints it")
    print(f"mutants: killed={len(killers)} of {len(chosen)}", flush=True)
    return 0 if good and listed and len(killers) == len(chosen) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as broken:
        sys.exit(f"mutants: {broken}")
