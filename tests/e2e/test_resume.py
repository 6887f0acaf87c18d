"""Lost memory with real daemons: a channel freezes, says so, and goes on or ends with the peer's help; every unit is accounted for."""
import os
import shutil
import sys

from daemon import WAIT, Refused, World, channeld, open_channel, run, until

LEGAL = "legal winner thank year wave sausage worth useful legal winner thank yellow"
LONG = {"wait_ms": WAIT * 1000}
FREEZE = 86400 + 300  # what was signed and forgotten expires within this time
COINS = 1000000


def two_nodes(world):
    """`a` can be made again from its words."""
    a, b = world.node("a", start=False), world.node("b", "--max-deposit", str(COINS))
    shutil.rmtree(a.dir)
    done = channeld("init", "--dir", a.dir, "--words", "--no-passphrase", text=LEGAL)
    assert done.returncode == 0, done.stderr
    a.start()
    for node in (a, b):
        node.fund(COINS)
    a.connect(b)
    return a, b


def pay(node, channel, payment_id, amount, **wait):
    return node.post("/v1/payments", {"id": payment_id, "channel": channel, "amount": str(amount), **(wait or LONG)})


def settled(node, channel, payment_id, amount):
    assert pay(node, channel, payment_id, amount)["status"] == "settled"


def wait_of(node, channel):
    return node.show(channel)["waits_for"]["code"]


def copy_of(node, world):
    """Of the whole data directory, while the node does not run."""
    where = os.path.join(world.folder, "copy")
    shutil.copytree(node.dir, where)
    return where


def put_back(node, copy):
    shutil.rmtree(node.dir)
    shutil.copytree(copy, node.dir)


def until_frozen(node, peer, channel, reason):
    until(f"{node.name} to freeze", lambda: node.show(channel)["frozen"])
    assert reason in node.show(channel)["freeze_reason"], node.show(channel)["freeze_reason"]
    assert reason in node.log_text()
    assert wait_of(node, channel) == "operator"
    until("the peer to hear of it", lambda: wait_of(peer, channel) == "peer_frozen")
    for path, body in (("payments", {"id": "frozen", "channel": channel, "amount": "1"}), (f"channels/{channel}/deposit", {"amount": "1"})):
        try:
            node.post("/v1/" + path, body)
            raise AssertionError("a frozen channel went on")
        except Refused as refused:
            assert refused.code == "channel_frozen", refused


def resume(node, peer, channel):
    """On the operator's word, a day later."""
    done = node.cli("channel", "resume", channel[:12])
    assert done.returncode == 0 and "under way" in done.stderr, done
    shown = node.show(channel)
    assert shown["waits_for"]["code"] == "freeze" and shown["frozen"], shown
    until_time = shown["waits_for"]["until"]
    now = node.get("/v1/l1")["now"]
    assert now < until_time <= now + FREEZE, (now, until_time)
    peer.post("/v1/dev/warp", {"seconds": FREEZE + 60})
    until("the channel to resume", lambda: not node.show(channel)["frozen"])
    for one in (node, peer):
        until(f"{one.name} to be in step", lambda: one.show(channel)["synced"] and one.show(channel)["outstanding"] == 0)
    assert node.show(channel)["balance"]["mine"] == peer.show(channel)["balance"]["peer"]


def close(a, b, channel, want):
    a.post(f"/v1/channels/{channel}/close", LONG)
    for node in (a, b):
        node.until_phase(channel, "closed")
    assert (a.balance(), b.balance()) == want, (a.balance(), b.balance())


def a_stale_copy_of_the_data():
    """A payment that was pending in the copy was settled since: it is not made twice, nor said to have failed."""
    with World() as world:
        a, b = two_nodes(world)
        channel = open_channel(a, b, 100000, 50000)
        settled(a, channel, "before", 1000)
        b.stop()
        assert pay(a, channel, "pending", 200, wait_ms=0)["status"] == "pending"
        a.stop()
        copy = copy_of(a, world)
        a.start()
        b.start()
        until("the payment to be settled", lambda: a.get("/v1/payments/pending")["status"] == "settled")
        settled(a, channel, "after", 30)
        settled(b, channel, "back", 4)
        version = b.show(channel)["version"]
        a.kill()
        put_back(a, copy)
        a.start()
        until_frozen(a, b, channel, "memory was lost")
        until("the peer's state", lambda: a.show(channel)["version"] == version)
        assert a.show(channel)["balance"]["mine"] == str(100000 - 1226)
        resume(a, b, channel)
        assert a.get("/v1/payments/pending")["status"] == "unknown"
        assert [p["id"] for p in a.payments(status="unknown")] == ["pending"]
        assert sorted(p["id"] for p in b.payments(direction="in")) == ["after", "before", "pending"]
        settled(a, channel, "on", 500)
        settled(b, channel, "on", 6)
        a.stop()
        a.start()
        until("the nodes to connect", lambda: a.show(channel)["synced"])
        settled(a, channel, "further", 70)
        close(a, b, channel, (COINS - 1790, COINS + 1790))


