"""Hostile connections between real daemons: a man in the middle (tests/hostile) cuts, drops, repeats, swaps, replays
and damages each type of message. Afterwards the channel lives, every payment is settled once on both sides, a channel
with another peer has gone on all the time, and no invariant was broken."""
import itertools
import os
import queue
import subprocess
import sys
import threading

from daemon import BUILD, WAIT, Refused, World, open_channel, run, until

HOSTILE = os.path.join(BUILD, "tests", "hostile")
ALL = ("before", "after", "drop", "hole", "dup", "swap", "replay", "tamper", "damage", "tear")


class Middle:
    """The man in the middle: `dialer` connects to him and means `listener`."""

    def __init__(self, dialer, listener):
        self.dialer, self.listener, self.seen, self.replies = dialer, listener, [], queue.Queue()
        self.process = subprocess.Popen([HOSTILE, "proxy", dialer.dir, listener.dir, listener.listen], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)
        self.address = self.process.stdout.readline().split()[1]
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        status = self.process.wait(WAIT)
        self.reader.join()
        self.process.stdout.close()
        assert status == 0, f"the man in the middle ended with {status}"

    def _read(self):
        for line in self.process.stdout:
            line = line.strip()
            self.replies.put(line) if line in ("ok", "bad") else self.seen.append(line)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        assert self.replies.get(timeout=WAIT) == "ok", f"not understood: {line[:80]}"

    def hits(self):
        return sum(line.startswith("hit") for line in self.seen)

    def connect(self):
        """Both ends are connected through him."""
        self.dialer.post("/v1/peers", {"node_id": self.listener.id, "address": self.address, "wait_ms": WAIT * 1000})
        until("the connection", lambda: self.connected())

    def connected(self):
        return all(any(p["node_id"] == other.id and p["connected"] for p in node.get("/v1/peers")["peers"])
                   for node, other in ((self.dialer, self.listener), (self.listener, self.dialer)))


class Pair:
    """A payer, a merchant behind the man in the middle, and a neighbour with an honest connection to the merchant."""

    def __init__(self, world):
        self.a, self.b = world.node("a"), world.node("b", "--max-deposit", "1000000")
        self.c = world.node("c")
        for node in (self.a, self.b, self.c):
            node.fund(10**9)
        self.names = itertools.count(1)
        self.middle = Middle(self.a, self.b)

    def __enter__(self):
        self.middle.connect()
        self.c.connect(self.b)
        self.channel = open_channel(self.a, self.b, 10**6, 10**6)
        self.other = open_channel(self.c, self.b, 10**6)
        self.paid = {self.a: {}, self.b: {}}
        return self

    def __exit__(self, kind, *_):
        self.middle.__exit__()

    def pay(self, node, wait_ms=0):
        """A payment with an id of its own; it may take until the next connection."""
        name = f"{node.name}-{next(self.names)}"
        self.paid[node][name] = 1 + len(name) % 3
        return node.post("/v1/payments", {"id": name, "channel": self.channel, "amount": str(self.paid[node][name]),
                                          "wait_ms": wait_ms})["id"]

    def neighbour_pays(self):
        name = f"c-{next(self.names)}"
        done = self.c.post("/v1/payments", {"id": name, "channel": self.other, "amount": "1", "wait_ms": 20000})
        assert done["status"] == "settled", done

    def settle(self):
        """Connects again; everything that was asked for is settled."""
        self.middle.say("forget")
        self.middle.say("cut")
        self.middle.say("go")
        self.middle.connect()
        for node in (self.a, self.b):
            name = self.pay(node, wait_ms=20000)
            status = node.get("/v1/payments/" + name)["status"]
            assert status == "settled", f"{name} is {status}"

    def account(self):
        """Every payment once, in both books; then both agree on the balance."""
        for payer, payee in ((self.a, self.b), (self.b, self.a)):
            for node, direction in ((payer, "out"), (payee, "in")):
                rows = {p["id"]: p for p in node.payments(channel=self.channel, direction=direction)}
                wrong = {i: rows.get(i) for i, amount in self.paid[payer].items()
                         if i not in rows or rows[i]["status"] != "settled" or rows[i]["amount"] != str(amount)}
                assert not wrong, f"{node.name} {direction}: {dict(list(wrong.items())[:3])}"
                assert len(rows) == len(self.paid[payer]), f"{node.name} {direction}: too many"
        moved = sum(self.paid[self.a].values()) - sum(self.paid[self.b].values())
        for node, mine in ((self.a, 10**6 - moved), (self.b, 10**6 + moved)):
            state = node.show(self.channel)
            assert state["balance"]["mine"] == str(mine) and not state["frozen"], state
        assert_sound(self.a, self.b, self.c)


