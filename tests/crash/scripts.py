"""The scripted runs, and what must be true after each, whatever was killed in between."""
import collections
import os
import shutil
import sqlite3
import subprocess

from world import BOND, CHEAT, FUNDS, PERIOD, Broken, Refused

MAX = {"a": 600, "b": 300}  # deposits


# --- Steps ---------------------------------------------------------------------------------------------------


def begin(w):
    """Both run, with money, and know each other."""
    w.each(w.a.start, w.b.start)

    def funded(node):
        missing = FUNDS - node.balance()
        if missing:
            node.fund(missing)
        return not missing
    w.each(*(lambda n=node: w.insist(f"{n.name}'s money", lambda: funded(n)) for node in w.both))
    connect(w)


def connect(w):
    w.command(w.a, "/v1/peers", {"node_id": w.b.id, "address": w.b.listen, "wait_ms": 20000},
              lambda: connected(w.a))


def connected(node):
    return any(p["connected"] for p in node.get("/v1/peers")["peers"])


def held(channel):
    """The money in it."""
    return sum(int(amount) for amount in channel["contributions"].values())


def open_channel(w):
    """One channel with both deposits. An opening without an answer may have come to be: then it is that one."""
    body = {"peer": w.b.id, "deposit": str(MAX["a"]), "peer_deposit": str(MAX["b"])}

    def opened():
        found = [c for c in w.a.get("/v1/channels")["channels"] if c["phase"] in ("funding", "open")]
        if found:
            return found[0]["id"]
        try:
            return w.a.post("/v1/channels", body)["id"]
        except Refused as error:
            if error.code in ("not_connected", "no_answer", "not_saved"):
                return None
            raise
    channel = w.insist("a channel", opened)
    for node in w.both:
        w.insist("the deposits", lambda: held(node.show(channel)) == sum(MAX.values()) or w.mine())
        w.insist("the link", lambda: node.show(channel)["synced"])
    return channel


def pay(w, node, channel, name, amount):
    """Settled once. After an answer it is never asked for again."""
    body = {"id": f"{node.name}-{name}", "channel": channel, "amount": str(amount), "wait_ms": 2000}
    accepted = None

    def settled():
        nonlocal accepted
        if accepted:
            payment = node.get("/v1/payments/" + body["id"])
        else:
            payment = accepted = node.post("/v1/payments", body)
        if payment["status"] == "failed":
            raise Broken(f"a payment failed: {payment}")
        return payment["status"] == "settled"
    w.insist(f"payment {body['id']}", settled)
    w.accepted.append((node.name, body["id"], amount))


def pay_both(w, channel, name, count):
    def burst(node):
        for i in range(count):
            pay(w, node, channel, f"{name}-{i}", 1 + i + (10 if node is w.a else 0))
    w.each(lambda: burst(w.a), lambda: burst(w.b))


def top_up(w, node, channel, name, amount):
    """Once, by its id: repeated without fear. Also how a closed channel is opened again."""
    body = {"amount": str(amount), "deposit_id": name, "wait_ms": 0}
    w.command(node, f"/v1/channels/{channel}/deposit", body)


def until_contributions(w, channel, a, b):
    for node, want in ((w.a, {"mine": str(a), "peer": str(b)}), (w.b, {"mine": str(b), "peer": str(a)})):
        w.insist(f"{node.name} to see {want}", lambda: node.show(channel)["contributions"] == want or w.mine())
        w.insist(f"{node.name} to be in step", lambda: node.show(channel)["synced"])


def withdraw(w, node, channel, amount):
    """A withdrawal has no id: after a request without an answer, what is set aside or gone tells whether it was taken.
    An answer is a promise."""
    before = int(w.insist("the channel", lambda: node.show(channel))["contributions"]["mine"])
    answered = False

    def done():
        nonlocal answered
        shown = node.show(channel)
        if int(shown["contributions"]["mine"]) == before - amount and shown["balance"]["reserved"]["mine"] == "0":
            return True
        under_way = shown["balance"]["reserved"]["mine"] != "0" or shown["waits_for"]["code"].startswith("withdraw")
        if answered or under_way or shown["queued"] or shown["outstanding"] or not shown["synced"]:
            w.mine()
            return False
        try:
            node.post(f"/v1/channels/{channel}/withdraw", {"amount": str(amount), "wait_ms": 0})
            answered = True
        except Refused as error:
            if error.code != "withdrawal_under_way":
                raise
        return False
    w.insist(f"{node.name}'s withdrawal", done)


def restart(w):
    """In between another program copies the databases: their pages are given checksums anew at the start."""
    w.each(w.a.stop, w.b.stop)
    for node in w.both:
        path = os.path.join(node.dir, "channeld.db")
        database = sqlite3.connect(path)
        database.execute("VACUUM INTO ?", (path + ".copy",))
        database.close()
        os.replace(path + ".copy", path)
    w.each(w.a.start, w.b.start)


def until_closed(w, channel, nodes):
    for node in nodes:
        w.insist(f"{node.name} to see the end", lambda: node.show(channel)["phase"] == "closed" or w.mine())


def close(w, channel):
    def begun():
        return w.a.show(channel)["phase"] != "open"
    w.command(w.a, f"/v1/channels/{channel}/close", {"wait_ms": 0}, begun)
    until_closed(w, channel, w.both)


