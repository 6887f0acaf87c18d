"""Real daemons on an EVM chain: anvil, the contract and the adapter. The long list of faults is in evm_faults.py."""
import hashlib
import sys
import time

from daemon import WAIT, assert_fails, channeld, open_channel, pay, run, until
from evm import EvmWorld, Theft, pair, settle_all
from faultproxy import Proxy

LONG = {"wait_ms": WAIT * 1000}
REVEAL = "0x701fd0f1"  # the selector of reveal(bytes32)


def open_pay_close():
    """The whole life of a channel in the native coin; the money is where it belongs."""
    with EvmWorld() as world:
        a, b = pair(world)
        channel = open_channel(a, b, 1000, 1000)
        pay(a, channel, "one", 300)
        pay(b, channel, "two", 50)
        held = b.balance()
        a.post(f"/v1/channels/{channel}/close", LONG)
        for node in (a, b):
            node.until_phase(channel, "closed")
        assert a.show(channel)["ended"]["paid"] == {"mine": "750", "peer": "1250"}
        assert int(world.anvil.rpc("eth_getBalance", world.anvil.contract, "latest"), 16) == 0
        assert b.balance() == held + 1250


def money_in_and_out():
    """A top-up, a withdrawal, and a second life of the same channel; after a restart all of it is still known."""
    with EvmWorld() as world:
        a, b = pair(world)
        channel = open_channel(a, b, 1000)
        path = f"/v1/channels/{channel}"
        assert a.post(path + "/deposit", {"amount": "500", **LONG})["contributions"]["mine"] == "1500"
        a.post(path + "/withdraw", {"amount": "300", **LONG})
        until("the withdrawal", lambda: world.holds(1200))
        pay(a, channel, "one", 200)
        a.post(path + "/close", LONG)
        for node in (a, b):
            node.until_phase(channel, "closed")
        assert world.holds(0)
        a.post(path + "/deposit", {"amount": "70", **LONG})
        b.until_phase(channel, "open")
        for node in (a, b):
            node.stop()
        for node in (b, a):
            node.start()
        until("the channel to be in step", lambda: a.show(channel)["synced"] and b.show(channel)["synced"])
        assert a.show(channel)["epoch"] == 1
        pay(a, channel, "two", 7)
        b.post(path + "/close", LONG)
        a.until_phase(channel, "closed")
        assert a.show(channel)["ended"]["paid"] == {"mine": "63", "peer": "7"}


def revealed_while_the_payer_is_away():
    """A conditional payment is claimed on the chain; the payer finds the preimage there when it is back."""
    with EvmWorld() as world:
        a, b = pair(world, "--lock-margin", "60")
        channel = open_channel(a, b, 300000)
        preimage = bytes([7]) * 32
        done = a.post("/v1/locks", {"id": "order-1", "channel": channel, "amount": "5000", "expires_in": 3000,
                                    "hash": "0x" + hashlib.sha256(preimage).hexdigest(), **LONG})
        assert done["status"] == "locked", done
        until("the merchant to know it", lambda: b.show(channel)["locks"])
        a.kill()
        b.post("/v1/locks/fulfil", {"preimage": "0x" + preimage.hex(), "wait_ms": 0})
        world.anvil.warp(2500)
        until("the reveal", lambda: b.show(channel)["locks"][0]["revealed"])
        world.anvil.warp(3600)  # long past the expiry
        a.start()

        def status(node, direction):
            return [p["status"] for p in node.get(f"/v1/payments?direction={direction}")["payments"]]
        until("the payment to be settled", lambda: status(a, "out") == ["settled"] == status(b, "in"))


def theft_is_refuted():
    """An old state on the chain, while one of two nodes hides it and contradicts the other."""
    with EvmWorld() as world:
        good, bad = world.proxy(), world.proxy()
        theft = Theft(world, urls=(bad.url, good.url))
        bad.fault = bad.liar()
        theft.challenge()
        theft.until_refuted()
        bad.fault = None
        settle_all(world, theft)


