"""The main flow between real daemons: open, pay, close; exactly once; a challenge; a restart in between."""
import sys

from daemon import Refused, World, open_channel, pair, pay, refused, run, until

PERIOD = 60
FLAGS = ("--challenge-period", str(PERIOD))


def open_pay_close():
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 300000, 100000)
        assert (a.balance(), b.balance()) == (700000, 900000)
        for i in range(20):
            pay(a, channel, f"a-{i}", 100)
            pay(b, channel, f"b-{i}", 30)
        many = [{"id": f"m-{i}", "channel": channel, "amount": "7"} for i in range(500)]
        done = a.post("/v1/payments", {"payments": many, "wait_ms": 60000})["payments"]
        assert all(p["status"] == "settled" for p in done)
        assert done == [p for p in a.payments(direction="out") if p["id"].startswith("m-")]  # what was said is on disk
        moved = 20 * 100 - 20 * 30 + 500 * 7
        until("the merchant's balance", lambda: int(b.show(channel)["balance"]["mine"]) == 100000 + moved)
        a.post(f"/v1/channels/{channel}/close", {"wait_ms": 60000})
        for node in (a, b):
            node.until_phase(channel, "closed")
        assert (a.balance(), b.balance()) == (1000000 - moved, 1000000 + moved)
        causes = [h["cause"] for h in a.get(f"/v1/channels/{channel}/history")["history"]]
        assert causes[0].startswith("opened") and causes[-1] == "the ending is final", causes
        for node in (a, b):
            node.stop()


def each_id_once():
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        first = pay(a, channel, "once", 10)
        assert pay(a, channel, "once", 10) == first == a.get("/v1/payments/once")
        refused(409, "payment_id_used", lambda: pay(a, channel, "once", 11))
        body = {"payments": [{"id": "twice", "channel": channel, "amount": "5"}] * 2, "wait_ms": 60000}
        one, two = a.post("/v1/payments", body)["payments"]
        assert one == two and one["status"] == "settled"
        assert a.show(channel)["balance"]["mine"] == "985"
        assert [p["id"] for p in b.payments(direction="in")] == ["once", "twice"]


def not_enough():
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        refused(409, "insufficient_funds", lambda: pay(a, channel, "too-much", 1001))
        body = {"payments": [{"id": f"p-{i}", "channel": channel, "amount": "400"} for i in range(3)], "wait_ms": 60000}
        done = a.post("/v1/payments", body)["payments"]
        assert [p["status"] for p in done] == ["settled", "settled", "failed"], done
        assert done[2]["reason"]["code"] == "insufficient_funds"
        pay(a, channel, "p-2", 200)  # nothing was recorded under this id
        refused(409, "insufficient_funds", lambda: b.post("/v1/payments", {"id": "x", "amount": "1001"}))


def payer_is_found():
    """Neither channel nor peer named: the only channel that can pay is used."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        done = a.post("/v1/payments", {"id": "any", "amount": "1", "wait_ms": 60000})
        assert done["channel"] == channel
        open_channel(a, b, 500)
        refused(400, "bad_argument", lambda: a.post("/v1/payments", {"id": "which", "amount": "1"}))
        done = a.post("/v1/payments", {"id": "peer", "peer": b.id, "amount": "1", "wait_ms": 60000})
        assert done["channel"] == channel
        assert a.post("/v1/payments", {"id": "most", "amount": "900", "wait_ms": 60000})["channel"] == channel


def terms_refused():
    with World() as world:
        a, b = pair(world, *FLAGS)
        body = {"peer": b.id, "deposit": "10", "peer_deposit": "1000001"}
        refused(502, "peer_refused", lambda: a.post("/v1/channels", body))
        refused(409, "insufficient_funds", lambda: a.post("/v1/channels", {"peer": b.id, "deposit": "1000001"}))
        refused(400, "bad_argument", lambda: a.post("/v1/channels", {"peer": b.id, "deposit": "0"}))
        b.stop()
        until("the merchant to be gone", lambda: not a.get("/v1/peers")["peers"][0]["connected"])
        refused(503, "not_connected", lambda: a.post("/v1/channels", {"peer": b.id, "deposit": "10"}))


def restart_goes_on():
    """Both stop and start: the same channel, the same balances, and payments go on; those made while the peer is away
    settle when it is back."""
    with World() as world:
        a, b = pair(world, *FLAGS)
        channel = open_channel(a, b, 1000)
        pay(a, channel, "before", 10)
        for node in (a, b):
            node.stop()
        a.start()
        assert a.show(channel)["balance"]["mine"] == "990"
        done = a.post("/v1/payments", {"id": "away", "channel": channel, "amount": "5", "wait_ms": 0})
        assert done["status"] == "pending"
        b.start()
        until("the payment", lambda: a.get("/v1/payments/away")["status"] == "settled")
        pay(b, channel, "back", 3)
        until("the balance", lambda: a.show(channel)["balance"]["mine"] == "988")


def challenge():
    """One side leaves alone: the window passes, the chain pays out."""
    with World() as world:
        a, b = pair(world, *FLAGS, "--bond", "50")
        channel = open_channel(a, b, 1000)
        pay(a, channel, "p", 400)
        b.stop()
        a.post(f"/v1/channels/{channel}/challenge")
        until("the window", lambda: a.show(channel)["waits_for"]["code"] == "window")
        assert a.show(channel)["waits_for"]["until"] > 0
        a.post("/v1/dev/warp", {"seconds": PERIOD + 1})
        a.until_phase(channel, "closed")
        b.start()
        b.until_phase(channel, "closed")
        assert (a.balance(), b.balance()) == (999600, 1000400)
        assert a.show(channel)["ended"] == {"version": 2, "paid": {"mine": "600", "peer": "400"}}


def deposit_waits_for_money():
    """A side that cannot pay its deposit yet says so once, and pays when it can."""
    with World() as world:
        a, b = world.node("a"), world.node("b", "--max-deposit", "1000")
        a.fund(1000)
        a.connect(b)
        channel = a.post("/v1/channels", {"peer": b.id, "deposit": "1000", "peer_deposit": "1000"})["id"]
        until("the complaint", lambda: "cannot afford" in b.log_text())
        until("the payer's deposit", lambda: b.show(channel)["phase"] == "open")
        head = b.get("/v1/l1")["head"]
        until("blocks", lambda: b.get("/v1/l1")["head"] >= head + 2)
        assert b.log_text().count("cannot afford") == 1
        b.fund(1000)
        until("the payee's deposit", lambda: a.show(channel)["contributions"]["peer"] == "1000")


def wallet():
    with World() as world:
        a, b = pair(world, *FLAGS)
        to = b.get("/v1/wallet/address")["address"]
        a.post("/v1/wallet/send", {"to": to, "amount": "123"})
        until("the transfer", lambda: b.balance() == 1000123)
        assert a.balance() == 999877
        until("it to be final", lambda: not a.get("/v1/l1")["transactions"])


sys.exit(run("flow", (open_pay_close, each_id_once, not_enough, payer_is_found, terms_refused, restart_goes_on,
                      challenge, deposit_waits_for_money, wallet)))
