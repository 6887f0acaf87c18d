"""Real daemons for the end-to-end tests: each node is a channeld process with a data directory and ports of its own.

Every answer of the API is held against proto/openapi.yaml. Nothing sleeps for a guess: until() asks again and again up to
a deadline.
"""
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from openapi_check import Spec  # noqa: E402

BUILD = os.path.abspath(os.environ.get("BUILD_DIR", os.path.join(ROOT, "build")))
CHANNELD = os.path.join(BUILD, "channeld", "channeld")
CLI = os.path.join(BUILD, "channeld", "channel-cli")
SPEC = Spec()
WAIT = 60  # seconds that anything may take, also under a sanitizer


class Refused(Exception):
    """The API answered with an error."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body['code']}: {body['message']}")
        self.status, self.code, self.message = status, body["code"], body["message"]


def until(what, look, wait=WAIT):
    """The first true result of `look`."""
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        result = look()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(f"waited {wait} s for {what}")


class World:
    """A folder with a chain and nodes; all processes end and all files go when the test does."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="channel-e2e-")
        self.nodes = []
        return self

    def __exit__(self, kind, value, trace):
        for node in self.nodes:
            node.kill()
            if kind:
                print(f"# the end of {node.name}'s log\n# " + "\n# ".join(node.log_text().splitlines()[-40:]))
        shutil.rmtree(self.folder, ignore_errors=True)

    def node(self, name, *flags, start=True, made=False, **popen):
        """A new node, or (made) one whose data directory is there already."""
        node = Node(self, name, flags, popen)
        if not made:
            node.init()
        self.nodes.append(node)
        if start:
            node.start()
        return node


