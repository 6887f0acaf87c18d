"""Two daemons under full load from both sides with random kill -9: nothing lost, nothing twice, memory flat.

  run.py [--seconds 600] [--channels 64] [--dir DIR]         SOAK_SEED repeats the choices of a run

In the first half the merchant is killed again and again, in the second the payer; now and then both. So each lives through
half of the run, in which its memory is measured. Between kills money goes in and out of running channels. In the end
every payment that was answered as settled must be in both books, both books must be equal, each payment in them once, and
the chain must have paid out what they say.
"""
import argparse
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from daemon import BUILD, Refused, World, until  # noqa: E402

SEED = int(os.environ.get("SOAK_SEED", random.randrange(2**32)))
RANDOM = random.Random(SEED)
DEPOSIT = 10**7
PENDING, SETTLED, FAILED = 1, 2, 3  # payment.status
# KiB that the store's page cache may fill, with what each page costs besides (channeld/store/sqlite.c). It fills in the first
# half million payments; made 1 MiB, a node stays at 16.5 MiB from the first payment on.
CACHE = 36 * 1024
IDLE = 24 * 1024  # KiB that a node with these channels and connections needs besides


def bench(name, value, unit):
    print(f"bench: soak.{name} = {value} {unit}", flush=True)


class Load:
    """One life of the load generator: it pays from one node through all channels until that node is gone."""

    def __init__(self, world, node, number, channels):
        self.prefix = f"{node.name}-{number}"
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests", "load"), "--api", node.api, "--token-file", os.path.join(node.dir, "api.token"),
             "--channels", channels, "--per-request", "4", "--prefix", self.prefix],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("ready"), f"the load {self.prefix} did not start"
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def join(self):
        said = dict(line.split() for line in self.process.communicate(timeout=120)[0].splitlines())
        assert self.process.returncode == 0, f"the load {self.prefix} ended with {self.process.returncode}"
        assert said["failed"] == "0", f"{said['failed']} payments of {self.prefix} were not settled"
        return int(said["settled"]), int(said["p50"]), int(said["p99"])


