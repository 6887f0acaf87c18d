"""The model of the update protocol, proto/model, checked with spin: model.py [--long] [NAME...].

Three kinds of lines, and a fourth at the end of a whole run; the exit status is 1 if one of them is not as it should be.

    model NAME: states=N depth=N errors=0 complete=yes    a run over all reachable states
    model NAME: caught=yes                                a broken variant, found by a claim
    model reach: lines=N allowed=N unreached=0            statements that some run has executed

Only whole searches count: a stack, a memory or a time that was too small is an error. Each statement must be reached in
some run, unless its line says /* never: why */; such a line must not be reached.
"""
import concurrent.futures
import dataclasses
import os
import re
import subprocess
import sys
import tempfile

MODEL = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "proto", "model"))
STATES = ["-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE"]  # every step touches what both sides share: there is nothing to reduce
CYCLES = ["-DNP", "-DNOREDUCE", "-DCOLLAPSE"]
MEGABYTES = 6000
STACK = 4000000
COLLECTED = r"unreached in (?:proctype )?(\w+)\n((?:\t.*\n)*)"


@dataclasses.dataclass
class Run:
    name: str
    model: str
    defines: str
    broken: str = ""  # a claim must fail
    cycles: bool = False  # look for executions without an end instead
    reach: bool = False  # statement by statement, to see which are reached
    long: bool = False

    def argv(self):
        names = self.defines.split() + ([self.broken] if self.broken else []) + (["ATOMIC"] if self.reach else [])
        return [f"-D{name}" for name in names]


def broken(name, model, defines, mistake):
    return Run(name, model, defines, broken=mistake)


RUNS = [
    # Two honest parties.
    Run("pair", "pair", "OPS0=3 OPS1=48 FAULTS=1"),
    Run("pair-shutdown", "pair", "OPS0=7 OPS1=144 FAULTS=1"),
    Run("pair-split", "pair", "OPS0=3 OPS1=16 FAULTS=1 SPLIT"),
    Run("pair-ends", "pair", "OPS0=3 OPS1=144 FAULTS=1", cycles=True),
    Run("restore", "pair", "OPS0=3 OPS1=16 FAULTS=1 RESTORE VICTIM=0"),
    Run("restore-silent", "pair", "OPS0=3 OPS1=16 FAULTS=1 RESTORE SILENT VICTIM=0"),
    Run("restore-silent-1", "pair", "OPS0=3 OPS1=16 FAULTS=1 RESTORE SILENT VICTIM=1"),
    Run("restore-ends", "pair", "OPS0=1 OPS1=16 FAULTS=1 RESTORE SILENT VICTIM=1", cycles=True),
    # One honest party and a liar.
    Run("liar", "liar", "ME=0 OPS=3 THEIRS=208 TOP=5"),
    Run("liar-1", "liar", "ME=1 OPS=16 THEIRS=7 TOP=5"),
    # Which statements are reached.
    Run("reach-pair", "pair", "OPS0=3 OPS1=208 FAULTS=1", reach=True),
    Run("reach-split", "pair", "OPS0=1 OPS1=16 FAULTS=1 SPLIT", reach=True),
    Run("reach-restore", "pair", "OPS0=1 OPS1=16 FAULTS=1 RESTORE VICTIM=0", reach=True),
    Run("reach-silent", "pair", "OPS0=3 OPS1=16 FAULTS=1 RESTORE SILENT VICTIM=1", reach=True),
    Run("reach-liar", "liar", "ME=1 OPS=208 THEIRS=5 TOP=3", reach=True),
    # A bound that is exact, and what must be caught.
    broken("bound-2", "pair", "OPS0=3 OPS1=16 FAULTS=0", "REACH=2"),
    broken("bound-2-liar", "liar", "ME=0 OPS=3 THEIRS=208 TOP=5", "REACH=2"),
    broken("any-higher-accepted", "liar", "ME=0 OPS=3 THEIRS=208 TOP=5", "BROKEN_ANY_HIGHER"),
    broken("refusal-takes-next-own", "pair", "OPS0=3 OPS1=16 FAULTS=1", "BROKEN_REFUSE_NEXT"),
    broken("late-accept-adopted", "liar", "ME=0 OPS=3 THEIRS=208 TOP=5", "BROKEN_LATE_ACCEPT"),
    broken("failed-too-early", "pair", "OPS0=3 OPS1=16 FAULTS=1", "BROKEN_FAIL_EARLY"),
    broken("send-before-persist", "pair", "OPS0=3 OPS1=16 FAULTS=1 SPLIT", "BROKEN_SEND_FIRST"),
    broken("signs-on-after-restore", "pair", "OPS0=1 OPS1=48 FAULTS=1 RESTORE SILENT VICTIM=1", "BROKEN_SIGN_ON"),
    broken("accept-not-repeated", "pair", "OPS0=3 OPS1=16 FAULTS=1", "BROKEN_NO_REPEAT"),
    broken("block-creeps", "liar", "ME=0 OPS=1 THEIRS=16 TOP=3 RESTORE RESUMES=1", "BROKEN_BLOCK_CREEPS"),
    broken("claim-believed", "liar", "ME=0 OPS=3 THEIRS=208 TOP=5", "BROKEN_BELIEVE"),
    # By hand.
    Run("liar-restore", "liar", "ME=0 OPS=1 THEIRS=80 TOP=2 RESTORE RESUMES=1", long=True),
    Run("pair-long", "pair", "OPS0=15 OPS1=112 FAULTS=2", long=True),
    Run("pair-split-long", "pair", "OPS0=3 OPS1=48 FAULTS=2 SPLIT", long=True),
    Run("restore-long", "pair", "OPS0=7 OPS1=48 FAULTS=2 RESTORE VICTIM=0", long=True),
    Run("restore-silent-long", "pair", "OPS0=7 OPS1=48 FAULTS=2 RESTORE SILENT VICTIM=0", long=True),
    Run("restore-silent-1-long", "pair", "OPS0=3 OPS1=112 FAULTS=2 RESTORE SILENT VICTIM=1", long=True),
    Run("ends-long", "pair", "OPS0=7 OPS1=48 FAULTS=2", cycles=True, long=True),
    Run("liar-long", "liar", "ME=0 OPS=7 THEIRS=240 TOP=8", long=True),
    Run("liar-1-long", "liar", "ME=1 OPS=208 THEIRS=15 TOP=8", long=True),
]


