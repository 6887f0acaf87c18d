"""Money in and out of running channels: top-ups, withdrawals, both sides funded at once, opening again, leaving all."""
import contextlib
import os
import socket
import sqlite3
import sys
import threading

from daemon import WAIT, Refused, World, assert_fails, open_channel, pair, pay, refused, run, until

PERIOD = 3600
FLAGS = ("--challenge-period", str(PERIOD))
LONG = {"wait_ms": WAIT * 1000}


def deposit(node, channel, amount, **more):
    return node.post(f"/v1/channels/{channel}/deposit", {"amount": str(amount), **LONG, **more})


def withdraw(node, channel, amount, **more):
    return node.post(f"/v1/channels/{channel}/withdraw", {"amount": str(amount), **LONG, **more})


def close(a, b, channel):
    a.post(f"/v1/channels/{channel}/close", LONG)
    for node in (a, b):
        node.until_phase(channel, "closed")


def until_sees(node, channel, mine, peer):
    want = {"mine": str(mine), "peer": str(peer)}
    until(f"{node.name} to see {want}", lambda: node.show(channel)["contributions"] == want)


class Paying:
    """Payments of one unit, one by one, while the block runs."""

    def __init__(self, node, channel, name):
        self.node, self.channel, self.name, self.count, self.error = node, channel, name, 0, None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.go)

    def go(self):
        try:
            while not self.stopping.is_set():
                pay(self.node, self.channel, f"{self.name}-{self.count}", 1)
                self.count += 1
        except Exception as error:  # told by __exit__
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(WAIT)
        assert self.error is None, self.error
        assert self.count > 0, "nothing was paid"


def top_up_by_either_side():
    """While payments run both ways; the new money can be spent."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000, 1000)
        with Paying(a, channel, "a") as there, Paying(b, channel, "b") as back:
            assert deposit(a, channel, 500)["contributions"]["mine"] == "1500"
            assert deposit(b, channel, 70)["contributions"]["mine"] == "1070"
        until_sees(a, channel, 1500, 1070)
        until_sees(b, channel, 1070, 1500)
        net = there.count - back.count
        assert int(a.show(channel)["balance"]["mine"]) == 1500 - net
        pay(a, channel, "all", 1500 - net)
        close(a, b, channel)
        assert (a.balance(), b.balance()) == (1000000 - 1500, 1000000 + 1500)


def deposit_once():
    """The same id deposits once, also after the channel was closed and opened again; another amount is refused."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        for _ in range(2):
            assert deposit(a, channel, 500, deposit_id="top-up")["contributions"]["mine"] == "1500"
        refused(409, "deposit_id_used", lambda: deposit(a, channel, 501, deposit_id="top-up"))
        refused(409, "insufficient_funds", lambda: deposit(a, channel, 1000000))
        refused(400, "bad_argument", lambda: deposit(a, channel, 0))
        a.post("/v1/wallet/send", {"to": b.get("/v1/wallet/address")["address"], "amount": str(a.balance())})
        until("the account to be empty", lambda: a.balance() == 0)
        deposit(a, channel, 500, deposit_id="top-up")  # what was done stays done
        close(a, b, channel)
        assert a.balance() == 1500
        deposit(a, channel, 500, deposit_id="top-up")
        assert (a.show(channel)["phase"], a.balance()) == ("closed", 1500)
        assert deposit(a, channel, 100, deposit_id="again")["phase"] == "open"
        deposit(a, channel, 500, deposit_id="top-up")
        assert (a.show(channel)["contributions"]["mine"], a.balance()) == ("100", 1400)


def withdraw_while_paying():
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 100000, 5000)
        with Paying(a, channel, "a") as there:
            shown = withdraw(b, channel, 3000)
            assert shown["contributions"]["mine"] == "2000" and shown["balance"]["reserved"]["mine"] == "0", shown
            until_sees(a, channel, 100000, 2000)  # one at a time: the payer must see it ended, too
            withdraw(a, channel, 40000)
        until_sees(a, channel, 60000, 2000)
        assert (a.balance(), b.balance()) == (1000000 - 60000, 1000000 - 2000)
        pay(b, channel, "back", 2000 + there.count)
        close(a, b, channel)
        assert (a.balance(), b.balance()) == (1000000 + 2000, 1000000 - 2000)


