"""The chain node in memory, which unit tests and the simulator have in place of a real one (tests/support/evm_node.h), takes
signed transactions as anvil does: which it refuses and why, what gets into a block and in which order, receipts, what is paid,
and how the base fee moves. What the contracts do with them is tests/differential's to compare."""
import json
import os
import subprocess
import sys

from daemon import BUILD, WAIT, run
import anvil

CHAIN = 31337
GWEI = 10**9
COIN = 10**18
BLOCK_GAS = 30_000_000
KEYS = [f"{k:064x}" for k in (0x1111, 0x2222, 0x3333)]
TO = "ab" * 20

# What nodes mean by what they say, as channeld/l1/evm/writer.c reads it.
MEANINGS = {
    "known": ("already known", "already imported"),
    "nonce low": ("nonce too low",),
    "underpriced": ("underpriced",),
    "poor": ("insufficient funds",),
    "little gas": ("intrinsic gas too low",),
    "much gas": ("exceeds block gas limit", "intrinsic gas too high"),
    "malformed": ("invalid chain id", "invalid sender"),
}


def meaning(text):
    found = [name for name, parts in MEANINGS.items() if any(part in text.lower() for part in parts)]
    assert len(found) == 1, text
    return found[0]


class Memory:
    """The node in memory behind a pipe."""

    def __init__(self):
        self.process = subprocess.Popen([os.path.join(BUILD, "tests", "differential_node")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def rpc(self, method, *params):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise anvil.AnvilError(f"{method}: {answer['error']}")
        return answer["result"]

    def give(self, who, amount):
        self.rpc("test_give", who, hex(amount))

    def mine(self, time):
        self.rpc("test_mine", hex(time))

    def stop(self):
        self.process.stdin.close()
        self.process.wait(WAIT)


class Real(anvil.Anvil):
    def __init__(self):
        super().__init__("--no-mining", "--base-fee", str(GWEI), "--gas-limit", str(BLOCK_GAS))

    def give(self, who, amount):
        self.rpc("anvil_setBalance", who, hex(amount))

    def mine(self, time):
        self.rpc("evm_setNextBlockTimestamp", hex(time))
        self.rpc("evm_mine")


def sent(node, raw):
    try:
        node.rpc("eth_sendRawTransaction", raw)
        return "ok"
    except anvil.AnvilError as error:
        return meaning(str(error))


class Both:
    """Asks both, and has them answer the same."""

    def __init__(self):
        anvil.install()
        self.nodes = [Memory(), Real()]
        self.accounts = self.nodes[1].rpc("eth_accounts")
        self.time = int(self.nodes[1].rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.stop()

    def same(self, what, look):
        ours, theirs = (look(node) for node in self.nodes)
        assert ours == theirs, f"{what}: in memory {ours}, anvil {theirs}"
        return ours

    def mine(self):
        self.time += 12
        for node in self.nodes:
            node.mine(self.time)
        return self.same("block", lambda node: {k: v for k, v in node.rpc("eth_getBlockByNumber", "latest", False).items()
                                                if k in ("transactions", "gasUsed", "baseFeePerGas", "logsBloom", "timestamp")})

    def send(self, raw):
        """"ok", or why not."""
        return self.same("answer", lambda node: sent(node, raw))

    def receipt(self, tx_hash):
        keys = ("status", "gasUsed", "effectiveGasPrice", "transactionIndex", "from", "to", "logs", "contractAddress")
        return self.same("receipt", lambda node: (lambda r: r and {k: r[k] for k in keys})(
            node.rpc("eth_getTransactionReceipt", tx_hash)))

    def nonce(self, who):
        return self.same("nonce", lambda node: node.rpc("eth_getTransactionCount", who, "latest"))


def signed(*, key, nonce, fee=3 * GWEI, priority=GWEI, gas=21000, value=5, kind=2, chain=CHAIN):
    line = f"{kind} {chain} {nonce} {fee} {priority if kind else 0} {gas} {TO} {value} - {key}\n"
    return "0x" + subprocess.run([os.path.join(BUILD, "tests", "evm_sign")], input=line, capture_output=True, text=True,
                                 timeout=WAIT, check=True).stdout.strip()


def address(key):
    return subprocess.run([anvil.CAST, "wallet", "address", "--private-key", "0x" + key], capture_output=True, text=True,
                          timeout=WAIT, check=True).stdout.strip().lower()


def hash_of(raw):
    return subprocess.run([anvil.CAST, "keccak", raw], capture_output=True, text=True, timeout=WAIT, check=True).stdout.strip()


def what_a_pool_takes():
    with Both() as both:
        key, me = KEYS[0], address(KEYS[0])
        for node in both.nodes:
            node.give(me, COIN)
        first = signed(key=key, nonce=0)
        assert both.send(first) == "ok"
        assert both.send(first) == "known"
        assert both.send(signed(key=key, nonce=0, fee=2 * GWEI)) == "underpriced"
        for fee, priority in ((109, 109), (110, 109), (109, 110), (200, 100)):  # geth's rule; any more will do for anvil
            bid = signed(key=key, nonce=0, fee=3 * GWEI * fee // 100, priority=GWEI * priority // 100)
            assert sent(both.nodes[0], bid) == "underpriced", (fee, priority)
        second = signed(key=key, nonce=0, fee=33 * GWEI // 10, priority=11 * GWEI // 10)
        assert both.send(second) == "ok"
        assert both.send(signed(key=key, nonce=1, gas=20000)) == "little gas"
        assert both.send(signed(key=key, nonce=1, gas=BLOCK_GAS + 1)) == "much gas"
        assert both.send(signed(key=key, nonce=1, value=2 * COIN)) == "poor"
        assert both.send(signed(key=key, nonce=1, chain=1)) == "malformed"
        third = signed(key=key, nonce=1, kind=0)
        later = signed(key=key, nonce=3)
        assert both.send(third) == both.send(later) == "ok"
        assert both.mine()["transactions"] == [hash_of(second), hash_of(third)]
        assert both.receipt(hash_of(first)) is None and both.receipt(hash_of(later)) is None
        assert both.receipt(hash_of(second))["status"] == both.receipt(hash_of(third))["status"] == "0x1"
        assert both.nonce(me) == "0x2"
        assert both.send(second) == both.send(signed(key=key, nonce=1)) == "nonce low"
        assert both.send(signed(key=key, nonce=2)) == "ok"
        assert len(both.mine()["transactions"]) == 2
        both.same("balance", lambda node: node.rpc("eth_getBalance", me, "latest"))
        both.same("balance", lambda node: node.rpc("eth_getBalance", "0x" + TO, "latest"))


def what_is_paid():
    """Those that offer more come first; the base fee follows the blocks; history says what was paid."""
    with Both() as both:
        for key in KEYS:
            for node in both.nodes:
                node.give(address(key), COIN)
        tips = (GWEI, 3 * GWEI, 2 * GWEI)
        # anvil goes by the most that they pay
        bids = [signed(key=key, nonce=0, fee=20 * GWEI + tip, priority=tip) for key, tip in zip(KEYS, tips)]
        assert [both.send(raw) for raw in bids] == ["ok"] * 3
        assert both.mine()["transactions"] == [hash_of(bids[i]) for i in (1, 2, 0)]
        for raw in bids:
            both.receipt(hash_of(raw))
        fees = [both.mine()["baseFeePerGas"] for _ in range(6)]
        assert len(set(fees)) == 6, fees  # of empty blocks
        history = both.same("history", lambda node: {k: v for k, v in node.rpc("eth_feeHistory", "0x8", "latest", [50]).items()
                                                     if k in ("oldestBlock", "baseFeePerGas", "reward")})
        assert history["reward"][1] == [hex(2 * GWEI)], history


if __name__ == "__main__":
    sys.exit(run("evm node", [what_a_pool_takes, what_is_paid]))