def only_the_static_backup():
    with World() as world:
        a, b = two_nodes(world)
        channel = open_channel(a, b, 100000, 50000)
        settled(a, channel, "p", 1000)
        a.kill()
        copy = os.path.join(world.folder, "copy")
        shutil.copy(os.path.join(a.dir, "channels.backup"), copy)
        os.rename(a.dir, os.path.join(world.folder, "lost"))
        done = channeld("init", "--dir", a.dir, "--words", "--no-passphrase", "--backup", copy, text=LEGAL)
        assert done.returncode == 0, done.stderr
        a.start()
        until_frozen(a, b, channel, "restored from the backup")
        until("the peer's state", lambda: a.show(channel)["balance"]["mine"] == "99000")
        resume(a, b, channel)
        settled(a, channel, "on", 500)
        settled(b, channel, "on", 6)
        shown = a.post(f"/v1/channels/{channel}/withdraw", {"amount": "10000", **LONG})
        assert shown["contributions"]["mine"] == "90000", shown
        assert a.balance() == COINS - 100000 + 10000  # nothing was deposited again
        close(a, b, channel, (COINS - 1494, COINS + 1494))


def leaving_by_close():
    """Frozen by its operator, and told to close: a day later the peer signs, without a shutdown before."""
    with World() as world:
        a, b = two_nodes(world)
        channel = open_channel(a, b, 100000, 50000)
        settled(a, channel, "p", 1000)
        done = a.cli("channel", "freeze", channel)
        assert done.returncode == 0 and "frozen" in done.stdout, done
        until_frozen(a, b, channel, "told to")
        a.post(f"/v1/channels/{channel}/close")
        assert wait_of(a, channel) == "freeze"
        a.stop()
        a.start()
        assert (wait_of(a, channel), a.show(channel)["phase"]) == ("freeze", "open")
        b.post("/v1/dev/warp", {"seconds": FREEZE + 60})
        for node in (a, b):
            node.until_phase(channel, "closed")
        assert (a.balance(), b.balance()) == (COINS - 1000, COINS + 1000)
        assert "shutdown" not in str(a.get(f"/v1/channels/{channel}/history"))


def two_copies_of_the_peer():
    """A copy of a node's directory runs beside it: who sees both freezes; when one is stopped, it goes on with the other."""
    with World() as world:
        a, b = two_nodes(world)
        b.connect(a)  # so that the copy, too, knows where to find it
        channel = open_channel(a, b, 100000, 50000)
        settled(a, channel, "p", 1000)
        b.stop()
        twin = world.node("twin", "--max-deposit", str(COINS), start=False)
        shutil.rmtree(twin.dir)
        shutil.copytree(b.dir, twin.dir)
        b.start()
        until("the nodes to be in step", lambda: a.show(channel)["synced"])
        twin.start()
        until("the channel to freeze", lambda: a.show(channel)["frozen"])
        assert "two copies of the peer" in a.show(channel)["freeze_reason"]
        twin.stop()
        until("the peer to hear of it", lambda: wait_of(b, channel) == "peer_frozen")
        resume(a, b, channel)
        settled(a, channel, "on", 500)
        settled(b, channel, "on", 6)
        close(a, b, channel, (COINS - 1494, COINS + 1494))


def both_have_lost_their_memory():
    """Both from copies of one moment: each shows the other what it has, and of their resumes the higher one stands."""
    with World() as world:
        a, b = two_nodes(world)
        channel = open_channel(a, b, 100000, 50000)
        settled(a, channel, "p", 1000)
        for node in (a, b):
            node.post(f"/v1/channels/{channel}/freeze")
        for node in (a, b):
            node.post(f"/v1/channels/{channel}/resume")
        b.post("/v1/dev/warp", {"seconds": FREEZE + 60})
        for node in (a, b):
            until(f"{node.name} to resume", lambda: not node.show(channel)["frozen"] and node.show(channel)["synced"])
        settled(a, channel, "on", 500)
        settled(b, channel, "on", 6)
        close(a, b, channel, (COINS - 1494, COINS + 1494))


sys.exit(run("resume", (a_stale_copy_of_the_data, only_the_static_backup, leaving_by_close, two_copies_of_the_peer,
                       both_have_lost_their_memory)))
