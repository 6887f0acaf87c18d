"""An EVM chain for the end-to-end tests: anvil with the Adjudicator on it, mined by the test."""
import shutil
import threading

from daemon import WAIT, World, open_channel, pay, until
from faultproxy import Proxy
import anvil  # from tests/support, where daemon has led

COIN = 10**18
CONFIRMATIONS = 3
PERIOD = 3600


def quantity(text):
    return int(text, 16)


class Chain(anvil.Anvil):
    """A chain whose blocks come every `interval` seconds, or when the test says so."""

    def __init__(self, interval=0.2):
        super().__init__("--no-mining", "--order", "fifo")
        self.interval = interval
        self.account = self.rpc("eth_accounts")[0]
        self.mining, self.ended = threading.Lock(), threading.Event()  # whoever holds the lock decides about blocks
        self.contract = self.deploy("Adjudicator")
        self.thread = threading.Thread(target=self.mine_on, daemon=True)
        self.thread.start()

    def mine_on(self):
        while not self.ended.wait(self.interval):
            with self.mining:
                if not self.ended.is_set():
                    self.rpc("evm_mine")

    def mine(self, blocks=1):
        for _ in range(blocks):
            self.rpc("evm_mine")

    def deploy(self, name, arguments=""):
        code = anvil.artifact(name)["bytecode"] + arguments
        sent = self.rpc("eth_sendTransaction", {"from": self.account, "data": code, "gas": hex(15000000)})
        self.rpc("evm_mine")
        return self.rpc("eth_getTransactionReceipt", sent)["contractAddress"]

    def fund(self, node, amount):
        self.rpc("anvil_setBalance", "0x" + node.get("/v1/wallet/address")["address"].removeprefix("0x"), hex(amount))

    def head(self):
        return quantity(self.rpc("eth_blockNumber"))

    def time(self):
        return quantity(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"])

    def warp(self, seconds):
        with self.mining:
            self.rpc("evm_increaseTime", seconds)
            self.rpc("evm_mine")

    def reorg(self, depth, transactions=()):
        """Replaces the last `depth` blocks; of their transactions only those given, [(raw or request, block)], return."""
        with self.mining:
            self.rpc("anvil_reorg", depth, [list(t) for t in transactions])

    def stop(self):
        self.ended.set()
        self.thread.join(WAIT)
        super().stop()


class EvmWorld(World):
    """Nodes on an anvil of their own."""

    def __init__(self, interval=0.2, confirmations=CONFIRMATIONS):
        self.interval, self.confirmations, self.proxies = interval, confirmations, []

    def __enter__(self):
        super().__enter__()
        self.anvil = Chain(self.interval)
        return self

    def __exit__(self, *error):
        for proxy in self.proxies:
            proxy.close()
        super().__exit__(*error)
        self.anvil.stop()

    def proxy(self, fault=None):
        self.proxies.append(Proxy(self.anvil.url, fault))
        return self.proxies[-1]

    def holds(self, amount):
        """Whether the contract has so much."""
        return quantity(self.anvil.rpc("eth_getBalance", self.anvil.contract, "latest")) == amount

    def flags(self, *urls):
        rpc = [flag for url in urls or (self.anvil.url,) for flag in ("--rpc", url)]
        return ["--l1", "evm", "--contract", self.anvil.contract, "--confirmations", str(self.confirmations),
                "--l1-poll", "100", *rpc]

    def evm_node(self, name, *flags, urls=(), coin=10 * COIN, **more):
        node = self.node(name, *self.flags(*urls), *flags, **more)
        if coin:
            self.anvil.fund(node, coin)
            until("the coin to be seen", lambda: node.balance() == coin)
        return node


def pair(world, *flags, urls=()):
    """Two nodes with coin, connected by the second, so that the first does not know where the second is."""
    a = world.evm_node("payer", "--challenge-period", str(PERIOD), *flags, urls=urls)
    b = world.evm_node("merchant", "--challenge-period", str(PERIOD), "--max-deposit", "1000000", *flags, urls=urls)
    b.connect(a)
    until_connected(a)
    return a, b


def until_connected(node):
    until(f"{node.name} to see its peer", lambda: any(p["connected"] for p in node.get("/v1/peers")["peers"]))


class Theft:
    """A thief who puts back a copy of its data directory from before it paid, and a victim with URLs of its own."""

    def __init__(self, world, *flags, urls=()):
        self.world = world
        self.thief = world.evm_node("thief", "--challenge-period", str(PERIOD), *flags)
        self.victim = world.evm_node("victim", "--challenge-period", str(PERIOD), *flags, urls=urls)
        self.victim.connect(self.thief)
        until_connected(self.thief)
        self.channel = open_channel(self.thief, self.victim, 1000)
        pay(self.thief, self.channel, "early", 100)
        self.thief.stop()
        shutil.copytree(self.thief.dir, self.thief.dir + ".old")
        self.thief.start()
        until("the payer to be back", lambda: self.victim.show(self.channel)["synced"])
        pay(self.thief, self.channel, "late", 800)
        self.thief.stop()

    def challenge(self):
        """With the state in which only 100 were paid. From another port, where the victim does not look."""
        shutil.rmtree(self.thief.dir)
        shutil.move(self.thief.dir + ".old", self.thief.dir)
        self.thief.listen = "127.0.0.1:0"
        self.thief.start()
        until("the thief to see the chain", lambda: self.thief.get("/v1/info")["l1"]["fresh"])
        self.thief.post(f"/v1/channels/{self.channel}/challenge")
        until("the challenge to be mined", self.dispute)

    def dispute(self):
        """(version, deadline) of the dispute as the contract has it, or None."""
        word = self.world.anvil.rpc("eth_getStorageAt", self.world.anvil.contract, self.channel, "latest")
        if int(word, 16) >> 255 == 0:
            return None
        slot = hex(int(self.channel, 16) + 1)
        word = int(self.world.anvil.rpc("eth_getStorageAt", self.world.anvil.contract, slot, "latest"), 16)
        return word & (1 << 64) - 1, word >> 128 & (1 << 40) - 1

    def refuted(self):
        dispute = self.dispute()
        return dispute and dispute[0] == self.victim.show(self.channel)["version"]

    def until_refuted(self, wait=WAIT):
        until("the refutation", self.refuted, wait)
        assert self.world.anvil.time() <= self.dispute()[1]


def settle_all(world, theft):
    """The window ends; the money goes where the latest state says."""
    world.anvil.warp(2 * PERIOD)
    theft.victim.until_phase(theft.channel, "closed")
    assert theft.victim.show(theft.channel)["ended"]["paid"] == {"mine": "900", "peer": "100"}
    assert world.holds(0)