def assert_sound(*nodes):
    for node in nodes:
        broken = [line for line in node.log_text().splitlines() if " BROKEN " in line]
        assert not broken, f"{node.name}: {broken[:3]}"


def attempt(pair, rules, act, count=1):
    """Waits for the rules to hit while `act` makes the messages come."""
    middle, before = pair.middle, pair.middle.hits()
    for rule in rules:
        middle.say(rule)
    act()
    until(f"{rules} to hit", lambda: middle.hits() >= before + count, wait=20)
    pair.neighbour_pays()
    pair.settle()


def arg_of(action, number):
    return f" {(7, 20, 40, 60)[number % 4]}" if action in ("tamper", "damage", "tear") else ""


def every_update():
    """Proposals and accepts, from either side, with payments in flight on both."""
    with World() as world, Pair(world) as pair:
        for number, (action, side, nth) in enumerate(itertools.product(ALL, "ab", (1, 2))):
            attempt(pair, [f"{action} {side} update:{nth}{arg_of(action, number)}"],
                    lambda: [pair.pay(node) for node in (pair.a, pair.b, pair.a, pair.b)] and
                    [pair.pay(node, wait_ms=50) for node in (pair.a, pair.b)])
        pair.account()


def every_message_of_a_new_connection():
    """Reestablish, the hint about funds, and the full state that a missed accept makes necessary."""
    with World() as world, Pair(world) as pair:
        middle = pair.middle

        def again():
            pair.pay(pair.a)
            pair.pay(pair.b)
            middle.say("cut")
            middle.connect()

        for number, (action, side, kind) in enumerate(itertools.product(ALL, "ab", ("reestablish", "funds"))):
            attempt(pair, [f"{action} {side} {kind}:1{arg_of(action, number)}"], again)
        for number, (action, side) in enumerate(itertools.product(ALL, "ab")):
            other = {"a": pair.b, "b": pair.a}[side]
            attempt(pair, [f"before {side} update:1", f"{action} {side} full_state:1{arg_of(action, number)}"],
                    lambda: pair.pay(other) and middle.connect(), count=2)
        pair.account()


def every_keep_alive_and_error():
    """Pings, pongs and errors change nothing, however they come."""
    with World() as world, Pair(world) as pair:
        for number, (action, side) in enumerate(itertools.product(ALL, "ab")):
            for kind, message in (("pong", "0012"), ("error", "00ca")):  # an unknown even type is an error
                attempt(pair, [f"{action} {side} {kind}:1{arg_of(action, number)}"],
                        lambda: pair.middle.say(f"send {side} {message}"))
        pair.account()


