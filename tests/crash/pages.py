"""Every page of a node's database damaged in turn: the daemon refuses to start, says why and ends with an error, or it
serves exactly what it served before and goes on. What it must never do is serve something else.

  pages.py                   every page, every kind of damage
  pages.py --at PAGE:KIND    one, as failures print it
CRASH_SEED repeats a run: where in its page a damage lies is chosen by it."""
import argparse
import concurrent.futures
import json
import os
import random
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scripts import begin, close, open_channel, pay_both  # noqa: E402
from world import Broken, Ended, Party, Templates, World, memory_folder  # noqa: E402

PAGE = 4096
BATCH = 40  # payments of the second channel, made at once
DEFAULT_SEED = 1


# --- The damages: functions of the whole file's bytes, the place of the page, and a source of randomness -------


def one_bit(data, at, rng):
    data[at + rng.randrange(PAGE)] ^= 1 << rng.randrange(8)


def one_byte(data, at, rng):
    data[at + rng.randrange(PAGE)] ^= rng.randrange(1, 256)


def one_digit(data, at, rng):
    """A number in clear becomes another: what no check of the form can notice."""
    digits = [i for i in range(at, at + PAGE) if 0x30 <= data[i] <= 0x39]
    if not digits:
        return one_bit(data, at, rng)
    i = rng.choice(digits)
    data[i] = 0x30 + (data[i] - 0x30 + rng.randrange(1, 10)) % 10


