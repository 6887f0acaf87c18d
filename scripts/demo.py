"""The demo behind scripts/demo: a payer and a merchant, each a real channeld, on one chain: an embedded one in a file, or
with --l1 evm on anvil, once with a token and once with the coin.

Every step is a command that a person could type (they are shown), but for the thousand single payments, which go to the
payer's HTTP API over one connection. All amounts are checked to the last unit at the end. With --locks, instead: payments
on condition, one claimed, one given back, one settled on chain against a payer that is gone.
"""
import hashlib
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import demo_chain

BUILD = os.path.abspath(sys.argv[1])
PERIOD, BOND = 600, 5000
TOP_UP, WITHDRAWN = 100000, 20000
HELD_FOR = 86400  # seconds that a merchant has to claim a payment
WAIT = 60  # seconds until something that should happen counts as failed
TTY = sys.stdout.isatty()


class Failed(Exception):
    pass


def say(text):
    print(text, flush=True)


class Node:
    """One data directory and the daemon that runs on it."""

    def __init__(self, name, folder, chain):
        self.name, self.dir, self.chain, self.process = name, os.path.join(folder, name), chain, None
        self.log = os.path.join(folder, name + ".log")
        self.run("channeld", "init", "--dir", self.dir, "--yes", "--no-passphrase", show=False)

    def run(self, program, *args, show=True):
        if show:
            say(f"  {self.name}$ {program} {' '.join(args)}")
        done = subprocess.run([os.path.join(BUILD, "channeld", program), *args], capture_output=True, text=True,
                              timeout=WAIT, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Failed(f"{program} {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def cli(self, *args, show=True):
        if show:
            say(f"  {self.name}$ channel-cli {' '.join(args)}")
        return json.loads(self.run("channel-cli", "--dir", self.dir, "--json", *args, show=False))

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, "channeld", "channeld"), "--dir", self.dir, *self.chain.flags(), "--listen", "127.0.0.1:0",
                 "--api", "127.0.0.1:0", "--challenge-period", str(PERIOD), "--bond", str(BOND),
                 "--max-deposit", "1000000", "--assets", "any"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        def answers():
            if self.process.poll() is not None:
                raise Failed(f"{self.name}'s channeld ended: {open(self.log, errors='replace').read()[-2000:]}")
            try:
                return self.cli("info", show=False)
            except Failed:
                return None
        self.info = wait_for(f"{self.name} to answer", answers)
        token = open(os.path.join(self.dir, "api.token")).read().strip()
        self.headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
        self.http = http.client.HTTPConnection(open(os.path.join(self.dir, "api.address")).read().strip(), timeout=WAIT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            if self.process.wait(WAIT):
                raise Failed(f"{self.name}'s channeld did not stop cleanly: status {self.process.returncode}")

    def post(self, path, body):
        self.http.request("POST", path, json.dumps(body), self.headers)
        reply = self.http.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise Failed(f"POST {path}: {reply.status} {text.decode(errors='replace')}")
        return json.loads(text)

    def balance(self):
        return self.chain.balance(self)

    def show(self, channel):
        return self.cli("channel", "show", channel, show=False)


def wait_for(what, look):
    """The first true result of `look`, which is asked again and again for at most WAIT seconds."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        result = look()
        if result:
            return result
        time.sleep(0.02)
    raise Failed(f"waited {WAIT} s for {what}")


def until_phase(nodes, channel, phase):
    for node in nodes:
        wait_for(f"{node.name}'s channel to be {phase}", lambda: node.show(channel)["phase"] == phase)


def open_channel(payer, merchant, deposit, peer_deposit):
    node_id = merchant.info["node_id"]
    asset = ["--asset", payer.chain.asset] if payer.chain.asset else []
    channel = payer.cli("channel", "open", node_id, "--deposit", str(deposit), "--peer-deposit", str(peer_deposit),
                        *asset)["id"]
    until_phase([payer, merchant], channel, "open")
    want = {payer: (deposit, peer_deposit), merchant: (peer_deposit, deposit)}
    for node, (mine, peer) in want.items():
        wait_for(f"{node.name} to see the deposits",
                 lambda: node.show(channel)["contributions"] == {"mine": str(mine), "peer": str(peer)})
    return channel


def pay(payer, channel, count, amount, name, between=None):
    """One after the other, each settled before the next is made. `between` is done after half of them."""
    started = time.monotonic()
    for i in range(1, count + 1):
        done = payer.post("/v1/payments", {"id": f"{name}-{i}", "channel": channel, "amount": str(amount)})
        if done["status"] != "settled":
            raise Failed(f"payment {name}-{i} is {done['status']}")
        if between and i == count // 2:
            between()
        if TTY or i % 250 == 0 or i == count:
            end = "\r" if TTY and i < count else "\n"
            print(f"  {i} of {count} payments, {i / (time.monotonic() - started):.0f} a second", end=end, flush=True)


def burst(payer, channel, count, batch):
    started = time.monotonic()
    for first in range(0, count, batch):
        many = [{"id": f"burst-{first + i}", "channel": channel, "amount": "1"} for i in range(batch)]
        done = payer.post("/v1/payments", {"payments": many, "wait_ms": WAIT * 1000})
        if any(p["status"] != "settled" for p in done["payments"]):
            raise Failed("a payment of the burst was not settled")
    say(f"  {count} payments in one burst, {count / (time.monotonic() - started):.0f} a second")


def copy_database(node, to):
    """A consistent copy of a running daemon's data directory, as a backup (or a thief) would take it."""
    os.makedirs(to)
    shutil.copy(os.path.join(node.dir, "seed"), to)
    source, target = sqlite3.connect(os.path.join(node.dir, "channeld.db")), sqlite3.connect(os.path.join(to, "channeld.db"))
    source.backup(target)
    source.close()
    target.close()


def contribution_is(node, channel, whose, amount):
    wait_for(f"{node.name} to see {amount}", lambda: node.show(channel)["contributions"][whose] == str(amount))


def honest_channel(payer, merchant):
    say("\n1. A channel: open, a thousand payments one by one, a top-up and a withdrawal in between, a burst, close together")
    channel = open_channel(payer, merchant, 1000000, 0)

    def top_up_and_withdraw():
        payer.cli("channel", "deposit", channel, str(TOP_UP), "--id", "top-up")
        merchant.cli("channel", "withdraw", channel, str(WITHDRAWN))

    pay(payer, channel, 1000, 100, "pay", between=top_up_and_withdraw)
    for node, mine, peer in ((payer, "mine", "peer"), (merchant, "peer", "mine")):
        contribution_is(node, channel, mine, 1000000 + TOP_UP)
        contribution_is(node, channel, peer, -WITHDRAWN)
    rows = [("payer, topped up", 2000000 - 1000000 - TOP_UP, payer.balance()),
            ("merchant, withdrawn", 2000000 + WITHDRAWN, merchant.balance())]
    burst(payer, channel, 5000, 500)
    payer.cli("channel", "close", channel)
    until_phase([payer, merchant], channel, "closed")
    return 1000 * 100 + 5000, rows


def cheated_channel(payer, merchant, folder):
    say("\n2. A second channel: the payer publishes an old state and is stopped")
    channel = open_channel(payer, merchant, 500000, 200000)
    pay(payer, channel, 10, 1000, "early")
    old = os.path.join(folder, "old-copy")
    copy_database(payer, old)
    pay(payer, channel, 40, 1000, "late")
    payer.stop()
    say("  the payer's daemon is off; a tool takes the old copy of its data to the chain")
    done = subprocess.run([os.path.join(BUILD, "tests", "cheat"), old, payer.chain.where, channel], capture_output=True,
                          text=True, timeout=WAIT)
    say("  " + done.stdout.strip())
    if done.returncode:
        raise Failed(f"the cheat tool: {done.stderr.strip()}")
    wait_for("the merchant to refute", lambda: merchant.show(channel)["waits_for"]["code"] == "window")
    say("  the merchant has refuted with the newest state; now the challenge window passes")
    payer.chain.forward(merchant, 2 * PERIOD)
    until_phase([merchant], channel, "closed")
    payer.start()
    until_phase([payer], channel, "closed")
    for line in merchant.cli("channel", "history", channel, show=False)["history"][-5:]:
        say(f"    {line['from']:>9} -> {line['to']:<9} {line['cause']}")
    return 50 * 1000


def held(payer, merchant, channel, name, amount):
    """A payment that only the merchant can claim: it alone knows the secret. Returns secret and hash."""
    secret = os.urandom(32)
    digest = hashlib.sha256(secret).hexdigest()
    done = payer.cli("lock", "add", channel, str(amount), "0x" + digest, "--expires", str(HELD_FOR), "--id", name)
    if done["status"] != "locked":
        raise Failed(f"{name} is {done['status']}")
    wait_for(f"the merchant to see {name}",
             lambda: any(p["payment"] == name for p in merchant.show(channel)["locks"]))
    return "0x" + secret.hex(), "0x" + digest


def is_now(node, name, status):
    def look():
        rows = node.cli("payment", "list", "--newest", show=False)["payments"]
        return any(p["id"] == name and p["status"] == status for p in rows)
    wait_for(f"{node.name}'s payment {name} to be {status}", look)
    say(f"  {node.name}: {name} is {status}")


def conditional_payments(payer, merchant):
    say("\n1. Three orders are paid on condition: the money is the merchant's when it shows a secret")
    channel = open_channel(payer, merchant, 1000000, 0)
    secrets = [held(payer, merchant, channel, f"order-{i}", amount) for i, amount in enumerate((30000, 40000, 50000), 1)]
    merchant.cli("lock", "list")
    balance = payer.show(channel)["balance"]
    say(f"  payer's balance: {balance['mine']}, of it locked {balance['locked']['mine']}, spendable {balance['spendable']}")
    if (balance["mine"], balance["locked"]["mine"], balance["spendable"]) != ("1000000", "120000", "880000"):
        raise Failed(f"the balance is {balance}")
    say("\n2. The merchant delivers order 1, and claims it; it cannot deliver order 2, and gives it back")
    merchant.cli("lock", "fulfil", secrets[0][0])
    merchant.cli("lock", "cancel", secrets[1][1])
    for node in (payer, merchant):
        is_now(node, "order-1", "settled")
        is_now(node, "order-2", "failed")
    say("\n3. Order 3: the payer falls silent. The merchant leaves, and the secret goes to the chain")
    payer.stop()
    merchant.cli("lock", "fulfil", secrets[2][0], "--wait", "0")
    merchant.cli("channel", "challenge", channel)
    wait_for("the secret on chain", lambda: merchant.show(channel)["locks"][0]["revealed"])
    say("  the chain shows the secret; now the challenge window passes")
    wait_for("the challenge", lambda: merchant.show(channel)["waits_for"]["code"] == "window")
    payer.chain.forward(merchant, PERIOD + 1)
    until_phase([merchant], channel, "closed")
    payer.start()
    until_phase([payer], channel, "closed")
    for node in (payer, merchant):
        is_now(node, "order-3", "settled")
    return 30000 + 50000


def demo_locks(folder, nodes, chain):
    payer, merchant = start_two(folder, nodes, chain)
    moved = conditional_payments(payer, merchant)
    if not table([("payer", 2000000 - moved, payer.balance()), ("merchant", 2000000 + moved, merchant.balance())]):
        raise Failed("the balances are not what they should be")


def table(rows):
    say(f"\n{'on-chain balance of':<22}{'expected':>14}{'actual':>14}")
    for name, expected, actual in rows:
        say(f"{name:<22}{expected:>14}{actual:>14}{'' if expected == actual else '   WRONG'}")
    return all(expected == actual for _, expected, actual in rows)


def start_two(folder, nodes, chain):
    say(f"demo: two daemons and {chain.name}; in {folder}")
    payer, merchant = Node("payer", folder, chain), Node("merchant", folder, chain)
    nodes += [payer, merchant]
    chain.begin(nodes, 2000000)
    payer.cli("peer", "connect", f"{merchant.info['node_id']}@{merchant.info['listen']}")
    return payer, merchant


def demo(folder, nodes, chain):
    payer, merchant = start_two(folder, nodes, chain)
    moved, rows = honest_channel(payer, merchant)
    rows += [("payer, after 1", 2000000 - moved, payer.balance()),
             ("merchant, after 1", 2000000 + moved, merchant.balance())]
    moved += cheated_channel(payer, merchant, folder)
    bonds = chain.bond_rows(payer, merchant, BOND)
    moved += 0 if bonds else BOND
    rows += [("payer, after 2", 2000000 - moved, payer.balance()),
             ("merchant, after 2", 2000000 + moved, merchant.balance())] + bonds
    if not table(rows):
        raise Failed("the balances are not what they should be")


def run(kind):
    """The whole demo on one chain; True if all went well."""
    folder, nodes, chain = tempfile.mkdtemp(prefix="channel-demo-"), [], None
    try:
        chain = demo_chain.Embedded(folder) if kind == "dev" else demo_chain.Evm(folder, token=kind == "token")
        (demo_locks if "--locks" in sys.argv else demo)(folder, nodes, chain)
        for node in nodes:
            node.stop()
        return True
    except (Failed, OSError, subprocess.SubprocessError, http.client.HTTPException, KeyError, ValueError) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        for node in nodes:
            print(f"--- the end of {node.log}\n{open(node.log, errors='replace').read()[-3000:]}", file=sys.stderr)
        return False
    finally:
        for node in nodes:
            if node.process and node.process.poll() is None:
                node.process.kill()
                node.process.wait()
        if chain:
            chain.close()
        if "--keep" not in sys.argv:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    started, options = time.monotonic(), sys.argv[2:]
    wanted = options[options.index("--l1") + 1:][:1] if "--l1" in options else ["dev"]
    kinds = {"dev": ["dev"], "evm": ["token", "coin"]}.get(wanted[0] if wanted else "")
    if kinds is None:
        print("demo: --l1 takes dev or evm", file=sys.stderr)
        return 2
    if not all(run(kind) for kind in kinds):
        return 1
    say(f"took {time.monotonic() - started:.1f} s\ndemo: ok")
    return 0


sys.exit(main())
