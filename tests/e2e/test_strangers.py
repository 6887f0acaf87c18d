"""Strangers: floods of handshakes, garbage at every point, thousands of requests to open, peers that do not read. The
daemon serves its payments all the time, in bounded memory, and is as before when they are gone."""
import os
import subprocess
import sys
import threading

from daemon import BUILD, WAIT, Refused, World, open_channel, run, until

HOSTILE = os.path.join(BUILD, "tests", "hostile")
MIB = 1 << 20
GROWTH = 32 * MIB
INSTRUMENTED = bool(os.environ.get("ASAN_OPTIONS") or os.environ.get("TSAN_OPTIONS"))  # their memory says nothing


class Served:
    """A merchant under attack and its customer, who pays all the time."""

    def __init__(self, world, *flags):
        self.a, self.b = world.node("customer"), world.node("merchant", *flags)
        self.a.fund(10**6)
        self.a.connect(self.b)
        self.channel = open_channel(self.a, self.b, 10**6)
        self.n, self.most, self.wrong = 0, 0, None
        for _ in range(50):
            self.pay()
        self.before = self.memory()

    def memory(self):
        with open(f"/proc/{self.b.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def files(self):
        return len(os.listdir(f"/proc/{self.b.process.pid}/fd"))

    def pay(self):
        self.n += 1
        body = {"id": f"p{self.n}", "channel": self.channel, "amount": "1", "wait_ms": 20000}
        done = self.a.post("/v1/payments", body)
        assert done["status"] == "settled", done

    def _go_on(self):
        try:
            while not self.stop.is_set():
                self.pay()
                self.most = max(self.most, self.memory())
        except Exception as error:  # shown by the main thread
            self.wrong = error

    def __enter__(self):
        self.stop = threading.Event()
        self.first = self.n
        self.thread = threading.Thread(target=self._go_on)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            until("payments to be served", lambda: self.wrong or self.n > self.first + 10)
        self.stop.set()
        self.thread.join()
        if kind is None:
            self.check()

    def check(self):
        assert self.wrong is None, self.wrong
        grown = self.most - self.before
        print(f"# {self.n - self.first} payments served, memory grew by {max(grown, 0) / MIB:.1f} MiB from "
              f"{self.before / MIB:.1f} MiB")
        assert INSTRUMENTED or grown < GROWTH, f"memory grew by {grown / MIB:.1f} MiB"
        until("the payments in the merchant's book", lambda: len(self.b.payments(direction="in")) == self.n)
        assert " BROKEN " not in self.a.log_text() + self.b.log_text()


def stranger(mode, node, n):
    """Starts one; its input stays open, so that it stays connected."""
    chain = node.get("/v1/info")["l1"]
    return subprocess.Popen([HOSTILE, mode, node.id, node.listen, str(n), str(chain["chain_id"]), chain["adjudicator"]],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def result(process):
    """What it says, as numbers."""
    line = process.stdout.readline()
    assert line, f"the stranger ended with {process.wait(WAIT)}"
    return {key: int(value) for key, value in (word.split("=") for word in line.split())}


def end(process):
    process.stdin.close()
    process.stdout.close()
    process.wait(WAIT)


def flood_of_handshakes():
    with World() as world:
        served = Served(world)
        files = served.files()
        with served:
            floods = [stranger("flood", served.b, 1000) for _ in range(2)]
            done = [result(f) for f in floods]
            for f in floods:
                end(f)
            print(f"# {done}")
            assert sum(d["opened"] for d in done) == 2000, done
        until("the connections to be gone", lambda: served.files() <= files + 2)
        newcomer = world.node("newcomer")
        newcomer.connect(served.b)


def garbage_at_every_point():
    with World() as world:
        with Served(world) as served:
            attack = stranger("garbage", served.b, 2000)
            done = result(attack)
            end(attack)
            assert done == {"tried": 2000, "refused": 0}, done


def requests_that_are_never_confirmed():
    """So many at a time for each stranger; in time they expire, and one that is honest can open a channel meanwhile."""
    with World() as world:
        with Served(world, "--max-pending-opens", "16", "--max-channels", "1000") as served:
            attacks = [stranger("opens", served.b, 3000) for _ in range(2)]
            for attack in attacks:
                assert result(attack) == {"accepted": 16, "refused": 2984}
        honest = world.node("honest")
        honest.fund(1000)
        honest.connect(served.b)
        open_channel(honest, served.b, 10)
        for attack in attacks:
            end(attack)
        served.a.post("/v1/dev/warp", {"seconds": 700})
        until("the openings to expire", lambda: all(c["phase"] != "opening"
                                                    for c in served.b.get("/v1/channels")["channels"]))


def limit_in_total():
    """Strangers can take all places for a while, but no more than those."""
    with World() as world:
        with Served(world, "--max-pending-opens", "16", "--max-channels", "20") as served:
            attacks = [stranger("opens", served.b, 100) for _ in range(2)]
            done = [result(attack) for attack in attacks]
            assert sum(d["accepted"] for d in done) == 19, done
            for attack in attacks:
                end(attack)
        honest = world.node("honest")
        honest.fund(1000)
        honest.connect(served.b)
        try:
            honest.post("/v1/channels", {"peer": served.b.id, "deposit": "10"})
            raise AssertionError("it was not refused")
        except Refused as error:
            assert "max-channels" in error.message, error.message
        served.a.post("/v1/dev/warp", {"seconds": 700})
        until("the openings to expire", lambda: all(c["phase"] != "opening"
                                                    for c in served.b.get("/v1/channels")["channels"]))
        open_channel(honest, served.b, 10)


def peers_that_do_not_read():
    with World() as world:
        with Served(world) as served:
            attacks = [stranger("deaf", served.b, 10**6) for _ in range(2)]
            done = [result(attack) for attack in attacks]
            print(f"# {done}")
            assert all(d["sent"] < 10**6 for d in done), "they were not disconnected"
            until("the log", lambda: served.b.log_text().count("took too long to read") == 2)
            for attack in attacks:
                end(attack)
            served.pay()


sys.exit(run("strangers", (flood_of_handshakes, garbage_at_every_point, requests_that_are_never_confirmed,
                           limit_in_total, peers_that_do_not_read)))
