"""Conditional payments between real daemons: accepted, given back, expired, and against a peer that falls silent."""
import hashlib
import sys

from daemon import World, open_channel, pair, refused, run, until

PERIOD = 60
SAYS = "0x1e9bcb8c6e51608e9dc01b4e1821f389463af3a5"  # cd_dev_condition: what is owed is the payload
FLAGS = ("--challenge-period", str(PERIOD), "--lock-margin", "60")


def opened(world):
    a, b = pair(world, *FLAGS)
    return a, b, open_channel(a, b, 300000, 100000)


def secret(n):
    preimage = bytes([n]) * 32
    return "0x" + preimage.hex(), "0x" + hashlib.sha256(preimage).hexdigest()


def lock(node, channel, payment_id, amount, n, seconds=3600):
    body = {"id": payment_id, "channel": channel, "amount": str(amount), "hash": secret(n)[1], "expires_in": seconds,
            "wait_ms": 60000}
    done = node.post("/v1/locks", body)
    assert done["status"] == "locked", done
    return done


def status(node, payment_id, direction):
    rows = node.get(f"/v1/payments?direction={direction}&limit=1000")["payments"]
    return [(r["status"], r["reason"] and r["reason"]["code"]) for r in rows if r["id"] == payment_id]


def both(a, b, payment_id, want):
    until(f"{payment_id} to be {want}", lambda: status(a, payment_id, "out") == [want] == status(b, payment_id, "in")[:1])


def money(node, channel):
    balance = node.show(channel)["balance"]
    return int(balance["mine"]), int(balance["spendable"]), int(balance["locked"]["mine"])


def accepted_and_given_back():
    with World() as world:
        a, b, channel = opened(world)
        lock(a, channel, "order-1", 5000, 1)
        lock(a, channel, "order-2", 7000, 2)
        assert money(a, channel) == (300000, 288000, 12000), money(a, channel)
        both(a, b, "order-1", ("locked", None))
        assert lock(a, channel, "order-1", 5000, 1)["seq"] == lock(a, channel, "order-1", 5000, 1, 7200)["seq"]
        refused(409, "payment_id_used", lambda: lock(a, channel, "order-1", 5000, 2))  # another condition
        refused(409, "payment_id_used", lambda: a.post("/v1/payments", {"id": "order-1", "amount": "5000"}))
        refused(409, "hash_used", lambda: lock(a, channel, "order-3", 5000, 1))
        refused(404, "unknown_lock", lambda: b.post("/v1/locks/fulfil", {"preimage": secret(9)[0]}))
        refused(404, "unknown_lock", lambda: a.post("/v1/locks/cancel", {"hash": secret(1)[1]}))  # not the payer's to give
        waiting = until("the merchant's list", lambda: b.get("/v1/locks")["locks"])
        assert [w["id"] for w in waiting] == ["order-1", "order-2"] and waiting[0]["lock"]["hash"] == secret(1)[1]
        shown = b.show(channel)["locks"]
        assert [s["payment"] for s in shown] == ["order-1", "order-2"] and shown[0]["direction"] == "in", shown
        for node in (a, b):  # the state is on the disk
            node.kill()
            node.start()
        b.post("/v1/locks/fulfil", {"preimage": secret(1)[0], "wait_ms": 60000})
        b.post("/v1/locks/cancel", {"hash": secret(2)[1], "wait_ms": 60000})
        both(a, b, "order-1", ("settled", None))
        both(a, b, "order-2", ("failed", "cancelled"))
        assert a.get("/v1/payments/order-1")["preimage"] == secret(1)[0]
        assert a.get("/v1/locks")["locks"] == [] and money(a, channel) == (295000, 295000, 0)
        a.post(f"/v1/channels/{channel}/close", {"wait_ms": 60000})
        assert (a.balance(), b.balance()) == (995000, 1005000)
        for node in (a, b):
            node.stop()


def expired():
    with World() as world:
        a, b, channel = opened(world)
        lock(a, channel, "order-1", 5000, 1, 600)
        both(a, b, "order-1", ("locked", None))
        a.post("/v1/dev/warp", {"seconds": 601})
        a.post("/v1/dev/mine", {"blocks": 5})
        both(a, b, "order-1", ("failed", "expired"))
        assert money(a, channel) == (300000, 300000, 0)
        for node in (a, b):
            node.stop()


def revealed_while_the_payer_is_away():
    with World() as world:
        a, b, channel = opened(world)
        lock(a, channel, "order-1", 5000, 1, 600)
        both(a, b, "order-1", ("locked", None))
        a.kill()
        b.post("/v1/locks/fulfil", {"preimage": secret(1)[0], "wait_ms": 0})
        assert not b.show(channel)["locks"][0]["revealed"]
        b.post("/v1/dev/warp", {"seconds": 540})
        until("the reveal", lambda: b.show(channel)["locks"][0]["revealed"])
        b.post("/v1/dev/warp", {"seconds": 3600})  # long past the expiry
        a.start()
        both(a, b, "order-1", ("settled", None))
        assert money(a, channel)[0] == 295000
        for node in (a, b):
            node.stop()


