"""Durable co-signed updates a second: the daemon as it is shipped beside what the machine allows, in turns.

  updates.py BUILD [--channels 1,64,256] [--pairs 5] [--seconds 3] [--dir DIR] [--per-request K]
  updates.py BUILD --locks 16 ...     what that many conditional payments pending in each channel cost: beside channels
                                      with as many plain payments behind them, so that both have rows of payments

The limit is tests/bench/limit_updates.c, with the group size that is best in a sweep. The product is two channeld on one
chain, paid through POST /v1/payments by tests/bench/load.c with one payment under way on each channel. Both daemons are
killed at the end of the measured time; an update counts if both databases hold its version as settled. Each figure is
the median of the pairs. The load generator shares the processors with the daemons, which the limit has for itself.
"""
import argparse
import os
import secrets
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SETTLED = 2  # payment.status
WARM = 1  # seconds
DEPOSIT = 10**8


def arguments():
    parser = argparse.ArgumentParser(description="Durable updates a second, beside what the machine allows.")
    parser.add_argument("build")
    parser.add_argument("--channels", default="1,64,256", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--pairs", default=5, type=int)
    parser.add_argument("--seconds", default=3, type=int)
    parser.add_argument("--dir", default="/var/tmp", help="a folder on a disk")
    parser.add_argument("--per-request", default=0, type=int,
                        help="payments in a request (default: 1 for up to 64 channels, else 4)")
    parser.add_argument("--locks", default=0, type=int, help="pending in each channel, beside the same without")
    return parser.parse_args()


ARGS = arguments()
os.environ["BUILD_DIR"] = ARGS.build
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from daemon import World, until  # noqa: E402

TOOLS = os.path.join(os.path.abspath(ARGS.build), "tests")


def show(name, values, unit, digits=0):
    low, middle, high = min(values), statistics.median(values), max(values)
    print(f"bench: {name} = {middle:.{digits}f} {unit} (min {low:.{digits}f}, max {high:.{digits}f})", flush=True)


# --- The limit ------------------------------------------------------------------------------------------


def limit(channels, seconds, group):
    """Its figures by name, without `bench: limit.`"""
    done = subprocess.run([os.path.join(TOOLS, "limit_updates"), "--channels", str(channels), "--seconds", str(seconds),
                           "--group", group, "--dir", ARGS.dir], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    lines = [line.removeprefix("bench: limit.").split(" = ") for line in done.stdout.splitlines()]
    return {name.removeprefix(f"{channels}ch").lstrip("."): value.split(" ")[0] for name, value in lines}


# --- The product ----------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Pair:
    """A payer and a merchant with their channels, which every run finds as they were when they were new."""

    def __init__(self, world, channels):
        self.world = world
        self.nodes = []
        for name in ("payer", "merchant"):
            counter = os.path.join(world.folder, name + ".fsyncs")
            with open(counter, "wb") as file:
                file.write(bytes(8))
            env = {**os.environ, "LD_PRELOAD": os.path.join(TOOLS, "libfsync_count.so"), "BENCH_FSYNCS": counter}
            node = world.node(name, "--log", "warn", "--max-pending-opens", str(channels), start=False, env=env)
            node.counter = counter
            node.listen = f"127.0.0.1:{free_port()}"
            node.start()
            self.nodes.append(node)
        self.payer, self.merchant = self.nodes
        self.payer.fund(channels * 2 * DEPOSIT)
        self.payer.connect(self.merchant)
        self.list = os.path.join(world.folder, "channels")
        with open(self.list, "w") as file:
            for _ in range(channels):
                opened = self.payer.post("/v1/channels", {"peer": self.merchant.id, "deposit": str(DEPOSIT)})
                file.write(opened["id"] + "\n")
        until("the deposits", lambda: self.all(lambda c: c["phase"] == "open" and self.funded(c)))
        self.save("new")

    def save(self, name):
        """Stops both; every run begins with what is saved last, or named."""
        self.saved = os.path.join(self.world.folder, name)
        for node in self.nodes:
            node.stop()
            shutil.copytree(node.dir, os.path.join(self.saved, node.name))

    def channels(self):
        with open(self.list) as file:
            return file.read().split()

    def pay(self, count):
        """So many plain payments in each channel."""
        self.start()
        for i, channel in enumerate(self.channels()):
            self.payer.post("/v1/payments", {"wait_ms": 0, "payments": [
                {"id": f"paid-{i}-{k}", "channel": channel, "amount": "1000"} for k in range(count)]})
        want = str(DEPOSIT - count * 1000)
        until("the payments", lambda: self.all(lambda c: want in c["balance"].values() and c["outstanding"] == 0))
        self.save("paid")

    def lock(self, count):
        """So many conditional payments in each channel, which nobody claims."""
        self.start()
        channels = self.channels()
        for i, channel in enumerate(channels):
            for k in range(count):
                self.payer.post("/v1/locks", {"id": f"lock-{i}-{k}", "channel": channel, "amount": "1000", "expires_in": 86400,
                                              "hash": "0x" + secrets.token_hex(32), "wait_ms": 0})
        want = str(count * 1000)
        until("the locks", lambda: self.all(lambda c: want in c["balance"]["locked"].values() and c["outstanding"] == 0))
        self.save("locked")

    def all(self, test):
        return all(test(c) for node in self.nodes for c in node.get("/v1/channels")["channels"])

    def funded(self, channel):
        return str(DEPOSIT) in channel["contributions"].values()

    def start(self):
        for node in self.nodes:
            shutil.rmtree(node.dir)
            shutil.copytree(os.path.join(self.saved, node.name), node.dir)
        for node in reversed(self.nodes):
            node.start()
        self.payer.connect(self.merchant)
        until("the channels to be in step", lambda: self.all(lambda c: c["synced"]))


def updates(node, incoming):
    """The co-signed versions in a database, as (channel, epoch, version)."""
    db = sqlite3.connect(f"file:{node.dir}/channeld.db?mode=ro", uri=True)
    found = set(db.execute("SELECT c.id, p.epoch, p.version FROM payment p JOIN channel c ON c.num = p.channel"
                           " WHERE p.status = ? AND p.incoming = ?", (SETTLED, incoming)))
    db.close()
    return found


def both(pair):
    sent, received = updates(pair.payer, 0), updates(pair.merchant, 1)
    if not sent <= received:
        sys.exit(f"{len(sent - received)} settled updates are in the payer's database alone")
    return len(sent)


def spent(process):
    """Processor seconds of another process (clock_getcpuclockid)."""
    return time.clock_gettime((~process.pid << 3) | 2)


def busy():
    """Processor seconds of the whole machine: what is neither ours nor idle spoils the figures."""
    with open("/proc/stat") as file:
        user, nice, system, idle, wait, *rest = (int(n) for n in file.readline().split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def flushes(node):
    with open(node.counter, "rb") as file:
        return int.from_bytes(file.read(8), sys.byteorder)


def product(pair, channels, seconds):
    pair.start()
    per_request = ARGS.per_request or (1 if channels <= 64 else 4)
    load = subprocess.Popen([os.path.join(TOOLS, "load"), "--api", pair.payer.api, "--token-file",
                             os.path.join(pair.payer.dir, "api.token"), "--channels", pair.list, "--count",
                             str(channels), "--per-request", str(per_request), "--warm", str(WARM)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if not load.stdout.readline().startswith("ready"):
        sys.exit("the load did not start")
    before = both(pair)
    processes = {"payer": pair.payer.process, "merchant": pair.merchant.process, "load": load}
    cpu = {name: spent(process) for name, process in processes.items()}
    machine = busy()
    fsyncs = sum(flushes(node) for node in pair.nodes)
    started = time.monotonic()
    load.stdin.write("\n")
    load.stdin.flush()
    time.sleep(seconds)
    cpu = {name: spent(process) - cpu[name] for name, process in processes.items()}
    cpu["others"] = max(0, busy() - machine - sum(cpu.values()))
    fsyncs = sum(flushes(node) for node in pair.nodes) - fsyncs
    for node in pair.nodes:
        node.process.kill()
    took = time.monotonic() - started
    for node in pair.nodes:
        node.kill()
    said = dict(line.split() for line in load.communicate()[0].splitlines())
    if load.returncode or int(said["failed"]):
        sys.exit("the load failed")
    n = both(pair) - before
    return {"rate": n / took, "fsyncs": fsyncs / max(n, 1), "cpu": cpu, "p50": int(said["p50"]) / 1000,
            "p99": int(said["p99"]) / 1000}


# --- Both -----------------------------------------------------------------------------------------------


def compare(pair, channels):
    group = limit(channels, 1, "sweep")["group"]
    limits, products = [], []
    for _ in range(ARGS.pairs):
        limits.append(limit(channels, ARGS.seconds, group))
        products.append(product(pair, channels, ARGS.seconds))
    name = f"{channels}ch"
    rates = [float(run[""]) for run in limits]
    show(f"updates.durable.{name}", [run["rate"] for run in products], "updates/s")
    show(f"limit.{name}", rates, f"updates/s, groups of {group}")
    show(f"ratio.{name}", [run["rate"] / most for run, most in zip(products, rates)], "of the limit", 2)
    show(f"fsyncs.per_update.{name}", [run["fsyncs"] for run in products], "both sides", 2)
    for side in ("payer", "merchant", "load", "others"):
        show(f"cpu.{name}.{side}", [run["cpu"][side] for run in products], f"s of {ARGS.seconds} s", 2)
    for side in ("payer", "payee"):
        show(f"cpu.limit.{name}.{side}", [float(run[f"cpu.{side}"]) for run in limits], f"s of {ARGS.seconds} s", 2)
    if channels == 1:
        show("latency.pay.p50", [run["p50"] for run in products], "ms, from the request to its answer", 2)
        show("latency.pay.p99", [run["p99"] for run in products], "ms, from the request to its answer", 2)


def cost_of_locks(pair, channels):
    """The same load on channels without and with locks, in turns."""
    new = pair.saved
    pair.pay(ARGS.locks)
    plain, pair.saved = pair.saved, new
    pair.lock(ARGS.locks)
    locked, runs = pair.saved, {plain: [], pair.saved: []}
    for _ in range(ARGS.pairs):
        for saved, done in runs.items():
            pair.saved = saved
            done.append(product(pair, channels, ARGS.seconds))
    name = f"{channels}ch"
    show(f"updates.durable.{name}", [run["rate"] for run in runs[plain]], "updates/s")
    show(f"updates.durable.{name}.locks", [run["rate"] for run in runs[locked]], f"updates/s, {ARGS.locks} locks in each")
    show(f"ratio.{name}.locks", [b["rate"] / a["rate"] for a, b in zip(runs[plain], runs[locked])], "of that without", 3)
    for what, saved in (("", plain), (".locks", locked)):
        cpu = [(run["cpu"]["payer"] + run["cpu"]["merchant"]) / run["rate"] / ARGS.seconds * 1e6 for run in runs[saved]]
        show(f"cpu.{name}{what}", cpu, "us of both daemons an update")


def main():
    tempfile.tempdir = ARGS.dir
    limit(1, 1, "1")  # says so if the folder is no disk
    with World() as world:
        pair = Pair(world, max(ARGS.channels))
        for channels in ARGS.channels:
            (cost_of_locks if ARGS.locks else compare)(pair, channels)


main()