def withdraw_what_was_received():
    """More than was ever put in: what the peer has paid is mine."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        pay(a, channel, "p", 600)
        withdraw(b, channel, 600)
        assert b.balance() == 1000600
        until_sees(a, channel, 1000, -600)
        pay(a, channel, "rest", 400)
        close(a, b, channel)
        assert (a.balance(), b.balance()) == (999000, 1001000)


def withdraw_too_much():
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        refused(409, "insufficient_funds", lambda: withdraw(a, channel, 1001))
        refused(409, "insufficient_funds", lambda: withdraw(b, channel, 1))
        refused(400, "bad_argument", lambda: withdraw(a, channel, 0))
        assert_fails(a.cli("channel", "withdraw", channel, "1001"), "too small", "top up")
        assert a.show(channel)["balance"]["reserved"] == {"mine": "0", "peer": "0"}
        pay(a, channel, "all", 1000)


def withdraw_while_peer_is_away():
    """It waits for the peer, with the money set aside, over a restart, too; and is done when the peer is back."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        b.stop()
        until("the merchant to be gone", lambda: not a.show(channel)["connected"])
        shown = withdraw(a, channel, 300, wait_ms=0)
        assert shown["waits_for"]["code"] == "peer", shown["waits_for"]
        assert (shown["balance"]["reserved"]["mine"], shown["balance"]["spendable"]) == ("300", "700")
        refused(409, "insufficient_funds", lambda: pay(a, channel, "too-much", 701))
        refused(409, "withdrawal_under_way", lambda: withdraw(a, channel, 1))
        a.stop()
        a.start()
        assert a.show(channel)["balance"]["reserved"]["mine"] == "300"
        b.start()
        until_sees(a, channel, 700, 0)
        until_sees(b, channel, 0, 700)
        assert a.balance() == 1000000 - 700


class Hole:
    """Stands between a node and its peer. Once armed it lets one more message to the peer through and swallows the rest;
    what comes back passes."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.to, self.left, self.sockets = (host, int(port)), None, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                near = self.listener.accept()[0]
                far = socket.create_connection(self.to)
                self.sockets += [near, far]
                for one, other, forth in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self.carry, args=(one, other, forth), daemon=True).start()
        except OSError:
            pass  # closed

    def carry(self, one, other, forth):
        try:
            while data := one.recv(1 << 16):
                if forth and self.left is not None:
                    self.left -= 1
                    if self.left < 0:
                        continue
                other.sendall(data)
        except OSError:
            pass
        finally:
            for s in (one, other):
                s.close()

    def close(self):
        for s in (self.listener, *self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()


def withdrawal_expires():
    """The peer never signs: after validUntil the money can be spent again, by both sides' books."""
    with World() as world:
        a = world.node("payer", "--challenge-period", str(PERIOD))
        b = world.node("merchant", "--challenge-period", str(PERIOD))
        a.fund(1000000)
        hole = Hole(b.listen)
        a.post("/v1/peers", {"node_id": b.id, "address": hole.address, **LONG})
        channel = open_channel(a, b, 1000)
        pay(a, channel, "before", 100)
        hole.left = 1  # the proposal that reserves; not the signature on Withdraw
        shown = withdraw(a, channel, 300, wait_ms=0)
        shown = until("the reservation", lambda: [s for s in [a.show(channel)] if s["waits_for"]["until"]])[0]
        assert shown["waits_for"]["code"] == "withdraw_signature", shown["waits_for"]
        assert (shown["balance"]["mine"], shown["balance"]["spendable"]) == ("900", "600")
        until("the merchant's books", lambda: b.show(channel)["balance"]["reserved"]["peer"] == "300")
        hole.close()
        until("the line to be cut", lambda: not a.show(channel)["connected"] and not b.show(channel)["connected"])
        a.post("/v1/dev/warp", {"seconds": PERIOD + 10})
        for node in (a, b):
            until("the end", lambda: node.show(channel)["balance"]["reserved"] == {"mine": "0", "peer": "0"})
        assert a.show(channel)["balance"]["spendable"] == "900"
        causes = [h["cause"] for h in a.get(f"/v1/channels/{channel}/history")["history"]]
        assert "a withdrawal expired unused: 300" in causes, causes
        a.connect(b)
        pay(a, channel, "all", 900)
        assert (a.balance(), b.show(channel)["balance"]["mine"]) == (999000, "1000")


