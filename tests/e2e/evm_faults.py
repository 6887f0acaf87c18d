"""Faults between daemon and chain node, and reorganisations: nothing is lost, refutations come in time.

    evm_faults.py [NAME...]     only the tests whose names contain one of these words

Long, so no part of the default run: scripts/test evm-faults.
"""
import sys

from daemon import WAIT, open_channel, pay, run, until
from evm import PERIOD, EvmWorld, Theft, pair, quantity, settle_all
from faultproxy import Proxy

LONG = {"wait_ms": WAIT * 1000}
PATIENCE = 180  # a time-out of the daemon's takes 10 s
DEEP = 7        # confirmations in the worlds that are reorganised
FAULTS = {
    "time-outs": lambda p: p.silent,
    "429": lambda p: Proxy.too_many,
    "429 in JSON": lambda p: Proxy.too_many_in_json,
    "cut replies": lambda p: Proxy.cut,
    "truncated replies": lambda p: Proxy.truncated,
    "HTML": lambda p: Proxy.page,
    "huge replies": lambda p: Proxy.huge,
    "redirections": lambda p: p.elsewhere,
    "wrong chain id": lambda p: Proxy.other_chain,
    "a frozen head": lambda p: p.frozen(),
    "a head that goes backwards": lambda p: p.frozen(behind=4),
    "empty logs": lambda p: Proxy.no_logs,
    "invented logs": lambda p: Proxy.invented_logs,
    "a chain of its own": lambda p: p.liar(),
    "nobody there": lambda p: Proxy.down,
}
BELIEVED = ("empty logs",)  # with these a single node still shows the dispute: storage tells


def named(name):
    def decorate(function):
        function.__name__ = name
        return function
    return decorate


def only_node(name):
    """The only node fails while the thief challenges and for some blocks more; then it is well again."""
    @named(f"only node: {name}")
    def test():
        with EvmWorld() as world:
            proxy = world.proxy()
            theft = Theft(world, urls=(proxy.url,))
            proxy.fault = FAULTS[name](proxy)
            theft.challenge()
            until("some blocks", lambda head=world.anvil.head(): world.anvil.head() >= head + 10)
            if name not in BELIEVED and name not in ("wrong chain id", "invented logs"):
                assert not theft.refuted(), "the fault did nothing"
            proxy.released.set()
            proxy.fault = None
            theft.until_refuted(PATIENCE)
            settle_all(world, theft)
    return test


def one_of_two(name):
    """One of two nodes fails all the time, the preferred one or the other."""
    @named(f"one of two nodes: {name}")
    def test():
        for bad in (0, 1):
            with EvmWorld() as world:
                proxies = world.proxy(), world.proxy()
                theft = Theft(world, urls=[p.url for p in proxies])
                proxies[bad].fault = FAULTS[name](proxies[bad])
                theft.challenge()
                theft.until_refuted(PATIENCE)
                if name == "a chain of its own":
                    assert "two nodes show different blocks" in theft.victim.log_text()
                    proxies[bad].fault = None  # a contradiction that does not end is the operator's
                settle_all(world, theft)
    return test


