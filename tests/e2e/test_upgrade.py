"""Data directories of earlier releases (tests/upgrade/*.tar.xz, made by make.py there) open and go on: nothing that they had
reported is lost, what was under way ends as it should, and what is new works with them."""
import glob
import json
import os
import sys
import tarfile

from daemon import ROOT, World, run, until

RELEASES = sorted(glob.glob(os.path.join(ROOT, "tests", "upgrade", "*.tar.xz")))


def rows(node, **filters):
    return {(p["channel"], p["direction"], p["id"], p["amount"]): p["status"] for p in node.payments(**filters)}


def unpack(world, archive):
    with tarfile.open(archive) as tar:
        tar.extractall(world.folder)  # our own file
    with open(os.path.join(world.folder, "books.json")) as file:
        return json.load(file)


def nodes(world, deposit):
    a, b = world.node("a", made=True), world.node("b", "--max-deposit", deposit, made=True)
    a.connect(b)
    return a, b


def keeps_its_word(node, told):
    """What the old release reported as settled is so still."""
    now = rows(node)
    wrong = [row for row in map(tuple, told["settled"][node.name]) if now.get(row) != "settled"]
    assert not wrong, wrong[:3]


def locks(node, told):
    return {p["id"]: p for p in node.payments() if p["id"] in [row["id"] for row in told.get("locks", {}).get(node.name, ())]}


def ends_the_burst(a, b, told, channel):
    """Payments that were under way when both were killed: settled, and in both books, each once."""
    for node in (a, b):
        until(f"{node.name} to be in step", lambda: node.show(channel)["synced"])
        until(f"{node.name}'s payments", lambda: all(status == "settled" or row[2] in locks(node, told) for row, status in
                                                     rows(node, channel=channel, direction="out").items()))
    for payer, payee in ((a, b), (b, a)):
        out = sorted(k[2:] for k in rows(payer, channel=channel, direction="out"))
        until("the same books", lambda: out == sorted(k[2:] for k in rows(payee, channel=channel, direction="in")))


def keeps_its_locks(node, told):
    """With their terms; which is over stays so, with its preimage."""
    now = locks(node, told)
    for row in told.get("locks", {}).get(node.name, ()):
        waits = row["status"] == "locked"
        keep = [k for k in row if not waits or k not in ("status", "reason", "version", "updated")]
        assert {k: now[row["id"]][k] for k in keep} == {k: row[k] for k in keep}, (row, now[row["id"]])
        assert not waits or now[row["id"]]["status"] in ("locked", "failed"), now[row["id"]]  # that depends on the date


def takes_back_what_was_locked(node, told):
    until(f"the end of {node.name}'s locks", lambda: all(p["status"] != "locked" for p in locks(node, told).values()))
    for row in told.get("locks", {}).get(node.name, ()):
        if row["status"] == "locked":
            assert locks(node, told)[row["id"]]["reason"]["code"] == "expired", locks(node, told)[row["id"]]


def goes_on(a, b, channel):
    """Payments, and what the old release did not know: a top-up and a withdrawal."""
    for node in (a, b):
        body = {"id": f"new-{node.name}", "channel": channel, "amount": "11", "wait_ms": 60000}
        assert node.post("/v1/payments", body)["status"] == "settled"
    a.post(f"/v1/channels/{channel}/deposit", {"amount": "5000", "wait_ms": 60000})
    a.post(f"/v1/channels/{channel}/withdraw", {"amount": "700", "wait_ms": 60000})


def balance_of(node, told, kinds):
    """What the node has in the end if all of these channels paid out by its books."""
    ids = [told["channels"][kind] for kind in kinds]
    moved = {"in": 0, "out": 0}
    for p in node.payments():
        if p["channel"] in ids and p["status"] == "settled":
            moved[p["direction"]] += int(p["amount"])
    return int(told["faucet"]) + moved["in"] - moved["out"]


def upgrade(archive):
    with World() as world:
        told = unpack(world, archive)
        a, b = nodes(world, told["deposit"])
        running, closed, disputed = (told["channels"][kind] for kind in ("running", "closed", "disputed"))
        for node in (a, b):
            assert os.path.exists(os.path.join(node.dir, "channels.backup")), "no static backup was made"
            assert node.show(closed)["phase"] == "closed"
            keeps_its_locks(node, told)
        ends_the_burst(a, b, told, running)
        goes_on(a, b, running)
        for node in (a, b):
            keeps_its_word(node, told)
            node.stop()
            node.start()
        a.post("/v1/dev/warp", {"seconds": 3700})  # what is locked expires
        for node in (a, b):
            takes_back_what_was_locked(node, told)
        b.post(f"/v1/channels/{running}/close", {"wait_ms": 60000})
        a.post("/v1/dev/warp", {"seconds": 2 * 86400})  # the window that the old release opened
        for node in (a, b):
            for channel in (running, disputed):
                node.until_phase(channel, "closed")
            keeps_its_word(node, told)
            want = balance_of(node, told, told["channels"])
            until(f"{node.name}'s balance", lambda: node.balance() == want)
            node.stop()


def earlier_release(archive):
    def test():
        upgrade(archive)
    test.__name__ = "from_" + os.path.basename(archive).split(".")[0].replace("-", "_")
    return test


assert RELEASES, "there is no tests/upgrade/*.tar.xz"
sys.exit(run("upgrade", [earlier_release(archive) for archive in RELEASES]))