def fund_both():
    """The opener pays both deposits; the peer, which would deposit nothing, nothing."""
    with World() as world:
        a, b = world.node("a"), world.node("b")
        a.fund(1000)
        a.connect(b)
        body = {"peer": b.id, "deposit": "600", "peer_deposit": "401", "fund_both": True}
        refused(409, "insufficient_funds", lambda: a.post("/v1/channels", body))
        done = a.cli("channel", "open", b.id, "--deposit", "600", "--peer-deposit", "400", "--fund-both", "--json")
        assert done.returncode == 0, done.stderr
        channel = a.get("/v1/channels")["channels"][0]["id"]
        until_sees(a, channel, 600, 400)
        until_sees(b, channel, 400, 600)
        assert (a.balance(), b.balance()) == (0, 0)
        pay(b, channel, "gift", 400)
        close(b, a, channel)
        assert (a.balance(), b.balance()) == (1000, 0)


def open_again_after_a_restart():
    """Whoever starts with a closed channel sees that it is opened again, by the peer or by a deposit of his own."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        close(a, b, channel)
        b.stop()
        b.start()
        until("both in step", lambda: a.show(channel)["connected"])
        deposit(a, channel, 50)
        b.until_phase(channel, "open")
        until("both in step", lambda: a.show(channel)["synced"])
        pay(a, channel, "first", 50)
        close(b, a, channel)
        b.post(f"/v1/channels/{channel}/deposit", {"amount": "70"})
        b.kill()
        b.start()
        b.until_phase(channel, "open")
        a.until_phase(channel, "open")


def open_again():
    """After a cooperative close, by either side's deposit: the same id, the next epoch, nothing of the old one."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        pay(a, channel, "first", 400)
        close(a, b, channel)
        shown = deposit(b, channel, 50)
        assert (shown["phase"], shown["epoch"], shown["version"]) == ("open", 1, 0), shown
        a.until_phase(channel, "open")
        done = a.cli("channel", "deposit", channel, "70", "--wait", str(WAIT))
        assert done.returncode == 0 and "open" in done.stdout, done
        until_sees(b, channel, 50, 70)
        pay(b, channel, "second", 50)
        pay(a, channel, "third", 20)
        for node in (a, b):
            node.stop()
            node.start()
        until("both in step", lambda: a.show(channel)["synced"])
        pay(a, channel, "fourth", 100)
        close(b, a, channel)
        assert (a.balance(), b.balance()) == (1000000 - 400 + 50 - 120, 1000000 + 400 - 50 + 120)


def not_after_a_challenge():
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        b.stop()
        a.post(f"/v1/channels/{channel}/challenge")
        until("the window", lambda: a.show(channel)["waits_for"]["code"] == "window")
        refused(409, "wrong_phase", lambda: deposit(a, channel, 10))
        refused(409, "wrong_phase", lambda: withdraw(a, channel, 10))
        a.post("/v1/dev/warp", {"seconds": PERIOD + 1})
        a.until_phase(channel, "closed")
        b.start()
        b.until_phase(channel, "closed")
        for node in (a, b):
            refused(409, "salt_revealed", lambda: deposit(node, channel, 10))
            assert_fails(node.cli("channel", "deposit", channel, "10"), "salt public", "Open a new channel")
        assert (a.balance(), b.balance()) == (1000000, 1000000)