def down_for_half_of_the_window():
    with EvmWorld() as world:
        proxy = world.proxy()
        theft = Theft(world, urls=(proxy.url,))
        proxy.fault = Proxy.down
        theft.challenge()
        world.anvil.warp(PERIOD // 2)
        assert not theft.refuted()
        proxy.fault = None
        theft.until_refuted()
        settle_all(world, theft)


def victim_stopped_for_half_of_the_window():
    """It comes back to a chain that has gone on by more blocks than are read one by one."""
    with EvmWorld() as world:
        theft = Theft(world)
        theft.victim.stop()
        theft.challenge()
        with world.anvil.mining:
            world.anvil.rpc("anvil_mine", hex(3000), hex(0))
        world.anvil.warp(PERIOD // 2)
        theft.victim.start()
        theft.until_refuted()
        settle_all(world, theft)


def gas_price_times_100():
    """The fee rises a hundredfold when the refutation is sent: it is outbid until it is mined."""
    with EvmWorld() as world:
        theft = Theft(world)
        anvil = world.anvil
        theft.challenge()
        with anvil.mining:
            until("the refutation in the pool", lambda: quantity(anvil.rpc("txpool_status")["pending"]) > 0)
            base = quantity(anvil.rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"])

        def mine_dear():
            with anvil.mining:
                anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(100 * base))
                anvil.mine()
            return theft.refuted()
        mine_dear()
        assert not theft.refuted(), "the fee was not too low"
        until("the refutation", mine_dear, PATIENCE)
        settle_all(world, theft)


def stuck_nonce():
    """The node acknowledges the refutation and loses it, several times."""
    with EvmWorld() as world:
        proxy = world.proxy()
        theft = Theft(world, urls=(proxy.url,))
        proxy.fault = proxy.swallows(3)
        theft.challenge()
        theft.until_refuted(PATIENCE)
        assert proxy.swallowed == 3
        settle_all(world, theft)


# --- Reorganisations --------------------------------------------------------------------------------------------------

def raw_of(anvil, depth):
    """The signed transactions of the last `depth` blocks, each for the block of its own height again."""
    head, found = anvil.head(), []
    for i in range(depth):
        block = anvil.rpc("eth_getBlockByNumber", hex(head - depth + 1 + i), True)
        found += [(anvil.rpc("eth_getRawTransactionByHash", tx["hash"]), i) for tx in block["transactions"]]
    return found


def reorganise(world, what, happened, depth, back):
    """When `what` has happened at the head: `depth` blocks from there are replaced. With `back` the transactions return
    at their places; else the daemons have to send them again."""
    anvil = world.anvil
    until(what, happened)
    anvil.mining.acquire()
    try:
        first = anvil.head()
        while happened(first - 1) and first > 1:
            first -= 1  # the block in which it happened
        anvil.mine(max(0, first + depth - 1 - anvil.head()))
        cut = anvil.head() - first + 1 if anvil.head() - first + 1 > depth else depth
        anvil.rpc("anvil_reorg", cut, [list(t) for t in raw_of(anvil, cut)] if back else [])
        assert back or not happened(), f"{what}: the reorganisation took nothing out"
    finally:
        anvil.mining.release()
    until(f"{what} again", happened, PATIENCE)


def slot0(world, channel, block=None):
    where = "latest" if block is None else hex(block)
    return int(world.anvil.rpc("eth_getStorageAt", world.anvil.contract, channel, where), 16)


def epoch(word):
    return word >> 239 & 0xffff


def version(world, channel, block=None):
    where = "latest" if block is None else hex(block)
    slot = hex(int(channel, 16) + 1)
    return int(world.anvil.rpc("eth_getStorageAt", world.anvil.contract, slot, where), 16) & (1 << 64) - 1


def deposit_and_close(depth, back):
    with EvmWorld(confirmations=DEEP) as world:
        a, b = pair(world)
        channel = a.post("/v1/channels", {"peer": b.id, "deposit": "1000", "peer_deposit": "0"})["id"]
        reorganise(world, "the deposit", lambda n=None: slot0(world, channel, n) & (1 << 112) - 1 == 1000, depth, back)
        for node in (a, b):
            node.until_phase(channel, "open")
        pay(a, channel, "one", 400)
        a.post(f"/v1/channels/{channel}/close")
        reorganise(world, "the close", lambda n=None: epoch(slot0(world, channel, n)) == 1, depth, back)
        for node in (a, b):
            node.until_phase(channel, "closed")
        assert b.show(channel)["ended"]["paid"] == {"mine": "400", "peer": "600"}
        assert world.holds(0)


def dispute(depth, back):
    with EvmWorld(confirmations=DEEP) as world:
        theft = Theft(world)
        theft.challenge()
        reorganise(world, "the challenge", lambda n=None: slot0(world, theft.channel, n) >> 255 == 1, depth, back)
        latest = theft.victim.show(theft.channel)["version"]
        reorganise(world, "the refutation", lambda n=None: version(world, theft.channel, n) == latest, depth, back)
        assert world.anvil.time() <= theft.dispute()[1]
        world.anvil.warp(2 * PERIOD)
        reorganise(world, "the settlement", lambda n=None: epoch(slot0(world, theft.channel, n)) == 1, depth, back)
        settle_all(world, theft)


def reorganisations(scenario, depth, back):
    how = "that return" if back else "that are lost"

    @named(f"reorganisation: {scenario.__name__.replace('_', ' ')}, depth {depth}, transactions {how}")
    def test():
        scenario(depth, back)
    return test


TESTS = [down_for_half_of_the_window, victim_stopped_for_half_of_the_window, gas_price_times_100, stuck_nonce,
         *[only_node(name) for name in FAULTS], *[one_of_two(name) for name in FAULTS],
         *[reorganisations(s, d, b) for s in (deposit_and_close, dispute) for d in range(1, 7) for b in (False, True)]]


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(run("evm faults", [t for t in TESTS if not words or any(w in t.__name__ for w in words)]))