def output_of(argv, folder, **options):
    done = subprocess.run(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    return done.returncode, done.stdout


def build(run, folder):
    """Makes pan, the checker of one model; the complaint if that fails."""
    model = os.path.join(MODEL, f"{run.model}.pml")
    flags = (CYCLES if run.cycles else STATES) + [f"-DMEMLIM={MEGABYTES}", "-DVECTORSZ=2048"]
    for argv in (["spin", "-o3", *run.argv(), "-a", model],
                 ["gcc", "-w", "-O2" if run.long else "-O0", *flags, "-o", "pan", "pan.c"]):
        status, text = output_of(argv, folder)
        if status:
            return f"{argv[0]}: {text.strip()[:2000]}"
    return ""


def number(pattern, text):
    found = re.search(pattern, text)
    return int(float(found[1])) if found else 0


def whole(text, status):
    """Whether pan looked at every state, with what it stopped for if not."""
    for sign in ("Search not completed", "max search depth too small", "out of memory", "Bit statespace", "hashcompact"):
        if sign.lower() in text.lower():
            return False
    return status == 0 and "Full statespace search for" in text


def place(name, line):
    """spin sometimes names the file that includes instead of the one that is included."""
    with open(os.path.join(MODEL, name)) as file:
        return (name, line) if line <= len(file.readlines()) else ("party.pml", line)


def statements(folder):
    """Every statement of the model: {(proctype, state): (file, line)}."""
    found, proctype = {}, ""
    for line in output_of(["./pan", "-d"], folder)[1].splitlines():
        name = re.fullmatch(r"(?:proctype )?(\w+)", line.strip())
        if name:
            proctype = name[1]
        state = re.match(r"\s*state\s+(\d+) -\(.* (\S+):(\d+) => (.*)", line)
        if state and state[4] not in ("-end-", "(1)") and not state[4].startswith(".("):
            found[proctype, int(state[1])] = place(os.path.basename(state[2]), int(state[3]))
    return found


def reached(folder, text):
    """Source lines: (all, those with a statement that was executed)."""
    every = statements(folder)
    missed = set()
    for name, rows in re.findall(COLLECTED, text):
        missed |= {(name, int(n)) for n in re.findall(r", state (\d+), ", rows)}
    return set(every.values()), {place for key, place in every.items() if key not in missed}


def yes(fact):
    return "yes" if fact else "no"


def check(run):
    """(the run, its line, whether it is as it should be, its lines of source, what explains a failure)."""
    with tempfile.TemporaryDirectory(prefix="channel-model-") as folder:
        complaint = build(run, folder)
        if complaint:
            return run, f"model {run.name}: complete=no", False, None, complaint
        argv = ["nice", "-n", "10", "./pan", f"-m{STACK}", *(["-l"] if run.cycles else [])]
        status, text = output_of(argv, folder)
        lines = reached(folder, text) if run.reach else None
        if run.broken:
            caught = "assertion violated" in text and "errors: 1" in text
            return run, f"model {run.name}: caught={yes(caught)}", caught, None, text
        states, depth = number(r"(\S+) states, stored", text), number(r"depth reached (\d+)", text)
        errors, complete = number(r"errors: (\d+)", text), whole(text, status)
        line = f"model {run.name}: states={states} depth={depth} errors={errors} complete={yes(complete)}"
        return run, line, complete and not errors, lines, text


def marked():
    """The lines that say /* never: why */."""
    found = set()
    for name in os.listdir(MODEL):
        if name.endswith(".pml"):
            with open(os.path.join(MODEL, name)) as file:
                found |= {(name, n) for n, line in enumerate(file, 1) if re.search(r"/\* never: \S", line)}
    return found


def reach(results):
    """One line about what all runs with `reach` have executed, and whether it is all."""
    every, done = set(), set()
    for lines in results:
        every |= lines[0]
        done |= lines[1]
    never = marked()
    missed, stale = sorted(every - done - never), sorted(never & done)
    print(f"model reach: lines={len(every)} allowed={len(never)} unreached={len(missed)}", flush=True)
    for name, line in missed:
        print(f"  {name}:{line} is never reached")
    for name, line in stale:
        print(f"  {name}:{line} is reached, but marked as never")
    return not missed and not stale


def main(argv):
    names = [a for a in argv if a != "--long"]
    chosen = [r for r in RUNS if (r.name in names if names else r.long == ("--long" in argv))]
    if not chosen or len(chosen) < len(names):
        print(f"model: the runs are {' '.join(r.name for r in RUNS)}", file=sys.stderr)
        return 2
    good, lines = True, []
    with concurrent.futures.ThreadPoolExecutor(1 if "--long" in argv else os.cpu_count() or 1) as pool:
        for run, line, fine, seen, text in pool.map(check, chosen):
            print(line, flush=True)
            if not fine:
                good = False
                print("\n".join("    | " + row for row in text.splitlines()[:40]), flush=True)
            if seen:
                lines.append(seen)
    if lines and not names:
        good = reach(lines) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