def every_message_of_an_opening():
    """Either both have the channel and pay in it, or nobody has deposited anything; what was left half done expires."""
    with World() as world, Pair(world) as pair:
        a, b, opened = pair.a, pair.b, []

        def ask():
            try:
                opened.append(a.post("/v1/channels", {"peer": b.id, "deposit": "1000", "wait_ms": 500})["id"])
            except Refused as error:
                assert error.code in ("no_answer", "not_connected", "peer_refused", "protocol_violation"), str(error)

        sides = (("a", "open_request"), ("b", "open_accept"), ("a", "open_confirm"))
        for number, (action, (side, kind)) in enumerate(itertools.product(ALL, sides)):
            attempt(pair, [f"{action} {side} {kind}:1{arg_of(action, number)}"], ask)
        assert len(opened) >= len(ALL)  # the opener has stored it before it confirms
        for channel in opened:
            for node in (a, b):
                until(f"{channel} at {node.name}", lambda: node.show(channel)["phase"] == "open")
            until("it to be in step", lambda: a.show(channel)["synced"])
            done = a.post("/v1/payments", {"id": channel[2:], "channel": channel, "amount": "1", "wait_ms": 20000})
            assert done["status"] == "settled", done
        a.post("/v1/dev/warp", {"seconds": 700})
        until("the rest to expire", lambda: all(c["phase"] != "opening" for c in b.get("/v1/channels")["channels"]))
        mine = {c["id"] for c in a.get("/v1/channels")["channels"]}
        left = [c for c in b.get("/v1/channels")["channels"] if c["id"] not in mine | {pair.other}]
        assert all(c["phase"] == "abandoned" for c in left), left
        assert a.balance() == 10**9 - 10**6 - 1000 * len(opened)
        pair.account()


def paid_channels(a, b, n):
    """Many channels at once, in each of which `a` has put 1000 and paid 100."""
    channels = [a.post("/v1/channels", {"peer": b.id, "deposit": "1000"})["id"] for _ in range(n)]
    for channel in channels:
        for node in (a, b):
            until("the deposit", lambda: node.show(channel)["phase"] == "open" and node.show(channel)["synced"])
        done = a.post("/v1/payments", {"id": channel[2:], "channel": channel, "amount": "100", "wait_ms": 20000})
        assert done["status"] == "settled", done
    return channels