class Node:
    def __init__(self, world, name, flags, popen):
        self.name, self.flags, self.popen, self.process = name, list(flags), popen, None
        self.dir, self.log = os.path.join(world.folder, name), os.path.join(world.folder, name + ".log")
        self.chain = os.path.join(world.folder, "chain")
        self.listen = "127.0.0.1:0"

    def init(self):
        done = subprocess.run([CHANNELD, "init", "--dir", self.dir, "--yes", "--no-passphrase"], capture_output=True,
                              text=True, timeout=WAIT, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr

    def log_text(self):
        return open(self.log, errors="replace").read() if os.path.exists(self.log) else ""

    def argv(self, *more):
        return [CHANNELD, "--dir", self.dir, "--l1", f"dev:{self.chain}", "--listen", self.listen, "--api",
                "127.0.0.1:0", *self.flags, *more]

    def start(self):
        """Starts the daemon and waits until it answers. Again on the same port, where its peers look for it."""
        for name in ("api.address", "peer.address"):  # of a process that was killed
            if os.path.exists(os.path.join(self.dir, name)):
                os.unlink(os.path.join(self.dir, name))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, **self.popen)

        def ready():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}"
            return os.path.exists(os.path.join(self.dir, "api.address"))
        until(f"{self.name}'s API", ready)
        self.api = self.read("api.address")
        self.listen = self.read("peer.address")
        self.token = self.read("api.token")
        self.id = self.get("/v1/info")["node_id"]

    def read(self, name):
        with open(os.path.join(self.dir, name)) as file:
            return file.read().strip()

    def stop(self):
        """A clean stop, which must be quick and without complaint."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(WAIT)
        self.process = None
        assert status == 0, f"{self.name} stopped with {status}"

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def request(self, method, path, body=None, token=None):
        """(status, body), held against the specification."""
        connection = http.client.HTTPConnection(self.api, timeout=2 * WAIT)
        headers = {"Authorization": "Bearer " + (self.token if token is None else token)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            document = json.loads(reply.read())
        finally:
            connection.close()
        wrong = list(SPEC.response(method.lower(), path.split("?")[0], reply.status, document))
        assert not wrong, f"{method} {path} gave {reply.status} {document}, which the specification forbids: {wrong[:3]}"
        return reply.status, document

    def call(self, method, path, body=None):
        status, document = self.request(method, path, body)
        if status >= 400:
            raise Refused(status, document)
        return document

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body=None):
        return self.call("POST", path, {} if body is None else body)

    def cli(self, *args, token_file=None):
        """The finished channel-cli."""
        more = ["--token-file", token_file] if token_file else []
        return subprocess.run([CLI, "--dir", self.dir, *more, *args], capture_output=True, text=True, timeout=2 * WAIT,
                              stdin=subprocess.DEVNULL)

    # What tests do often

    def balance(self):
        return int(self.get("/v1/wallet")["balance"])

    def fund(self, amount):
        self.post("/v1/dev/faucet", {"amount": str(amount)})

    def connect(self, other):
        return self.post("/v1/peers", {"node_id": other.id, "address": other.listen, "wait_ms": WAIT * 1000})

    def show(self, channel):
        return self.get("/v1/channels/" + channel)

    def until_phase(self, channel, phase):
        until(f"{self.name}'s channel to be {phase}", lambda: self.show(channel)["phase"] == phase)

    def payments(self, **filters):
        """All of them, page by page."""
        found, after = [], 0
        while after is not None:
            query = "&".join(f"{k}={v}" for k, v in {**filters, "limit": 1000, "after": after}.items())
            page = self.get("/v1/payments?" + query)
            found += page["payments"]
            after = page["next"]
        return found


def pair(world, *flags):
    """A payer with one worker and a merchant with three, connected, with 1,000,000 each."""
    a = world.node("payer", "--workers", "1", *flags)
    b = world.node("merchant", "--workers", "3", "--max-deposit", "1000000", *flags)
    for node in (a, b):
        node.fund(1000000)
    a.connect(b)
    return a, b


def pay(node, channel, payment_id, amount):
    """Pays, and it settles."""
    done = node.post("/v1/payments", {"id": payment_id, "channel": channel, "amount": str(amount),
                                      "wait_ms": WAIT * 1000})
    assert done["status"] == "settled", done
    return done


def refused(status, code, call):
    try:
        call()
    except Refused as error:
        assert (error.status, error.code) == (status, code), str(error)
        return
    raise AssertionError(f"{status} {code} was expected")


def open_channel(a, b, deposit, peer_deposit=0):
    """A channel that both sides can use."""
    opened = a.post("/v1/channels", {"peer": b.id, "deposit": str(deposit), "peer_deposit": str(peer_deposit)})
    want = {a: {"mine": str(deposit), "peer": str(peer_deposit)}, b: {"mine": str(peer_deposit), "peer": str(deposit)}}
    for node in (a, b):
        until(f"{node.name} to see the deposits", lambda: node.show(opened["id"])["contributions"] == want[node])
        until(f"{node.name} to be in step", lambda: node.show(opened["id"])["synced"])
    return opened["id"]


def assert_fails(done, *parts):
    """It ended with a non-zero status and one line on standard error, which has all the parts."""
    error = done.stderr.strip()
    assert done.returncode != 0, "it did not fail"
    assert len(error.splitlines()) == 1, f"not one line: {error}"
    for part in parts:
        assert part in error, f"`{part}` is not in: {error}"


def channeld(*args, env=None, text=None):
    return subprocess.run([CHANNELD, *args], capture_output=True, text=True, timeout=WAIT, input=text,
                          env={**os.environ, **(env or {})})


def run(prefix, tests):
    """Runs test functions, which raise if they fail, and prints TAP. Returns the exit status."""
    failed = 0
    if not os.path.exists(CHANNELD):
        print(f"not ok {prefix}: {CHANNELD} is not built")
        return 1
    for test in tests:
        name = f"{prefix}: {test.__name__.replace('_', ' ')}"
        started = time.monotonic()
        try:
            test()
            print(f"ok {name} # {time.monotonic() - started:.1f} s", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {name}\n# " + "\n# ".join(traceback.format_exc().splitlines()), flush=True)
    print(f"1..{len(tests)}")
    return 1 if failed else 0
