"""Runs the stages of scripts/test and counts their results.

Everything that is run prints TAP (`ok NAME`, `not ok NAME`, `# detail`): cmocka programs, the simulator, the rules and
the end-to-end scripts alike. Only a compiler, clang-tidy and fresh.sh do not: each run counts as one check, by exit status.
"""
import concurrent.futures
import dataclasses
import glob
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CHECK = os.path.join(ROOT, "tests", "check")
BASE = os.path.abspath(os.path.join(ROOT, os.environ.get("BUILD_DIR", "build")))
CPUS = os.cpu_count() or 1
RESULT = re.compile(r"(not )?ok\b")
PLAN = re.compile(r"1\.\.(\d+)\b")
SHOWN = 60  # lines of a failed job's output that are worth reading


@dataclasses.dataclass
class Job:
    name: str
    argv: list
    env: dict = dataclasses.field(default_factory=dict)
    tap: bool = True
    live: bool = False  # print what it prints at once
    timeout: float = 300


@dataclasses.dataclass
class Build:
    """A build folder: `build` itself, or `build-KIND` with another compiler or a sanitizer."""

    kind: str
    compiler: str = "gcc"
    options: tuple = ()
    targets: tuple = ()  # of ninja; none: the default ones
    env: dict = dataclasses.field(default_factory=dict)
    slower: int = 1  # how much longer a test may take here

    @property
    def dir(self):
        return BASE if self.kind == "gcc" else f"{BASE}-{self.kind}"

    def introspect(self, what):
        return json.loads(subprocess.check_output(["meson", "introspect", f"--{what}", self.dir]))


