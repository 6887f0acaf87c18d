"""Crash points, enumerated: scripted runs of two real daemons, repeated with kill -9 before and after each point.

  run.py                     each point of each script, on each side; then both sides at once and the same side twice
  run.py --seconds S         a sample of that within S seconds
  run.py --at SCRIPT:SIDE=KIND:N:before[+KIND:N:after],...     one run, as failures print it
CRASH_SEED repeats a sample. A point is a kind and its number within that side's run (shim.c). Threads make runs differ
a little: one in which the planned point did not come is repeated, and counts as tested only if the kill happened."""
import argparse
import collections
import concurrent.futures
import dataclasses
import os
import random
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scripts import SCRIPTS  # noqa: E402
from world import CHANNELD, Templates, World  # noqa: E402

TRIES = 4    # runs in which a point may fail to come
SHARE = 0.2  # of the points: how many runs kill both sides, and how many kill one side twice
WORLDS = int(os.environ.get("CRASH_WORLDS", 2 * (os.cpu_count() or 1)))


@dataclasses.dataclass(frozen=True)
class Case:
    script: str
    plan: tuple  # (side, (point, ...)), ...

    def __str__(self):
        return self.script + ":" + ",".join(f"{side}={'+'.join(points)}" for side, points in self.plan)

    @staticmethod
    def parse(text):
        script, _, rest = text.partition(":")
        sides = (part.partition("=") for part in rest.split(",") if part)
        return Case(script, tuple((side, tuple(points.split("+"))) for side, _, points in sides))


@dataclasses.dataclass
class Result:
    case: Case
    killed: bool = False  # at all planned points
    failure: str = ""
    counts: dict = None


def execute(templates, case):
    result, w = Result(case), World(templates, dict(case.plan))
    try:
        with w:
            SCRIPTS[case.script](w)
    except Exception as error:
        keep = f", kept in {w.folder}" if os.environ.get("CRASH_KEEP") else ""
        result.failure = f"{type(error).__name__}: {str(error)[:1000]}{keep}"
        result.trace = traceback.format_exc()
    result.killed = not w.a.plan and not w.b.plan
    result.counts = w.final_counts
    return result


class Tally:
    def __init__(self):
        self.points = self.tested = self.converged = self.runs = 0
        self.failures, self.missed = [], []
        self.kinds = collections.Counter()

    def add(self, result):
        self.runs += 1
        if result.failure:
            self.failures.append(result)
            print(f"# FAILED {result.case}\n#   {result.failure}", flush=True)
        if result.killed:
            self.tested += 1
            self.converged += not result.failure

    def report(self):
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.kinds.most_common())
        print(f"# {self.runs} runs; points by kind: {kinds}")
        if self.missed:
            print(f"# {len(self.missed)} planned cases did not come in {TRIES} runs each, such as {self.missed[0]}")
        print(f"crash: points={self.points} tested={self.tested} converged={self.converged}", flush=True)


def single_cases(script, side, counts):
    return [Case(script, ((side, (f"{kind}:{n}:{when}",)),))
            for kind, last in counts.items() for n in range(1, last + 1) for when in ("before", "after")]


def double_cases(rng, script, singles, count):
    """Both sides once each, and one side twice: the second point lies early in its second life."""
    sides = {side: [c.plan[0][1][0] for c in singles if c.script == script and c.plan[0][0] == side] for side in "ab"}
    for _ in range(count):
        yield Case(script, tuple((side, (rng.choice(points),)) for side, points in sides.items()))
        side = rng.choice("ab")
        kind, when = rng.choice(("write", "sync", "commit", "unlink")), rng.choice(("before", "after"))
        again = f"{kind}:{rng.randint(1, 12)}:{when}"
        yield Case(script, ((side, (rng.choice(sides[side]), again)),))


def plan(tally, templates, rng):
    """The clean runs, which must be good, and from their counts all cases: single ones, then double ones."""
    singles, doubles = [], []
    for script in SCRIPTS:
        clean = execute(templates, Case(script, ()))
        if clean.failure:
            raise SystemExit(f"not ok crash: the clean run of {script}: {clean.failure}\n{clean.trace}")
        mine = []
        for side, counts in clean.counts.items():
            mine += single_cases(script, side, counts)
            tally.kinds.update(counts)
        singles += mine
        doubles += double_cases(rng, script, mine, int(len(mine) / 2 * SHARE))
    tally.points = sum(tally.kinds.values())
    return singles, doubles


def run_all(tally, templates, cases, until):
    """In parallel, until there are no more or the time is over."""
    lock, todo = threading.Lock(), collections.deque((case, 0) for case in cases)

    def work():
        while time.monotonic() < until:
            with lock:
                if not todo:
                    return
                case, tries = todo.popleft()
            result = execute(templates, case)
            with lock:
                tally.add(result)
                if tally.runs % 200 == 0:
                    print(f"# {tally.runs} runs, {tally.tested} tested, {len(todo)} to go", flush=True)
                if not result.killed and not result.failure:
                    if tries + 1 < TRIES:
                        todo.append((case, tries + 1))
                    else:
                        tally.missed.append(case)
    with concurrent.futures.ThreadPoolExecutor(WORLDS) as pool:
        for future in [pool.submit(work) for _ in range(WORLDS)]:
            future.result()


def main(argv):
    parser = argparse.ArgumentParser(description="kill -9 at every crash point")
    parser.add_argument("--seconds", type=float, help="only a sample, within this time")
    parser.add_argument("--at", action="append", help="one case, as printed of a failure")
    parser.add_argument("--times", type=int, default=1, help="how often to run those of --at")
    args = parser.parse_args(argv)
    if not os.path.exists(CHANNELD):
        print(f"not ok crash: {CHANNELD} is not built")
        return 1
    seed = int(os.environ.get("CRASH_SEED", random.randrange(2**32)))
    rng, tally, templates, started = random.Random(seed), Tally(), Templates(), time.monotonic()
    try:
        until = started + (args.seconds or 10**9)
        if args.at:
            cases = [Case.parse(text) for text in args.at] * args.times
        else:
            singles, doubles = plan(tally, templates, rng)
            cases = singles + doubles
        if args.seconds:
            rng.shuffle(cases)
            print(f"# CRASH_SEED={seed}: a sample of {len(cases)} cases")
        run_all(tally, templates, cases, until)
    finally:
        templates.remove()
    tally.report()
    full = not args.seconds and not args.at
    good = not tally.failures and tally.tested > 0 and (not full or tally.tested >= 2 * tally.points)
    print(f"{'ok' if good else 'not ok'} crash # {time.monotonic() - started:.0f} s\n1..1")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
