#!/usr/bin/env python3
"""Makes the data directories of a release, for tests/e2e/test_upgrade.py: make.py CHECKOUT NAME

CHECKOUT is a checkout of that release with its daemon built in CHECKOUT/build; its own tests/e2e/daemon.py drives it, as the
API was another one then. Writes NAME.tar.xz beside this file: two nodes `a` and `b`, killed in the midst of a burst, their
chain, and books.json, what each had been told. A release's file is made once, and never again:

    release-1  d7622e7, the end of the first issue: records of format 1, a store without checksums, no static backup; it knew no
               conditional payments, so this script, which makes some, was a shorter one
    release-4  c9e0780, the last with records of format 4 and a store of form 4: one record, not two parts; each lock with its mark
"""
import hashlib
import json
import os
import sys
import tarfile
import threading

CHECKOUT, NAME = os.path.abspath(sys.argv[1]), sys.argv[2]
os.environ["BUILD_DIR"] = os.path.join(CHECKOUT, "build")
sys.path.insert(0, os.path.join(CHECKOUT, "tests", "e2e"))
from daemon import World, open_channel, until  # noqa: E402

DEPOSIT = 300000


def pay(node, channel, prefix, count):
    payments = [{"id": f"{prefix}-{i}", "channel": channel, "amount": str(1 + i % 7)} for i in range(count)]
    return node.post("/v1/payments", {"payments": payments, "wait_ms": 60000})["payments"]


def burst(node, channel, prefix):
    """Payments until the daemon is gone."""
    try:
        for i in range(10000):
            pay(node, channel, f"{prefix}{i}", 20)
    except Exception:  # whatever a killed daemon does to a client
        pass


def lock(a, b, channel):
    """Three conditional payments: one was claimed, one given back, one still waits."""
    for n, name in enumerate(("claimed", "given-back", "waits")):
        preimage = bytes([n + 1]) * 32
        digest = "0x" + hashlib.sha256(preimage).hexdigest()
        a.post("/v1/locks", {"id": name, "channel": channel, "amount": str(100 + n), "hash": digest, "expires_in": 3600,
                             "wait_ms": 60000})
        if name == "claimed":
            b.post("/v1/locks/fulfil", {"preimage": "0x" + preimage.hex(), "wait_ms": 60000})
        if name == "given-back":
            b.post("/v1/locks/cancel", {"hash": digest, "wait_ms": 60000})


def channels(a, b):
    """One of each kind: running, closed, in a dispute."""
    made = {kind: open_channel(a, b, DEPOSIT, DEPOSIT) for kind in ("running", "closed", "disputed")}
    for kind, channel in made.items():
        pay(a, channel, f"a-{kind}", 60)
        pay(b, channel, f"b-{kind}", 40)
    lock(a, b, made["running"])
    a.post(f"/v1/channels/{made['closed']}/close", {"wait_ms": 60000})
    for node in (a, b):
        node.until_phase(made["closed"], "closed")
    a.post(f"/v1/channels/{made['disputed']}/challenge")
    for node in (a, b):
        node.until_phase(made["disputed"], "disputed")
    return made


def books(a, b, made):
    return {"locks": {n.name: [p for p in n.payments() if p["lock"]] for n in (a, b)}, "channels": made, "deposit": str(DEPOSIT), "faucet": str(4 * DEPOSIT),
            "settled": {n.name: [[p["channel"], p["direction"], p["id"], p["amount"]] for p in n.payments()
                                 if p["status"] == "settled"] for n in (a, b)}}


def main():
    with World() as world:
        a, b = world.node("a"), world.node("b", "--max-deposit", str(DEPOSIT))
        for node in (a, b):
            node.fund(4 * DEPOSIT)
        a.connect(b)
        made = channels(a, b)
        told = books(a, b, made)
        threads = [threading.Thread(target=burst, args=(node, made["running"], node.name + "-burst")) for node in (a, b)]
        for thread in threads:
            thread.start()
        until("the burst", lambda: len(a.payments(channel=made["running"])) > 600)
        for node in (a, b):
            node.kill()
        for thread in threads:
            thread.join()
        with open(os.path.join(world.folder, "books.json"), "w") as file:
            json.dump(told, file)
        names = [n for n in os.listdir(world.folder) if not n.endswith(".log")]
        out = os.path.join(os.path.dirname(os.path.abspath(__file__)), NAME + ".tar.xz")
        with tarfile.open(out, "w:xz") as tar:
            for name in sorted(names):
                tar.add(os.path.join(world.folder, name), name)
        print(f"{out}: {os.path.getsize(out)} bytes, {sum(map(len, told['settled'].values()))} payments in the books")


if __name__ == "__main__":
    main()