GCC = Build("gcc")
CLANG = Build("clang", compiler="clang")
ASAN = Build("asan", options=("-Db_sanitize=address,undefined",), slower=5, env={
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"})
TSAN = Build("tsan", options=("-Db_sanitize=thread",), slower=10, env={
    "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:suppressions={CHECK}/tsan.supp"})
FUZZ = Build("fuzz", compiler="clang", targets=("fuzzers",), options=(
    "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dc_args=-fsanitize=fuzzer-no-link"))
COV = Build("cov", options=("-Db_coverage=true", "-Doptimization=0"), targets=("library_tests",), slower=2)


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.broken = []
        self.built = {}

    def add(self, stage, job, passed, failed, skipped, seconds, output):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        mark = "FAILED" if failed else "ok"
        skips = f", {skipped} skipped" if skipped else ""
        print(f"  {mark:6} {job.name}  ({passed} passed, {failed} failed{skips}, {seconds:.1f} s)", flush=True)
        if failed:
            self.broken.append(f"{stage}: {job.name}")
            print("\n".join("    | " + line for line in explain(output, job.tap)), flush=True)


def explain(output, tap):
    """The part of a failed job's output that says why: what follows each `not ok`, or the first error."""
    lines = output.splitlines()
    if not tap:
        first = next((i for i, line in enumerate(lines) if re.search(r"FAILED:|ERROR:|error:", line)), -SHOWN)
        return lines[first:][:SHOWN]
    kept, inside = [], False
    for line in lines:
        result = RESULT.match(line)
        inside = bool(result[1]) if result else inside
        if inside or (line and not line.startswith(("ok", "#", "1.."))):
            kept.append(line)
    return kept[:SHOWN] or lines[-SHOWN:]


def count(output, status):
    """((passed, failed, skipped), note) of a TAP output; what a program hides by dying counts as one failure."""
    passed = failed = skipped = 0
    for line in output.splitlines():
        result = RESULT.match(line)
        if result and "# SKIP" in line.upper():
            skipped += 1
        elif result and result[1]:
            failed += 1
        elif result:
            passed += 1
    planned = sum(int(n) for n in re.findall(r"^" + PLAN.pattern, output, re.M))
    seen = passed + failed + skipped
    note = ""
    if seen == 0:
        note = "no line of TAP, `ok NAME` or `not ok NAME`"
    elif planned and planned != seen:
        note = f"{planned} results were planned, {seen} came"
    elif status != 0 and failed == 0:
        note = "all results are good, but the exit status is not"
    return (passed, failed + bool(note), skipped), note


def execute(job):
    """Runs one job in a fresh folder and in a process group of its own, so that nothing stays behind."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="channel-test-", ignore_cleanup_errors=True) as folder:
        env = {**os.environ, "CMOCKA_MESSAGE_OUTPUT": "TAP", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": folder, **job.env}
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(job.argv, cwd=folder, env=env, stdin=subprocess.DEVNULL,
                                       stdout=None if job.live else log, stderr=subprocess.STDOUT,
                                       start_new_session=True)
            try:
                status, note = process.wait(job.timeout), ""
            except subprocess.TimeoutExpired:
                status, note = -1, f"\nno end after {job.timeout:.0f} s"
            stop_group(process)
            log.seek(0)
            output = log.read().decode(errors="replace") + note
    counts, why = count(output, status) if job.tap else ((int(status == 0), int(status != 0), 0), "")
    tail = [line for line in (why, f"exit status {status}" if status else "") if line]
    return counts, time.monotonic() - started, "\n".join([output.rstrip("\n"), *tail])


def stop_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def run(tally, stage, jobs):
    """Runs the jobs, as many at a time as there are processors."""
    with concurrent.futures.ThreadPoolExecutor(CPUS) as pool:
        futures = {pool.submit(execute, job): job for job in jobs}
        for future in concurrent.futures.as_completed(futures):
            counts, seconds, output = future.result()
            tally.add(stage, futures[future], *counts, seconds, output)


def build(tally, stage, kind):
    """Builds a folder once per run. True if that worked."""
    if kind.dir not in tally.built:
        configured = os.path.exists(os.path.join(kind.dir, "build.ninja"))
        setup = ["meson", "setup", kind.dir, ROOT, *kind.options]
        ninja = shlex.join(["ninja", "-C", kind.dir, *kind.targets])
        command = ["sh", "-c", f'"$@" && {ninja}', kind.dir, *(["true"] if configured else setup)]
        failures = tally.failed
        run(tally, stage, [Job(f"build with {kind.kind}", command, {"CC": kind.compiler}, tap=False, timeout=1800)])
        tally.built[kind.dir] = tally.failed == failures
    return tally.built[kind.dir]


def missing(name, sentence):
    """A job that fails: a stage without its subject must not pass."""
    return [Job(name, ["sh", "-c", 'echo "not ok $0"; echo "# $1"', name, sentence])]


def rules(_quick):
    return [Job("rules", [sys.executable, f"{CHECK}/rules.py", ROOT, BASE]),
            Job("rules can fail", [sys.executable, f"{CHECK}/rules_test.py"]),
            Job("install", [f"{CHECK}/install.sh", BASE]),
            Job("embed", [f"{ROOT}/tests/embed/run.sh", BASE])]


def unit(kind):
    tests = [t for t in kind.introspect("tests") if any(s.split(":")[-1] == "unit" for s in t["suite"])]
    jobs = [Job(t["name"], t["cmd"], {**kind.env, **t["env"]}, timeout=t["timeout"] * kind.slower) for t in tests]
    return jobs or missing("unit", "no test of suite 'unit' in tests/meson.build")


BREAKS = {"sim": ("barrier", "persist", "replay", "backup", "outbox", "watch", "fresh", "margin"),
          "sim-daemon": ("sync", "backup", "outbox", "fresh")}
DAEMON_SHARE = 30  # one seed of the world of whole daemons, which costs about as much, for so many of the engine's


def share(program, options):
    """The options of one run for this simulator: it has its part of the seeds."""
    if program == "sim" or "--seeds" not in options:
        return list(options)
    at = options.index("--seeds") + 1
    mine = (str(-(-int(n) // DAEMON_SHARE)) if n.isdigit() else n for n in options[at:at + 1])
    return [*options[:at], *mine, *options[at + 1:]]


def simulate(kind, quick, options=()):
    """With options of its own each is run once, as it is told; else a default number of seeds, and what it must notice."""
    programs = {t["name"]: t["filename"][0] for t in kind.introspect("targets") if t["name"] in BREAKS and t["type"] == "executable"}
    if len(programs) < len(BREAKS):
        return missing("sim", f"no executables {' and '.join(BREAKS)} in tests/meson.build")
    seeds = str(int(os.environ.get("SIM_SEEDS", 200 if quick else 3000)) // kind.slower)
    jobs = []
    for name, rules in BREAKS.items():
        run = [programs[name], "--jobs", str(CPUS)]
        if options:
            jobs.append(Job(name, [*run, *share(name, options)], kind.env, tap=False, live=True, timeout=86400))
            continue
        mine = share(name, ["--seeds", seeds])
        jobs.append(Job(f"{name} {mine[1]} seeds", [*run, *mine], kind.env, timeout=1200))
        jobs += [Job(f"{name} notices a broken rule: {rule}", [programs[name], "--break", rule, "--first", "--seeds", "4000"], kind.env)
                 for rule in rules]
    return jobs


def differential(options):
    """The C model, and the chain node in memory, against the contract on anvil."""
    def job(name, extra, **how):
        command = f'{ROOT}/scripts/evm setup && exec node {ROOT}/tests/differential/run.js --model "$0" --node "$1" {extra}'
        programs = [f"{GCC.dir}/tests/differential_model", f"{GCC.dir}/tests/differential_node"]
        return Job(name, ["sh", "-c", command, *programs], timeout=3600, **how)
    if options:
        return [job("differential", options), job("differential notices a broken model", "--each 3 --break"),
                Job("vectors", [f"{ROOT}/scripts/vectors", "check"], {"BUILD_DIR": GCC.dir})]
    return [job("differential", "", tap=False, live=True)]


def end_to_end(kind):
    scripts = sorted(glob.glob(f"{ROOT}/tests/e2e/test_*.py") + glob.glob(f"{ROOT}/tests/e2e/test_*.sh"))
    interpreter = {".py": sys.executable, ".sh": "bash"}
    return [Job(os.path.basename(s), [interpreter[s[-3:]], s], {**kind.env, "BUILD_DIR": kind.dir},
                timeout=300 * kind.slower) for s in scripts] or missing("e2e", "no tests/e2e/test_*.py or test_*.sh")


def contract(_quick):
    evm = f"{ROOT}/scripts/evm"
    return [Job("artifact of the contract", [evm, "check"], timeout=900),
            Job("forge tests of the contract", [evm, "tap"], timeout=900),
            Job("gas of the contract", [evm, "gas", "--channels", "2", "--check"], timeout=600),
            Job("gas on anvil's default fork", [evm, "gas", "--channels", "1", "--check", "--hardfork", "default"],
                timeout=600)]


def crash(_quick):
    return [Job("crash points", [sys.executable, f"{ROOT}/tests/crash/run.py"], {"BUILD_DIR": GCC.dir}, tap=False,
                live=True, timeout=7200),
            Job("damaged pages", [sys.executable, f"{ROOT}/tests/crash/pages.py"], {"BUILD_DIR": GCC.dir}, tap=False,
                live=True, timeout=3600)]


def soak(_quick):
    return [Job("soak", [sys.executable, f"{ROOT}/tests/soak/run.py"], {"BUILD_DIR": GCC.dir}, live=True, tap=False,
                timeout=1800)]


def evm_faults(_quick):
    return [Job("evm faults", [sys.executable, f"{ROOT}/tests/e2e/evm_faults.py"], {"BUILD_DIR": GCC.dir}, live=True,
                tap=False, timeout=7200)]


def fuzz(seconds):
    """Each target from its corpus; SECONDS apiece, or a number of runs that takes about five."""
    targets = sorted(glob.glob(f"{ROOT}/tests/fuzz/fuzz_*.c"))
    names = [os.path.basename(t)[len("fuzz_"):-len(".c")] for t in targets]
    return [Job(f"fuzz {name}", [f"{ROOT}/tests/fuzz/run.sh", f"{FUZZ.dir}/tests/fuzz_{name}",
                                 f"{ROOT}/tests/fuzz/corpus/{name}", *([str(seconds)] if seconds else [])],
                timeout=(seconds or 60) + 120) for name in names]


def constant_time(kind):
    return [Job("constant time", [f"{ROOT}/tests/ct/run.sh", kind.dir])]


def model(*options):
    return [Job("model", [sys.executable, f"{CHECK}/model.py", *options], tap=False, live=True, timeout=14400)]


def coverage(_quick):
    return [Job("coverage", [sys.executable, f"{CHECK}/coverage.py", COV.dir], tap=False, live=True, timeout=1200),
            Job("coverage can fail", [sys.executable, f"{CHECK}/coverage_test.py"])]


def mutants(_quick):
    return [Job("mutants", [sys.executable, f"{ROOT}/tests/mutants/run.py"], tap=False, live=True, timeout=3600)]


def tidy(_quick):
    with open(os.path.join(CLANG.dir, "compile_commands.json")) as file:
        entries = json.load(file)
    sources = sorted({os.path.normpath(os.path.join(e["directory"], e["file"])) for e in entries})
    ours = [s for s in sources if s.startswith((f"{ROOT}/libchannel/src/", f"{ROOT}/channeld/"))]
    return [Job(os.path.relpath(s, ROOT), ["clang-tidy", "--quiet", "-p", CLANG.dir, s], tap=False) for s in ours]


def fresh(_quick):
    return [Job("fresh", [f"{CHECK}/fresh.sh"], tap=False, live=True, timeout=3600)]


# name: (what it shows, the build it needs, its jobs, part of the default run)
STAGES = {
    "rules": ("include directions, symbols, headers, format, sizes, scripts, install", GCC, rules, True),
    "unit": ("unit tests", GCC, lambda quick: unit(GCC), True),
    "sim": ("the two simulators, SIM_SEEDS seeds: of the engine, and a share with whole daemons", GCC, lambda quick: simulate(GCC, quick), True),
    "ct": ("secrets decide no branch and no address, seen by valgrind", GCC,
           lambda quick: constant_time(GCC), True),
    "agree": ("a short run of `differential`; the published vectors", GCC, lambda quick: differential("--each 8 --ops 300"),
              True),
    "mutants": ("each rule of the engine broken on purpose: simulator or unit tests must notice", None, mutants, True),
    "differential": ("the C model against the contract on anvil, each function 100 times", GCC,
                     lambda quick: differential(""), False),
    "e2e": ("real daemons, tests/e2e/test_*", GCC, lambda quick: end_to_end(GCC), True),
    "evm": ("the Adjudicator contract: artifact, forge tests, gas", None, contract, True),
    "san": ("unit tests and simulator with ASan and UBSan", ASAN, lambda quick: unit(ASAN) + simulate(ASAN, quick), True),
    "clang": ("a build without warnings with Clang, its unit tests and constant time", CLANG,
              lambda quick: unit(CLANG) + constant_time(CLANG), True),
    "tidy": ("clang-tidy over library and daemon", CLANG, tidy, True),
    "fuzz": ("each decoder with hostile bytes, for a moment", FUZZ, lambda quick: fuzz(0), True),
    "fuzz-long": ("the same, FUZZ_SECONDS (600) each", FUZZ,
                  lambda quick: fuzz(int(os.environ.get("FUZZ_SECONDS", 600))), False),
    "coverage": ("lines and branches of the library that its unit tests and the simulator reach", COV, coverage, True),
    "tsan": ("unit tests with ThreadSanitizer", TSAN, lambda quick: unit(TSAN), True),
    "model": ("the update protocol, proto/model, over all states of bounded runs", None, lambda _quick: model(), True),
    "model-long": ("the same, larger: up to 6 GiB, a quarter of an hour", None, lambda _quick: model("--long"), False),
    "san-e2e": ("the daemons of e2e with ASan and UBSan", ASAN, lambda quick: end_to_end(ASAN), False),
    "tsan-e2e": ("the daemons of e2e with ThreadSanitizer", TSAN, lambda quick: end_to_end(TSAN), False),
    "crash": ("kill -9 at every crash point, every page of the database damaged", GCC, crash, False),
    "soak": ("ten minutes of full load with random kill -9: nothing lost, memory flat", GCC, soak, False),
    "evm-faults": ("chain nodes that fail and lie, reorganisations of depth 1 to 6", GCC, evm_faults, False),
    "fresh": ("demo and quick tests inside a minimal Debian (root)", None, fresh, False),
}
QUICK = ["rules", "unit", "sim"]


def usage():
    print("usage: scripts/test [quick | STAGE...]\n       scripts/test sim OPTION...    one run of the simulator: --seeds N, "
          "--from S, --long, --minutes N\n\nstages (* in the default run):")
    for name, (text, _, _, default) in STAGES.items():
        print(f"  {'*' if default else ' '} {name:9} {text}")


def main(names):
    if any(n in ("-h", "--help") for n in names):
        usage()
        return 0
    options = names[1:] if names[:1] == ["sim"] and names[1:2] and names[1].startswith("-") else []
    names = names[:1] if options else names
    quick = names == ["quick"]
    names = QUICK if quick else names or [n for n, stage in STAGES.items() if stage[3]]
    unknown = [n for n in names if n not in STAGES]
    if unknown:
        print(f"test: there is no stage '{unknown[0]}'; scripts/test --help lists them", file=sys.stderr)
        return 2
    tally = Tally()
    for name in names:
        text, kind, jobs, _ = STAGES[name]
        print(f"== {name}: {text}", flush=True)
        started, passed, failed = time.monotonic(), tally.passed, tally.failed
        if kind is None or build(tally, name, kind):
            run(tally, name, simulate(kind, quick, options) if options else jobs(quick))
        else:
            run(tally, name, missing(name, "not run, because its build failed"))
        seconds = time.monotonic() - started
        print(f"== {name}: {tally.passed - passed} passed, {tally.failed - failed} failed, {seconds:.1f} s\n", flush=True)
    for job in tally.broken:
        print(f"failed  {job}")
    if tally.skipped:
        print(f"{tally.skipped} skipped" + ("" if os.environ.get("VECTORS_DIR") else " (VECTORS_DIR is not set)"))
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