def reorganisation():
    """What a reorganisation takes out of the chain comes back by itself."""
    with EvmWorld() as world:
        a, b = pair(world)
        world.anvil.mine(4)  # the account's coin is too deep to go, too
        before = world.anvil.head()
        opened = a.post("/v1/channels", {"peer": b.id, "deposit": "1000", "peer_deposit": "0"})
        until("the deposit to be mined", lambda: world.holds(1000))
        world.anvil.reorg(world.anvil.head() - before + 2)  # a block may have come meanwhile
        assert world.holds(0), "the deposit is still there"
        until("the deposit to be mined again", lambda: world.holds(1000))
        for node in (a, b):
            node.until_phase(opened["id"], "open")
        pay(a, opened["id"], "one", 10)


def restart_while_the_node_is_down():
    """A daemon that knows its chain starts without it, and goes on when it is back."""
    with EvmWorld() as world:
        proxy = world.proxy()
        a, b = pair(world, "--chain-id", "31337", urls=(proxy.url,))
        channel = open_channel(a, b, 1000)
        a.stop()
        proxy.fault = Proxy.down
        a.start()
        proxy.fault = None
        until("the chain to be seen", lambda: a.get("/v1/info")["l1"]["fresh"])
        b.connect(a)
        until("the channel to be in step", lambda: a.show(channel)["synced"])
        pay(a, channel, "one", 10)


def stops_while_the_node_is_silent():
    """Requests under way do not hold up the end."""
    with EvmWorld() as world:
        proxy = world.proxy()
        node = world.evm_node("node", urls=(proxy.url,), coin=0)
        calls = proxy.calls
        proxy.fault = proxy.silent
        until("a request to hang", lambda: proxy.calls > calls)
        started = time.monotonic()
        node.stop()
        assert time.monotonic() - started < 8, "it waited for the node"


def the_place_of_a_reveal():
    """Of 32 zero bytes: the adapter looks into the contract's storage; tests/unit/test_evm_check.c has the same slot."""
    with EvmWorld() as world:
        anvil, slot = world.anvil, "0xe469d0062231d0953dcef35b570a9b6ca3d942007eacf6d1303de867becfe7d2"
        anvil.rpc("eth_sendTransaction", {"from": anvil.account, "to": anvil.contract, "data": REVEAL + "00" * 32})
        stored = until("the reveal", lambda: int(anvil.rpc("eth_getStorageAt", anvil.contract, slot, "latest"), 16))
        assert stored <= anvil.time() and stored > anvil.time() - 60


def refusals_at_start():
    """Each says what to do; none shows a password."""
    with EvmWorld() as world:
        node = world.node("node", start=False)
        known = ("--dir", node.dir, "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0", "--l1", "evm")
        contract, url = ("--contract", world.anvil.contract), ("--rpc", world.anvil.url)
        proxy = world.proxy()
        assert_fails(channeld(*known), "--rpc URL")
        assert_fails(channeld(*known, *contract, "--rpc", "ftp://user:secret@x"), "http://")
        assert_fails(channeld(*known, *contract, *url, "--chain-id", "5"), "31337", "--chain-id")
        proxy.fault = Proxy.other_chain
        assert_fails(channeld(*known, *contract, *url, "--rpc", proxy.url), "another URL")
        proxy.fault = Proxy.down
        done = channeld(*known, *contract, "--rpc", proxy.url.replace("//", "//user:secret@"))
        assert "No node of the chain answers" in done.stderr and "secret" not in done.stderr, done.stderr
        assert_fails(channeld(*known, *url, "--contract", "0x" + "12" * 20), "There is no contract", "l1 deploy")
        token = world.anvil.deploy("TestToken", "00" * 31 + "00")
        assert_fails(channeld(*known, *url, "--contract", token), "is not the Adjudicator")
        assert_fails(channeld(*known[:-1], "evn"), "dev:FILE")


if __name__ == "__main__":
    TESTS = (open_pay_close, money_in_and_out, revealed_while_the_payer_is_away, theft_is_refuted, reorganisation,
             restart_while_the_node_is_down, stops_while_the_node_is_silent, the_place_of_a_reveal, refusals_at_start)
    sys.exit(run("evm", [t for t in TESTS if not sys.argv[1:] or t.__name__ in sys.argv[1:]]))
