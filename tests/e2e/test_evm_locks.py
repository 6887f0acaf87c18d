"""Payments on condition that end on an EVM chain: a contract decides (proto/evm/example/RevenueSplit.sol), and the largest
number of locks."""
import hashlib
import sys

from daemon import WAIT, Refused, open_channel, run, until
from evm import PERIOD, EvmWorld, pair, quantity

LONG = {"wait_ms": WAIT * 1000}
BUY = "0x957a8363"  # the selector of buy(address,uint40)
SETTLED = "0x2a20f8d2d0f487a3016d77037b3c5768216a3dc76401d33abf5dc381af7171cb"  # the topic of Settled(bytes32,uint256,uint256)
MOST = 128


class Sale:
    """The payer of the channels sells something; its payees get shares of what it brings in."""

    def __init__(self, world, seller, seconds):
        self.anvil, self.contract = world.anvil, world.anvil.deploy("RevenueSplit")
        self.seller = seller.get("/v1/wallet/address")["address"].removeprefix("0x").lower()
        self.until = world.anvil.time() + seconds

    def share(self, millionths):
        """What a lock says."""
        payload = self.seller + self.until.to_bytes(5, "big").hex() + millionths.to_bytes(4, "big").hex()
        return {"condition": self.contract, "payload": "0x" + payload, "gas": 50000}

    def buy(self, price):
        sent = self.anvil.rpc("eth_sendTransaction", {
            "from": self.anvil.account, "to": self.contract, "value": hex(price), "gas": hex(200000),
            "data": BUY + self.seller.rjust(64, "0") + f"{self.until:064x}"})
        receipt = until("the purchase", lambda: self.anvil.rpc("eth_getTransactionReceipt", sent))
        assert quantity(receipt["status"]) == 1, receipt


def lock(node, channel, payment_id, amount, terms, seconds=3000):
    done = node.post("/v1/locks", {"id": payment_id, "channel": channel, "amount": str(amount), "expires_in": seconds,
                                   **terms, **LONG})
    assert (done["status"], done["lock"]["amount"]) == ("locked", str(amount)), done
    return done["lock"]["id"]


def rows(node, direction):
    """{id: (status, amount, at most)}"""
    return {p["id"]: (p["status"], p["amount"], p["lock"]["amount"])
            for p in node.get(f"/v1/payments?direction={direction}&limit=1000")["payments"]}


def settle(world, node, channel, seconds):
    """Leaves alone, while the peer is away."""
    node.post(f"/v1/channels/{channel}/challenge")
    until("the window", lambda: node.show(channel)["waits_for"]["code"] == "window")
    world.anvil.warp(seconds)
    node.until_phase(channel, "closed")


def a_revenue_is_split():
    """One share is released, one given back, one decided by the sale after the seller fell silent."""
    with EvmWorld() as world:
        a, b = pair(world, "--lock-margin", "60")
        channel = open_channel(a, b, 300000)
        sale = Sale(world, a, 2400)
        lock(a, channel, "released", 5000, sale.share(100000))
        returned = lock(a, channel, "returned", 7000, sale.share(50000))
        lock(a, channel, "decided", 20000, sale.share(200000))
        shown = until("all of them", lambda: len(b.show(channel)["locks"]) == 3 and b.show(channel)["locks"])
        assert shown[2]["lock"] | sale.share(200000) == shown[2]["lock"], shown
        assert b.show(channel)["balance"]["locked"] == {"mine": "0", "peer": "32000"}
        for node, path, body in ((b, "fulfil", {"payment": "released"}), (a, "cancel", {"hash": returned})):
            try:
                node.post("/v1/locks/" + path, body)
                raise AssertionError("it was not this side's to decide")
            except Refused as error:
                assert error.code == "unknown_lock", error
        done = a.cli("lock", "fulfil", "--payment", "released", "--wait", str(WAIT))
        assert done.returncode == 0 and sale.contract[:12] in done.stdout.lower(), done
        done = b.cli("lock", "cancel", returned, "--wait", str(WAIT))
        assert done.returncode == 0, done
        sale.buy(45000)
        sale.buy(15000)
        a.stop()
        had = quantity(world.anvil.rpc("eth_getBalance", "0x" + sale.seller, "latest"))
        settle(world, b, channel, PERIOD + 1)
        want = {"released": ("settled", "5000", "5000"), "returned": ("failed", "7000", "7000"),
                "decided": ("settled", "12000", "20000")}
        assert rows(b, "in") == want, rows(b, "in")
        assert b.show(channel)["ended"]["paid"] == {"mine": "17000", "peer": "283000"}
        assert quantity(world.anvil.rpc("eth_getBalance", "0x" + sale.seller, "latest")) == had + 283000
        assert world.holds(0)
        a.start()
        a.until_phase(channel, "closed")
        assert rows(a, "out") == want, rows(a, "out")
        again = a.post("/v1/locks", {"id": "decided", "channel": channel, "amount": "20000", "expires_in": 3000,
                                     **sale.share(200000)})
        assert (again["status"], again["amount"]) == ("settled", "12000"), again  # the id is known


def the_most_locks():
    """As many as a state can have, both ways: a contract's and 127 hashes, of which half are revealed."""
    with EvmWorld() as world:
        a, b = pair(world, "--lock-margin", "60", "--max-locks", str(MOST))
        channel = open_channel(a, b, 300000, 100000)
        sale = Sale(world, a, 2400)
        sale.buy(1000)
        lock(a, channel, "share", 1000, sale.share(500000))
        secrets = [bytes([n]) * 32 for n in range(MOST - 1)]
        for n, preimage in enumerate(secrets):
            payer = (a, b)[n % 2]
            lock(payer, channel, f"hash-{n}", 10, {"hash": "0x" + hashlib.sha256(preimage).hexdigest()})
        until("all of them", lambda: len(b.show(channel)["locks"]) == MOST)
        a.stop()
        for preimage in secrets[::2]:
            b.post("/v1/locks/fulfil", {"preimage": "0x" + preimage.hex(), "wait_ms": 0})
        b.post(f"/v1/channels/{channel}/challenge")
        until("the reveals", lambda: sum(s["revealed"] for s in b.show(channel)["locks"]) == len(secrets[::2]))
        until("the window", lambda: b.show(channel)["waits_for"]["code"] == "window")
        world.anvil.warp(PERIOD + 1)
        b.until_phase(channel, "closed")
        mine = 100000 + 500 + 10 * len(secrets[::2])
        assert b.show(channel)["ended"]["paid"] == {"mine": str(mine), "peer": str(400000 - mine)}
        assert world.holds(0)
        logs = world.anvil.rpc("eth_getLogs", {"address": world.anvil.contract, "fromBlock": "0x0",
                                               "topics": [SETTLED, channel]})
        used = quantity(world.anvil.rpc("eth_getTransactionReceipt", logs[0]["transactionHash"])["gasUsed"])
        print(f"# settled with {MOST} locks: {used} gas")
        assert used < 1000000, used


if __name__ == "__main__":
    TESTS = (a_revenue_is_split, the_most_locks)
    sys.exit(run("evm locks", [t for t in TESTS if not sys.argv[1:] or t.__name__ in sys.argv[1:]]))