def decided_by_a_contract():
    """The payer is gone; a contract says that a part is owed."""
    with World() as world:
        a, b, channel = opened(world)
        terms = {"id": "share", "channel": channel, "amount": "5000", "expires_in": 600, "condition": SAYS, "gas": 1000}
        word = f"0x{3000:064x}"
        for code, body in (("bad_argument", {"payload": "0x123"}), ("bad_argument", {"payload": "0x" + "00" * 65}),
                           ("bad_argument", {"payload": "0xzz"}), ("missing_field", {}),
                           ("bad_argument", {"payload": word, "hash": secret(1)[1]}),
                           ("bad_argument", {"payload": word, "gas": 0}),
                           ("bad_argument", {"payload": word, "condition": "0x" + "00" * 20}),
                           ("lock_limit", {"payload": word, "gas": 1000001})):
            refused(409 if code == "lock_limit" else 400, code, lambda: a.post("/v1/locks", {**terms, **body}))
        assert a.payments() == []
        done = a.post("/v1/locks", {**terms, "payload": word, "wait_ms": 60000})
        assert done["status"] == "locked" and done["lock"]["condition"] == SAYS, done
        both(a, b, "share", ("locked", None))
        refused(404, "unknown_lock", lambda: b.post("/v1/locks/fulfil", {"payment": "share"}))  # not the payee's to take
        lock(a, channel, "order-1", 7000, 1, 600)
        refused(404, "unknown_lock", lambda: a.post("/v1/locks/fulfil", {"payment": "order-1"}))  # only its preimage can
        a.kill()
        b.post(f"/v1/channels/{channel}/challenge", {})
        until("the challenge", lambda: b.show(channel)["waits_for"]["code"] == "window")
        b.post("/v1/dev/warp", {"seconds": PERIOD + 1})
        b.post("/v1/dev/mine", {"blocks": 3})
        assert b.show(channel)["phase"] == "disputed"  # it is not asked before the expiry
        b.post("/v1/dev/warp", {"seconds": 600})
        until("the settlement", lambda: b.post("/v1/dev/mine", {"blocks": 1}) and b.show(channel)["phase"] == "closed")
        a.start()
        both(a, b, "share", ("settled", None))
        both(a, b, "order-1", ("failed", "expired"))
        for node, direction in ((a, "out"), (b, "in")):
            row = node.payments(direction=direction)[0]
            assert (row["amount"], row["lock"]["amount"]) == ("3000", "5000"), row
        assert (a.balance(), b.balance()) == (997000, 1003000)
        for node in (a, b):
            node.stop()


def the_same_lock_in_two_channels():
    """A payee who gives it back says in which; a payer names its payment."""
    with World() as world:
        a, b, one = opened(world)
        other = open_channel(a, b, 300000)
        for n in range(20):  # until both are made in one second
            ids = [f"{n}-{channel}"[:20] for channel in (one, other)]
            terms = {"amount": "5000", "expires_in": 3600, "condition": SAYS, "payload": f"0x{n:064x}", "gas": 1,
                     "wait_ms": 60000}
            made = [a.post("/v1/locks", {**terms, "id": i, "channel": c})["lock"]["id"] for i, c in zip(ids, (one, other))]
            if made[0] == made[1]:
                break
        assert made[0] == made[1], made
        for i in ids:
            both(a, b, i, ("locked", None))
        refused(400, "bad_argument", lambda: b.post("/v1/locks/cancel", {"hash": made[0]}))
        b.post("/v1/locks/cancel", {"hash": made[0], "channel": other, "wait_ms": 60000})
        both(a, b, ids[1], ("failed", "cancelled"))
        a.post("/v1/locks/fulfil", {"payment": ids[0], "wait_ms": 60000})
        both(a, b, ids[0], ("settled", None))
        for node in (a, b):
            node.stop()


def settled_on_chain():
    """The payer is gone for good. One payment's preimage is known, the other's is not."""
    with World() as world:
        a, b, channel = opened(world)
        lock(a, channel, "order-1", 5000, 1, 600)
        lock(a, channel, "order-2", 7000, 2, 600)
        lock(b, channel, "refund", 1000, 3, 600)
        both(a, b, "order-2", ("locked", None))
        a.kill()
        b.post("/v1/locks/fulfil", {"preimage": secret(1)[0], "wait_ms": 0})
        b.post(f"/v1/channels/{channel}/challenge", {})
        until("the challenge and the reveal", lambda: b.show(channel)["locks"][0]["revealed"]
              and b.show(channel)["waits_for"]["code"] == "window")
        b.post("/v1/dev/warp", {"seconds": PERIOD + 1})
        b.post("/v1/dev/mine", {"blocks": 3})
        assert b.show(channel)["phase"] == "disputed"  # order-2 may still be revealed
        b.post("/v1/dev/warp", {"seconds": 600})
        until("the settlement", lambda: b.post("/v1/dev/mine", {"blocks": 1}) and b.show(channel)["phase"] == "closed")
        assert status(b, "order-1", "in") == [("settled", None)]
        assert status(b, "order-2", "in") == [("failed", "expired")]
        assert status(b, "refund", "out") == [("failed", "expired")]
        assert b.balance() == 1005000, b.balance()
        a.start()
        both(a, b, "order-1", ("settled", None))
        assert status(a, "order-2", "out") == [("failed", "expired")]
        assert a.balance() == 995000, a.balance()
        for node in (a, b):
            node.stop()


sys.exit(run("locks", (accepted_and_given_back, expired, revealed_while_the_payer_is_away, decided_by_a_contract,
                       the_same_lock_in_two_channels, settled_on_chain)))
