"""The static backup with real daemons: it is there before money goes in, it lists what there is, and it restores."""
import os
import shutil
import sys

from daemon import World, Refused, assert_fails, channeld, open_channel, run, until

LEGAL = "legal winner thank year wave sausage worth useful legal winner thank yellow"
OTHER = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"


def known_node(world, name, *flags):
    """A node whose recovery words are LEGAL, not started."""
    node = world.node(name, *flags, start=False)
    shutil.rmtree(node.dir)
    done = channeld("init", "--dir", node.dir, "--words", "--no-passphrase", text=LEGAL)
    assert done.returncode == 0, done.stderr
    return node


def backup(node):
    return os.path.join(node.dir, "channels.backup")


def show(*args, text=None):
    done = channeld("backup", "show", *args, text=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def two_nodes(world):
    a, b = known_node(world, "a"), world.node("b", "--max-deposit", "1000000")
    a.start()
    for node in (a, b):
        node.fund(1000000)
    a.connect(b)
    return a, b


def listed():
    """Both sides have the channel in their files, and a copy of the file is opened by the words alone."""
    with World() as world:
        a, b = two_nodes(world)
        assert "0 channels" in show("--dir", a.dir)
        ids = [open_channel(a, b, 1000, 500), open_channel(a, b, 2000)]
        for node, peer, deposit in ((a, b, "deposit 1000, the peer's 500"), (b, a, "deposit 500, the peer's 1000")):
            text = show("--dir", node.dir)
            assert "2 channels" in text and text.count(peer.id) >= 2 and deposit in text, text
            assert all(f"channel {id}" in text for id in ids), text
        assert f"address      {b.listen}" in show("--dir", a.dir)
        copy = os.path.join(world.folder, "copy")
        shutil.copy(backup(a), copy)
        assert ids[1] in show(copy, "--words", text=LEGAL)
        assert_fails(channeld("backup", "show", copy, "--words", text=OTHER), copy, "another seed")
        assert_fails(channeld("backup", "show", copy, "--dir", b.dir), copy, "another seed")
        assert_fails(channeld("backup", "show", os.path.join(b.dir, "seed"), "--dir", b.dir), "no backup")
        assert_fails(channeld("backup", "show", copy + "x", "--dir", a.dir), copy + "x")
        assert_fails(channeld("backup", "forget"), "backup show")


def nothing_opens_without_it():
    """While the file cannot be written, no channel is opened from either side; afterwards it goes on."""
    def channels(node):
        return node.get("/v1/channels")["channels"]
    with World() as world:
        a, b = two_nodes(world)
        for node in (a, b):
            before = len(channels(node))
            trap = backup(node) + ".new"  # where the new file is made
            os.makedirs(os.path.join(trap, "full"))
            try:
                a.post("/v1/channels", {"peer": b.id, "deposit": "1000"})
                raise AssertionError("it opened")
            except Refused as refused:
                assert refused.code == ("backup_failed" if node is a else "peer_refused"), refused
            assert len(channels(node)) == before
            assert all(one["phase"] == "opening" for n in (a, b) for one in channels(n))  # an answer that nobody took
            assert [n.balance() for n in (a, b)] == [1000000, 1000000]
            shutil.rmtree(trap)
        id = open_channel(a, b, 1000)
        assert all(f"channel {id}" in show("--dir", node.dir) for node in (a, b))
        assert "backup" in a.log_text() and "cannot be written" in a.log_text()


def kept_over_restarts():
    """It is written at start, from the database; what it has beyond that stays; what cannot be read is put aside."""
    with World() as world:
        a, b = two_nodes(world)
        first = open_channel(a, b, 1000)
        a.stop()
        database = os.path.join(a.dir, "channeld.db")
        shutil.copy(database, world.folder)
        os.unlink(backup(a))
        a.start()
        assert first in show("--dir", a.dir)
        second = open_channel(a, b, 1000)
        a.stop()
        for name in ("channeld.db-wal", "channeld.db-shm"):
            if os.path.exists(os.path.join(a.dir, name)):
                os.unlink(os.path.join(a.dir, name))
        shutil.copy(os.path.join(world.folder, "channeld.db"), database)
        a.start()
        assert "lacks 1 channels" in a.log_text()
        text = show("--dir", a.dir)
        assert first in text and second in text
        a.stop()
        with open(backup(a), "rb") as file:
            damaged = file.read()[:-1]
        with open(backup(a), "wb") as file:
            file.write(damaged)
        a.start()
        with open(backup(a) + ".unreadable", "rb") as file:
            assert file.read() == damaged
        assert first in show("--dir", a.dir)


def restored():
    """The words and the file bring the channel back, frozen; when the peer ends it on chain, the money comes."""
    with World() as world:
        a, b = two_nodes(world)
        channel = open_channel(a, b, 100000, 50000)
        a.post("/v1/payments", {"id": "p", "channel": channel, "amount": "1000"})
        a.kill()
        copy, lost = os.path.join(world.folder, "copy"), os.path.join(world.folder, "lost")
        shutil.copy(backup(a), copy)
        os.rename(a.dir, lost)
        restore = ("init", "--dir", a.dir, "--words", "--no-passphrase", "--backup", copy)
        assert_fails(channeld(*restore, text=OTHER), copy, "another seed")
        assert not os.path.exists(os.path.join(a.dir, "seed"))
        done = channeld(*restore, text=LEGAL)
        assert done.returncode == 0 and "1 channels are restored" in done.stdout, done.stderr
        assert channel in show("--dir", a.dir)
        a.start()
        until("the deposits to be seen", lambda: a.show(channel)["contributions"] == {"mine": "100000", "peer": "50000"})
        status, answer = a.request("POST", f"/v1/channels/{channel}/challenge")
        assert (status, answer["code"]) == (409, "channel_frozen"), answer
        until("the peer to be connected", lambda: a.get("/v1/peers")["peers"][0]["connected"])
        shown = a.show(channel)
        assert shown["frozen"] and shown["waits_for"]["code"] == "operator", shown
        assert a.balance() == 900000  # nothing is deposited again
        b.post(f"/v1/channels/{channel}/challenge")
        until("the challenge", lambda: a.show(channel)["phase"] == "disputed")
        b.post("/v1/dev/warp", {"seconds": 100000})
        for node in (a, b):
            node.until_phase(channel, "closed")
        assert (a.balance(), b.balance()) == (999000, 1001000)


def leaves_by_its_own_word():
    """A restored node whose peer is gone: it may challenge, at the risk of the bond, and the newer state still wins."""
    with World() as world:
        a, b = two_nodes(world)
        channel = open_channel(a, b, 100000, 50000)
        a.post("/v1/payments", {"id": "p", "channel": channel, "amount": "1000"})
        a.kill()
        copy = os.path.join(world.folder, "copy")
        shutil.copy(backup(a), copy)
        os.rename(a.dir, os.path.join(world.folder, "lost"))
        done = channeld("init", "--dir", a.dir, "--words", "--no-passphrase", "--backup", copy, text=LEGAL)
        assert done.returncode == 0, done.stderr
        b.stop()
        a.start()
        until("the chain to be seen", lambda: a.show(channel)["contributions"]["mine"] == "100000")
        a.post(f"/v1/channels/{channel}/challenge", {"risk_bond": True})
        a.until_phase(channel, "disputed")
        b.start()
        until("the refutation", lambda: "refuted" in str(b.get(f"/v1/channels/{channel}/history")))
        b.post("/v1/dev/warp", {"seconds": 100000})
        for node in (a, b):
            node.until_phase(channel, "closed")
        assert (a.balance(), b.balance()) == (999000, 1001000)


def refused_where_there_is_a_database():
    with World() as world:
        a, b = two_nodes(world)
        channel = open_channel(a, b, 1000)
        a.stop()
        copy = os.path.join(world.folder, "copy")
        shutil.copy(backup(a), copy)
        os.unlink(os.path.join(a.dir, "seed"))
        assert_fails(channeld("init", "--dir", a.dir, "--words", "--no-passphrase", "--backup", copy, text=LEGAL),
                     "database", a.dir)
        done = channeld("init", "--dir", a.dir, "--words", "--no-passphrase", text=LEGAL)
        assert done.returncode == 0, done.stderr
        a.start()
        assert not a.show(channel)["frozen"]
        other = os.path.join(world.folder, "other")
        assert_fails(channeld("init", "--dir", other, "--yes", "--no-passphrase", "--backup", copy), "--words")


sys.exit(run("backup", (listed, nothing_opens_without_it, kept_over_restarts, restored,
                        leaves_by_its_own_word, refused_where_there_is_a_database)))