def closings(world):
    """How many channels were closed in each block that closed any; each transaction has a block of its own."""
    with contextlib.closing(sqlite3.connect(os.path.join(world.folder, "chain"))) as chain:
        return [n for n, in chain.execute("SELECT count(*) FROM events WHERE kind = 2 GROUP BY block ORDER BY block")]


def close_all():
    """One transaction closes what is ready together, whoever the peers are."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        c = world.node("third")
        a.connect(c)
        channels = [open_channel(a, b, 1000), open_channel(a, b, 500, 200), open_channel(a, c, 300)]
        pay(a, channels[2], "p", 100)
        close(a, b, channels[0])
        assert closings(world) == [1]
        done = b.cli("channel", "close", channels[0], "--all")
        assert done.returncode == 2 and "not both" in done.stderr, done
        done = a.cli("channel", "close", "--all")
        assert done.returncode == 0 and done.stdout.count("\n") == 3, done.stdout
        for node, some in ((a, channels), (b, channels[:2]), (c, channels[2:])):
            for channel in some:
                node.until_phase(channel, "closed")
        assert (a.balance(), b.balance(), c.balance()) == (999900, 1000000, 100)
        assert closings(world) == [1, 2], closings(world)
        assert a.request("POST", "/v1/channels/close", {}) == (200, {"channels": [], "refused": []})


def many_at_once():
    """Two deposits and a withdrawal under way together: each wait ends with its own."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 10000, 10000)
        jobs = [lambda: deposit(a, channel, 100), lambda: deposit(a, channel, 100), lambda: withdraw(a, channel, 50),
                lambda: deposit(b, channel, 7)]
        done = []
        threads = [threading.Thread(target=lambda job=job: done.append(job())) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * WAIT)
        assert len(done) == len(jobs), "one of them failed"
        until_sees(a, channel, 10150, 10007)
        assert (a.balance(), b.balance()) == (1000000 - 10150, 1000000 - 10007)


def move_between_channels():
    """A hub that has earned in one channel moves it into another one, where it is needed, and pays on with it."""
    with World() as world:
        a, hub = pair(world, *FLAGS)
        c = world.node("c", "--challenge-period", str(PERIOD), "--max-deposit", "1000000")
        hub.connect(c)
        source, target = open_channel(a, hub, 100000), open_channel(hub, c, 1000)
        pay(a, source, "in", 60000)
        refused(409, "insufficient_funds", lambda: pay(hub, target, "too-much", 40000))
        with Paying(a, source, "a") as there, Paying(hub, target, "h") as out:
            done = hub.cli("channel", "move", source[:14], target[:14], "50000", "--wait", str(WAIT))
            assert done.returncode == 0, done
        assert hub.show(source)["contributions"] == {"mine": "-50000", "peer": "100000"}
        until_sees(a, source, 100000, -50000)
        until_sees(hub, target, 51000, 0)
        until_sees(c, target, 0, 51000)
        pay(hub, target, "out", 40000)
        pay(hub, source, "back", 2000)
        assert hub.balance() == 1000000 - 1000  # nothing went through the account
        refused(409, "insufficient_funds", lambda: hub.post(f"/v1/channels/{source}/move", {"to": target, "amount": "50000"}))
        refused(400, "bad_argument", lambda: hub.post(f"/v1/channels/{source}/move", {"to": source, "amount": "1"}))
        refused(400, "bad_argument", lambda: hub.post(f"/v1/channels/{source}/move", {"to": target, "amount": "0"}))
        close(a, hub, source)
        refused(409, "not_open", lambda: hub.post(f"/v1/channels/{target}/move", {"to": source, "amount": "1"}))
        close(hub, c, target)
        earned, spent = 60000 - 2000 + there.count, 40000 + out.count
        assert (a.balance(), hub.balance(), c.balance()) == (1000000 - earned, 1000000 + earned - spent, spent)


sys.exit(run("money", (top_up_by_either_side, deposit_once, withdraw_while_paying, withdraw_what_was_received,
                       withdraw_too_much, withdraw_while_peer_is_away, withdrawal_expires, fund_both, open_again,
                       open_again_after_a_restart, not_after_a_challenge, close_all, many_at_once,
                       move_between_channels)))