def every_close():
    """Leaving together ends with the same money on the chain, however the two signatures come."""
    with World() as world, Pair(world) as pair:
        a, b = pair.a, pair.b
        cases = list(itertools.product(ALL, "ab"))
        channels = paid_channels(a, b, len(cases))
        for number, ((action, side), channel) in enumerate(zip(cases, channels)):
            node = (a, b)[number // 2 % 2]
            attempt(pair, [f"{action} {side} close:1{arg_of(action, number)}"],
                    lambda: node.post(f"/v1/channels/{channel}/close"))
        for case, channel in zip(cases, channels):
            for node in (a, b):
                until(f"{case}: the end at {node.name}", lambda: node.show(channel)["phase"] == "closed")
            assert a.show(channel)["ended"]["paid"] == {"mine": "900", "peer": "100"}
        assert a.balance() == 10**9 - 10**6 - 100 * len(channels)
        assert b.balance() == 10**9 - 10**6 + 100 * len(channels)
        pair.account()


def every_withdrawal():
    """The money comes out once, however the two signatures come, and the channel goes on."""
    with World() as world, Pair(world) as pair:
        a, b = pair.a, pair.b
        cases = list(itertools.product(ALL, "ab"))
        channels = paid_channels(a, b, len(cases))
        for number, ((action, side), channel) in enumerate(zip(cases, channels)):
            node = (a, b)[number // 2 % 2]
            attempt(pair, [f"{action} {side} withdraw:1{arg_of(action, number)}"],
                    lambda: node.post(f"/v1/channels/{channel}/withdraw", {"amount": "50", "wait_ms": 0}))
        for number, (case, channel) in enumerate(zip(cases, channels)):
            left = ("850", "100") if number // 2 % 2 == 0 else ("900", "50")

            def withdrawn():
                balance = a.show(channel)["balance"]
                return (balance["mine"], balance["peer"]) == left

            until(f"{case}: the withdrawal", withdrawn)
            body = {"id": f"w{channel[2:60]}", "channel": channel, "amount": "1", "wait_ms": 20000}
            done = a.post("/v1/payments", body)
            assert done["status"] == "settled", done
        assert a.balance() == 10**9 - 10**6 - (1000 - 25) * len(channels)
        assert b.balance() == 10**9 - 10**6 + 25 * len(channels)
        pair.account()


# Where each field of a Reestablish of the first few versions begins, and what a lie there does.
RECOVERS = {"channel": 4, "epoch": 37, "version": 39, "highest_signed": 75, "outstanding": 77, "frozen": 79,
            "proof.version": 117, "proof.outcome": 120, "proof.signature": 154}
FREEZES = {"digest": 42, "instance": 82}


def every_lie_in_reestablish():
    """A claim alone changes nothing: with the next connection the channel goes on."""
    with World() as world, Pair(world) as pair:
        pair.settle()
        for side, (field, offset) in itertools.product("ab", RECOVERS.items()):
            assert pair.a.show(pair.channel)["version"] < 100, "versions of one byte are needed"
            attempt(pair, [f"tamper {side} reestablish:1 {offset}"],
                    lambda: pair.middle.say("cut") or pair.middle.connect())
        pair.account()


def two_memories():
    """Another digest under the same version, and a process that seems to run twice: one channel is frozen and says
    why, the others live."""
    for field, offset in FREEZES.items():
        with World() as world, Pair(world) as pair:
            a, b = pair.a, pair.b
            other = open_channel(a, b, 1000)
            for channel in (pair.channel, other):
                done = a.post("/v1/payments", {"id": channel[2:], "channel": channel, "amount": "1", "wait_ms": 20000})
                assert done["status"] == "settled", done

            def frozen():
                return [c["id"] for c in b.get("/v1/channels")["channels"] if c["frozen"]]

            pair.middle.say(f"tamper a reestablish:1 {offset}")
            for _ in range(2):
                pair.middle.say("cut")
                pair.middle.connect()
                until("both channels to have met",
                      lambda: frozen() or all(b.show(c)["synced"] for c in (pair.channel, other)))
            found = until(f"a freeze for another {field}", frozen)
            assert len(found) == 1, found
            assert b.show(found[0])["freeze_reason"], b.show(found[0])
            alive = other if found == [pair.channel] else pair.channel
            done = a.post("/v1/payments", {"id": "alive", "channel": alive, "amount": "1", "wait_ms": 20000})
            assert done["status"] == "settled", done
            pair.neighbour_pays()
            assert_sound(a, b, pair.c)


def messages_of_nobody():
    """What no release sends: too short, too long, unknown, bare bytes. Unknown odd types alone are ignored."""
    with World() as world, Pair(world) as pair:
        middle = pair.middle
        bad = {"zero": "", "one byte": "00", "unknown even": "00ca", "longest": "006e" + "00" * 65533,
               "a type alone": "006c", "longest even": "fffe" + "ff" * 65533, "unknown channel": "006e0a20" + "77" * 32}
        for to, (name, message) in itertools.product("ab", bad.items()):
            downs = middle.seen.count("down")
            middle.say(f"send {to} {message}".rstrip())
            until(f"{name} to be refused", lambda: middle.seen.count("down") > downs, wait=20)
            pair.neighbour_pays()
            pair.settle()
        for to in "ab":
            downs = middle.seen.count("down")
            for message in ("00cb", "ffff" + "11" * 65533, "00130000", "001200"):
                middle.say(f"send {to} {message}")
            for node in (pair.a, pair.b):
                name = pair.pay(node, wait_ms=20000)
                assert node.get("/v1/payments/" + name)["status"] == "settled"
            assert middle.seen.count("down") == downs, "a message that may be ignored ended the connection"
        pair.account()


def one_that_does_not_read():
    """A peer that stops reading is waited for; the others are served, and all is settled when it reads again."""
    with World() as world, Pair(world) as pair:
        for side, node in (("a", pair.b), ("b", pair.a)):
            pair.middle.say(f"stall {side}")
            for _ in range(50):
                pair.pay(node)
            for _ in range(10):
                pair.neighbour_pays()
            pair.middle.say("go")
            name = pair.pay(node, wait_ms=20000)
            assert node.get("/v1/payments/" + name)["status"] == "settled"
        pair.account()


sys.exit(run("hostile", (every_update, every_message_of_a_new_connection, every_keep_alive_and_error,
                         every_message_of_an_opening, every_close, every_withdrawal, every_lie_in_reestablish,
                         two_memories, messages_of_nobody, one_that_does_not_read)))