def sector(data, at, rng):
    start = at + 512 * rng.randrange(PAGE // 512)
    data[start:start + 512] = rng.randbytes(512)


def zeroes(data, at, _rng):
    data[at:at + PAGE] = bytes(PAGE)


def noise(data, at, rng):
    data[at:at + PAGE] = rng.randbytes(PAGE)


def neighbour(data, at, _rng):
    """The page holds another one's bytes, as after a misdirected write."""
    other = at + PAGE if at + 2 * PAGE <= len(data) else at - PAGE
    data[at:at + PAGE] = data[other:other + PAGE]


def cut(data, at, _rng):
    del data[at + PAGE // 2:]


DAMAGES = {f.__name__: f for f in (one_bit, one_byte, one_digit, sector, zeroes, noise, neighbour, cut)}


# --- What a node serves ---------------------------------------------------------------------------------------


def served(node):
    """Everything that it answers from its database."""
    channels = node.get("/v1/channels")["channels"]
    document = {"channels": channels, "payments": node.payments(), "wallet": node.get("/v1/wallet"),
                "peers": [p["node_id"] for p in node.get("/v1/peers")["peers"]],
                "histories": [node.get(f"/v1/channels/{c['id']}/history?limit=1000") for c in channels],
                "found": [node.get("/v1/payments/" + p["id"]) for p in node.payments(direction="out")]}
    return json.loads(json.dumps(document))


def goes_on(node):
    """It takes a payment, which waits for the peer."""
    channel = next(c["id"] for c in node.get("/v1/channels")["channels"] if c["phase"] == "open")
    payment = node.post("/v1/payments", {"id": "after", "channel": channel, "amount": "1", "wait_ms": 0})
    return payment["status"] == "pending" and node.get("/v1/payments/after")["amount"] == "1"


class Model:
    """A node that was stopped cleanly: one channel is closed, the other open with payments of both sides."""

    def __init__(self, templates):
        self.templates = templates
        self.folder = tempfile.mkdtemp(prefix="channel-pages-", dir=memory_folder())
        with World(templates, {}) as w:
            begin(w)
            first = open_channel(w)
            pay_both(w, first, "first", 3)
            close(w, first)
            second = open_channel(w)
            for node in w.both:
                batch = [{"id": f"{node.name}-many-{i}", "channel": second, "amount": "1"} for i in range(BATCH)]
                node.post("/v1/payments", {"payments": batch, "wait_ms": 20000})
            w.insist("a to be in step", lambda: w.a.show(second)["synced"])
            w.insist("b's payments", lambda: len(w.a.payments(direction="in")) == BATCH + 3)
            w.each(w.a.stop, w.b.stop)
            shutil.copytree(w.a.dir, os.path.join(self.folder, "a"))
            shutil.copy(w.a.chain, os.path.join(self.folder, "chain"))
        with open(os.path.join(self.folder, "a", "channeld.db"), "rb") as file:
            self.data = file.read()
        self.pages = len(self.data) // PAGE

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Copy(Party):
    """A copy of the model's node, on a copy of its chain."""

    def __init__(self, model, world, data):
        super().__init__(world, "a", ())
        shutil.rmtree(self.dir)
        shutil.copytree(os.path.join(model.folder, "a"), self.dir)
        shutil.copy(os.path.join(model.folder, "chain"), self.chain)
        with open(os.path.join(self.dir, "channeld.db"), "wb") as file:
            file.write(data)

    popen = {}


class Nowhere:
    """What a party needs of a world, without one."""

    def __init__(self, model):
        self.templates = model.templates
        self.folder = tempfile.mkdtemp(dir=model.folder)


def starts(node):
    """True: it answers. False: it ended, with an error and a sentence."""
    try:
        node.start()
        return True
    except Ended as error:
        if error.status == 1 and "channeld: the database " in node.log_text():
            return False
        raise Broken(f"{error}: {node.log_text()[-600:]}") from error


def outcome(model, data, reference):
    """"refused" or "correct", or what is wrong."""
    place = Nowhere(model)
    node = Copy(model, place, data)
    try:
        if not starts(node):
            return "refused"
        have = served(node)
        if reference is None:
            return have
        if have != reference:
            parts = [part for part in reference if have[part] != reference[part]]
            return f"serves other {', '.join(parts)}: {json.dumps(have[parts[0]])[:300]}"
        if not goes_on(node):
            return "does not go on"
        node.stop()
        return "correct" if "BROKEN" not in node.log_text() else "BROKEN in the log"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:700]
    finally:
        node.kill()
        shutil.rmtree(place.folder, ignore_errors=True)


def main(argv):
    parser = argparse.ArgumentParser(description="every page of the database damaged in turn")
    parser.add_argument("--at", action="append", help="PAGE:KIND")
    args = parser.parse_args(argv)
    seed, started = int(os.environ.get("CRASH_SEED", DEFAULT_SEED)), time.monotonic()
    templates = Templates()
    model = Model(templates)
    try:
        reference = outcome(model, model.data, None)
        if not isinstance(reference, dict) or outcome(model, model.data, reference) != "correct":
            print(f"not ok pages: the whole database: {str(reference)[:500]}\n1..1")
            return 1
        cases = [tuple(at.split(":")) for at in args.at or ()]
        cases = cases or [(k, name) for k in range(1, model.pages + 1) for name in DAMAGES]
        results = {}

        def one(case):
            data = bytearray(model.data)
            DAMAGES[case[1]](data, (int(case[0]) - 1) * PAGE, random.Random(f"{seed} {case[0]} {case[1]}"))
            results[case] = outcome(model, bytes(data), reference)
            if results[case] not in ("refused", "correct"):
                print(f"# WRONG {case[0]}:{case[1]} {results[case]}", flush=True)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(one, cases))
    finally:
        model.remove()
        templates.remove()
    refused, correct = (list(results.values()).count(word) for word in ("refused", "correct"))
    wrong = len(results) - refused - correct
    print(f"# {model.pages} pages, {len(DAMAGES)} kinds of damage, CRASH_SEED={seed}")
    print(f"pages: {len(results)} damaged, refused={refused} correct={correct} wrong={wrong}")
    print(f"{'not ok' if wrong or not results else 'ok'} pages # {time.monotonic() - started:.0f} s\n1..1")
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