class Meter:
    """Samples the resident memory of a node, second by second, while it lives."""

    def __init__(self, node):
        self.node, self.samples, self.ended = node, [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ended.wait(1):
            with open(f"/proc/{self.node.process.pid}/status") as file:
                self.samples.append(next(int(line.split()[1]) for line in file if line.startswith("VmRSS")))

    def end(self):
        """(median of the second quarter, median of the last quarter), KiB: the first one fills queues and caches."""
        self.ended.set()
        self.thread.join()
        quarter = max(1, len(self.samples) // 4)
        return statistics.median(self.samples[quarter:2 * quarter]), statistics.median(self.samples[-quarter:])


class Soak:
    def __init__(self, world, args):
        self.world, self.args = world, args
        self.a, self.b = self.nodes = [world.node(name, "--log", "warn", "--max-pending-opens", "1000", "--max-deposit",
                                                  str(DEPOSIT), "--max-channels", "1000", "--max-channels-per-peer", "1000")
                                       for name in ("payer", "merchant")]
        self.loads, self.lives, self.answered = {}, {node: 0 for node in self.nodes}, {}
        self.latencies, self.kills, self.moves = [], 0, 0

    def open(self):
        for node in self.nodes:
            node.fund(4 * self.args.channels * DEPOSIT)
        self.faucet = {node: node.balance() for node in self.nodes}
        self.a.connect(self.b)
        terms = {"peer": self.b.id, "deposit": str(DEPOSIT), "peer_deposit": str(DEPOSIT)}
        self.channels = [self.a.post("/v1/channels", terms)["id"] for _ in range(self.args.channels)]
        self.list = os.path.join(self.world.folder, "channels")
        with open(self.list, "w") as file:
            file.write("".join(f"{channel}\n" for channel in self.channels))
        for node in self.nodes:
            self.ready(node, lambda c: int(c["balance"]["mine"]) == int(c["balance"]["peer"]) == DEPOSIT)

    def ready(self, node, also=lambda c: True):
        def look():
            listed = node.get("/v1/channels")["channels"]
            frozen = [c["freeze_reason"] for c in listed if c["frozen"]]
            assert not frozen, f"{node.name}: {len(frozen)} channels are frozen: {frozen[0]}"
            return len(listed) == len(self.channels) and all(c["synced"] and also(c) for c in listed)
        until(f"{node.name}'s channels to be in step", look, 120)

    def load(self, node):
        self.lives[node] += 1
        self.loads[node] = Load(self.world, node, self.lives[node], self.list)

    def kill(self, victims):
        for node in victims:
            node.kill()
            self.kills += 1
        for node in victims:
            load = self.loads.pop(node)
            settled, p50, p99 = load.join()
            self.answered[load.prefix] = settled
            self.latencies.append((settled, p50, p99))

    def revive(self, victims):
        for node in victims:
            node.start()
        self.a.connect(self.b)
        for node in self.nodes:
            self.ready(node)
        for node in victims:
            self.load(node)

    def move_money(self):
        """A top-up or a withdrawal of either side. The kill may come in between: then it is done later, or not."""
        node, channel = RANDOM.choice(self.nodes), RANDOM.choice(self.channels)
        what = RANDOM.choice(("deposit", "withdraw"))
        try:
            node.post(f"/v1/channels/{channel}/{what}", {"amount": str(RANDOM.randrange(1, 1000)), "wait_ms": 0})
            self.moves += 1
        except Refused as error:
            assert error.status in (409, 503), error  # another withdrawal is under way, a peer away

    def half(self, victim, survivor, seconds):
        meter, end = Meter(survivor), time.monotonic() + seconds
        while time.monotonic() < end:
            pause = min(RANDOM.uniform(1, 8), end - time.monotonic())
            self.move_money()
            time.sleep(max(0, pause))  # how long a life lasts is the experiment, nothing is waited for
            self.kill([victim])
            self.revive([victim])
        return meter.end()

    def run(self):
        for node in self.nodes:
            self.load(node)
        started = time.monotonic()
        memory = {self.a: self.half(self.b, self.a, self.args.seconds / 2)}
        self.kill(self.nodes)
        self.revive(self.nodes)
        memory[self.b] = self.half(self.a, self.b, self.args.seconds / 2)
        self.kill(self.nodes)
        self.took = time.monotonic() - started
        for node in self.nodes:
            node.start()
        self.a.connect(self.b)
        return memory

    # --- Afterwards --------------------------------------------------------------------------------------------------

    def books(self, node, incoming):
        """{id: (status, amount)} of one direction; the payments of each id are counted."""
        db = sqlite3.connect(f"file:{node.dir}/channeld.db?mode=ro", uri=True)
        rows = db.execute("SELECT id, status, amount, channel FROM payment WHERE incoming = ?", (incoming,)).fetchall()
        db.close()
        found = {row[0]: (row[1], int(row[2])) for row in rows}
        assert len(found) == len(rows), f"{node.name}: {len(rows) - len(found)} payments are there twice"
        return found

    def pending(self, node):
        db = sqlite3.connect(f"file:{node.dir}/channeld.db?mode=ro", uri=True)
        n = db.execute("SELECT count(*) FROM payment WHERE status = ?", (PENDING,)).fetchone()[0]
        db.close()
        return n

    def account(self):
        """Returns what each node has gained by payments, and the number of settled ones."""
        gained, total = {node: 0 for node in self.nodes}, 0
        for payer, payee in ((self.a, self.b), (self.b, self.a)):
            out, back = self.books(payer, 0), self.books(payee, 1)
            settled = {k: v for k, v in out.items() if v[0] == SETTLED}
            assert all(v[0] in (SETTLED, FAILED) for v in out.values())
            assert settled == back, f"{payer.name}: {len(settled.items() ^ back.items())} differ from the peer's books"
            for prefix, answered in self.answered.items():
                if prefix.startswith(payer.name):
                    have = sum(1 for k in settled if k.startswith(prefix + "-"))
                    assert have >= answered, f"{prefix}: {answered} were answered as settled, {have} are"
            moved = sum(amount for _, amount in settled.values())
            gained[payer] -= moved
            gained[payee] += moved
            total += len(settled)
        return gained, total

    def close(self):
        for node in self.nodes:
            until(f"{node.name}'s payments", lambda: self.pending(node) == 0, 120)
            until(f"{node.name}'s withdrawals",
                  lambda: all(c["balance"]["reserved"]["mine"] == "0" for c in node.get("/v1/channels")["channels"]))
        gained, total = self.account()
        self.a.post("/v1/channels/close")
        for node in self.nodes:
            until(f"{node.name}'s channels to be closed",
                  lambda: all(c["phase"] == "closed" for c in node.get("/v1/channels")["channels"]), 120)
            want = self.faucet[node] + gained[node]
            until(f"{node.name}'s balance to be {want}", lambda: node.balance() == want)
            broken = [line for line in node.log_text().splitlines() if " BROKEN " in line]
            assert not broken, broken[0]
            node.stop()
        return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", default=600, type=int)
    parser.add_argument("--channels", default=64, type=int)
    parser.add_argument("--dir", default="/var/tmp", help="a folder on a disk")
    args = parser.parse_args()
    tempfile.tempdir = args.dir
    print(f"# SOAK_SEED={SEED}", flush=True)
    with World() as world:
        soak = Soak(world, args)
        soak.open()
        memory = soak.run()
        total = soak.close()
        bench("seconds", round(soak.took), "s")
        bench("kills", soak.kills, "kills")
        bench("payments.settled", total, "payments, in both books, each once")
        bench("payments.rate", round(total / soak.took), "payments/s, restarts included")
        bench("payments.answered", sum(soak.answered.values()), "answers `settled`, none lost")
        bench("money_moves", soak.moves, "top-ups and withdrawals asked for")
        for node, (early, late) in memory.items():
            bench(f"memory.{node.name}.early", round(early), "KiB resident, second quarter of its life")
            bench(f"memory.{node.name}.late", round(late), "KiB resident, last quarter")
            assert late < max(1.05 * early, CACHE + IDLE), f"{node.name}'s memory grew from {early} to {late} KiB"
        weight = sum(n for n, _, _ in soak.latencies)
        for i, name in ((1, "p50"), (2, "p99")):
            bench(f"answer.{name}", round(sum(row[0] * row[i] for row in soak.latencies) / weight / 1000, 2),
                  "ms, mean over the lives")
    print("ok soak\n1..1")


main()
