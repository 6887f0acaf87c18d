"""Two real daemons that may be killed at a crash point, and a script that goes on as a patient client would.

A party runs under the preload shim.c, which ends it with SIGKILL at the planned point. A guard brings whoever was
killed back, without the shim unless another point is planned. The script repeats a request only if no answer came: what
was answered must hold."""
import http.client
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from daemon import BUILD, CHANNELD, Node, Refused  # noqa: E402

SHIM = os.path.join(BUILD, "tests", "libcrash_shim.so")
CHEAT = os.path.join(BUILD, "tests", "cheat")
KINDS = ("commit", "chain", "write", "sync", "truncate", "rename", "unlink", "send", "http")  # as in shim.c
PERIOD, FUNDS, BOND = 60, 1000, 20
WAIT = float(os.environ.get("CRASH_WAIT", "30"))  # seconds until something that should happen counts as failed
REAPED = 5  # seconds, at most, from a broken connection until the end of the process that was killed
GONE = (OSError, http.client.HTTPException, json.JSONDecodeError)  # no answer, as the daemon was killed


class Broken(Exception):
    """What must not happen, whatever was killed."""


class Ended(Broken):
    """A daemon that no one has killed."""

    def __init__(self, name, status):
        super().__init__(f"{name} ended by itself with {status}")
        self.status = status


def memory_folder():
    """Where worlds live: SIGKILL loses nothing that was written, so memory is as good as a disk, and faster."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Ports:
    """Ports that stay a world's own while its daemons are down: below those that the system gives away."""

    def __init__(self):
        self.lock, self.next = threading.Lock(), random.randrange(10000, 30000)

    def take(self):
        with self.lock:
            while True:
                self.next = 10000 + (self.next - 9999) % 20000
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    try:
                        probe.bind(("127.0.0.1", self.next))
                        return self.next
                    except OSError:
                        continue


class Templates:
    """Data directories made once: making keys is no part of the runs."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="channel-crash-", dir=memory_folder())
        self.ports = Ports()
        for name in ("a", "b"):
            subprocess.run([CHANNELD, "init", "--dir", os.path.join(self.folder, name), "--yes", "--no-passphrase"],
                           check=True, capture_output=True, timeout=WAIT, stdin=subprocess.DEVNULL)

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Party(Node):
    """A daemon that is killed at the points of `plan`, one in each of its lives."""

    def __init__(self, world, name, plan):  # not Node's: the data directory is a copy
        self.world, self.name, self.plan, self.process = world, name, list(plan), None
        self.flags = ["--challenge-period", str(PERIOD), "--bond", str(BOND), "--max-deposit", str(FUNDS),
                      "--workers", "2", "--api", f"127.0.0.1:{world.templates.ports.take()}"]
        self.dir, self.log = os.path.join(world.folder, name), os.path.join(world.folder, name + ".log")
        self.chain, self.listen = os.path.join(world.folder, "chain"), f"127.0.0.1:{world.templates.ports.take()}"
        self.counts_file = os.path.join(world.folder, name + ".counts")
        self.killed = 0       # times, by the shim
        self.wanted = False   # it should be running
        self.lock = threading.RLock()
        shutil.copytree(os.path.join(world.templates.folder, name), self.dir)
        with open(self.counts_file, "wb") as file:
            file.write(bytes(8 * len(KINDS)))

    @property
    def popen(self):
        """The shim, while it has something to do: a life that nothing ends goes on under the first point's count."""
        env = dict(os.environ)
        if self.plan or not self.killed:
            asan = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"  # the shim comes first
            env.update(ASAN_OPTIONS=asan.lstrip(":"), LD_PRELOAD=SHIM, CRASH_DIR=self.dir,
                       CRASH_CHAIN=os.path.realpath(self.chain), CRASH_COUNTS=self.counts_file)
        if self.plan:
            env["CRASH_AT"] = self.plan[0]
        return {"env": env}

    def counts(self):
        with open(self.counts_file, "rb") as file:
            return dict(zip(KINDS, struct.unpack(f"={len(KINDS)}Q", file.read())))

    def mourn(self):
        """Its process has ended: that must have been a planned point."""
        status = self.process.wait()
        self.process = None
        if status != -signal.SIGKILL or not self.plan:
            raise Ended(self.name, status)
        self.killed += 1
        del self.plan[0]
        with open(self.counts_file, "r+b") as file:
            file.write(bytes(8 * len(KINDS)))  # a second point counts from here

    def start(self):
        with self.lock:
            self.wanted = True
            while self.process is None:
                try:
                    super().start()
                except (AssertionError, *GONE) as error:
                    try:
                        self.process.wait(REAPED)
                    except subprocess.TimeoutExpired:
                        raise Broken(f"{self.name} does not start: {error}") from error
                    self.mourn()

    def guard(self):
        with self.lock:
            if self.wanted and self.process is not None and self.process.poll() is not None:
                self.mourn()
                self.start()

    def stop(self):
        with self.lock:
            self.wanted = False
            self.process.send_signal(signal.SIGTERM)
            status = self.process.wait(WAIT)
            if status != 0:
                self.mourn()
            self.process = None

    def kill(self):
        with self.lock:
            self.wanted = False
            super().kill()


class World:
    def __init__(self, templates, plan):
        """`plan`: for each party the points to die at, one after the other."""
        self.templates = templates
        self.folder = tempfile.mkdtemp(prefix="channel-crash-", dir=memory_folder())
        self.a, self.b = (Party(self, name, plan.get(name, ())) for name in ("a", "b"))
        self.both = (self.a, self.b)
        self.accepted = []  # (payer's name, id, amount)
        self.bond_lost = False
        self.failure = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.guard)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, value, trace):
        self.over.set()
        self.thread.join()
        for party in self.both:
            party.kill()
        self.final_counts = {party.name: party.counts() for party in self.both}
        if not (kind and os.environ.get("CRASH_KEEP")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def guard(self):
        while not self.over.wait(0.005):
            for party in self.both:
                try:
                    party.guard()
                except Exception as error:  # told by insist()
                    self.failure = self.failure or error
                    return

    def each(self, *calls):
        """All at once."""
        errors = []

        def run(call):
            try:
                call()
            except Exception as error:
                errors.append(error)
        threads = [threading.Thread(target=run, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def insist(self, what, look):
        """The first true result of `look`, which may meet a daemon that is being killed."""
        deadline = time.monotonic() + WAIT
        last = None
        while time.monotonic() < deadline and not self.failure:
            try:
                last = look()
                if last:
                    return last
            except GONE as error:
                last = error
            time.sleep(0.01)
        raise self.failure or Broken(f"waited {WAIT:.0f} s for {what}: {last!r}")

    def command(self, node, path, body, done=None):
        """Repeated until an answer comes; a refusal is one only if no request was lost, or it is not `done` by then."""
        lost = False

        def look():
            nonlocal lost
            if lost and done and done():
                return True
            try:
                return node.post(path, body)
            except Refused:
                if lost and (not done or done()):
                    return True
                raise
            except GONE:
                lost = True
                raise
        return self.insist(f"an answer to {path}", look)

    def mine(self):
        """A block, whoever is there to make it."""
        for node in self.both:
            if node.process is None:
                continue
            try:
                node.post("/v1/dev/mine", {"blocks": 1})
                return
            except (*GONE, Refused):
                continue

    def logs(self):
        return "".join(node.log_text() for node in self.both)