def warp_past_window(w, node, channel):
    w.insist("the window", lambda: node.show(channel)["waits_for"]["code"] == "window" or
             node.show(channel)["phase"] == "closed")
    w.insist("the clock", lambda: node.post("/v1/dev/warp", {"seconds": 2 * PERIOD}))


# --- The end -------------------------------------------------------------------------------------------------


def moved(w, name):
    return sum(amount for payer, _, amount in w.accepted if payer == name)


def account(w, payer, payee, channel):
    """Every payment in both books, once."""
    want = collections.Counter((i, str(amount)) for name, i, amount in w.accepted if name == payer.name)
    for node, direction in ((payer, "out"), (payee, "in")):
        rows = w.insist("the list", lambda: [node.payments(channel=channel, direction=direction)])[0]
        have = collections.Counter((p["id"], p["amount"]) for p in rows if p["status"] == "settled")
        if have != want or len(rows) != len(want):
            raise Broken(f"{node.name} has {rows}, not {sorted(want)}")


def check(w, channel):
    account(w, w.a, w.b, channel)
    account(w, w.b, w.a, channel)
    net = moved(w, "a") - moved(w, "b")
    lost = BOND if w.bond_lost else 0
    for node, balance in ((w.a, FUNDS - net - lost), (w.b, FUNDS + net + lost)):
        have = w.insist("the wallet", node.balance)
        if have != balance:
            raise Broken(f"{node.name} has {have} on the chain, not {balance}")
        for c in w.insist("the channels", lambda: [node.get("/v1/channels")["channels"]])[0]:
            if c["frozen"]:
                raise Broken(f"{node.name}'s channel is frozen: {c['freeze_reason']}")
            if c["id"] != channel and (held(c) or c["phase"] not in ("opening", "funding")):
                raise Broken(f"{node.name} has another channel: {c}")
    log = w.logs()
    for word in ("BROKEN", "quarantine", "refused a message", "could not be saved"):
        if word in log:
            raise Broken(next(line for line in log.splitlines() if word in line))


def finish(w, channel):
    """Checked, stopped cleanly, and checked again after another start if that stop was cut short."""
    check(w, channel)
    before = w.a.killed + w.b.killed
    w.each(w.a.stop, w.b.stop)
    if w.a.killed + w.b.killed != before:
        w.each(w.a.start, w.b.start)
        check(w, channel)


# --- The scripts ---------------------------------------------------------------------------------------------


def life(w):
    """Open, payments from both sides at once, a restart, more of them, a close together."""
    begin(w)
    channel = open_channel(w)
    pay_both(w, channel, "first", 3)
    restart(w)
    pay_both(w, channel, "second", 1)
    close(w, channel)
    finish(w, channel)


def money(w):
    """Top-ups of both sides and withdrawals of both while payments go on; a close; opened again by a deposit."""
    begin(w)
    channel = open_channel(w)
    w.each(lambda: pay(w, w.a, channel, "first", 20), lambda: pay(w, w.b, channel, "first", 10),
           lambda: top_up(w, w.a, channel, "more-a", 50), lambda: top_up(w, w.b, channel, "more-b", 40))
    until_contributions(w, channel, MAX["a"] + 50, MAX["b"] + 40)
    w.each(lambda: withdraw(w, w.a, channel, 250), lambda: pay_both(w, channel, "second", 2))
    until_contributions(w, channel, MAX["a"] - 200, MAX["b"] + 40)
    withdraw(w, w.b, channel, 100)
    until_contributions(w, channel, MAX["a"] - 200, MAX["b"] - 60)
    close(w, channel)
    top_up(w, w.b, channel, "again", 70)
    until_contributions(w, channel, 0, 70)
    pay(w, w.b, channel, "third", 30)
    close(w, channel)
    finish(w, channel)


def leave(w):
    """One side leaves alone by a challenge; the window passes; the chain pays out."""
    begin(w)
    channel = open_channel(w)
    pay_both(w, channel, "pay", 1)

    def begun():
        return w.a.show(channel)["phase"] != "open"
    w.command(w.a, f"/v1/channels/{channel}/challenge", {}, begun)
    warp_past_window(w, w.b, channel)
    until_closed(w, channel, w.both)
    finish(w, channel)


def cheated(w):
    """A thief publishes an old state of a's while a is off; b refutes it and earns the bond."""
    begin(w)
    channel = open_channel(w)
    pay(w, w.a, channel, "early", 5)
    w.a.stop()
    old = os.path.join(w.folder, "old")
    shutil.copytree(w.a.dir, old)
    w.a.start()
    pay(w, w.a, channel, "late", 100)
    pay(w, w.b, channel, "late", 1)
    w.a.stop()
    done = subprocess.run([CHEAT, old, w.a.chain, channel], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Broken(f"the cheat: {done.stderr}")
    w.bond_lost = True
    w.insist("the refutation", lambda: w.b.show(channel)["waits_for"]["code"] == "window")
    warp_past_window(w, w.b, channel)
    until_closed(w, channel, [w.b])
    w.a.start()
    until_closed(w, channel, [w.a])
    finish(w, channel)


SCRIPTS = {"life": life, "money": money, "leave": leave, "cheated": cheated}
