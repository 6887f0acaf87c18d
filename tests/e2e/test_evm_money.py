"""What the daemon writes to an EVM chain: transactions like cast's, tokens with no more consent than needed, closings in
one transaction, a deployment."""
import concurrent.futures
import os
import random
import subprocess
import sys

from daemon import BUILD, WAIT, Refused, pay, run, until
from evm import CONFIRMATIONS, EvmWorld, quantity
import anvil

LONG = {"wait_ms": WAIT * 1000}
SIGNED = 24
GWEI = 10**9


def random_transactions(seed):
    """Lines for evm_sign: small and large numbers, with and without a receiver and data."""
    rng = random.Random(seed)

    def number(bits):
        return rng.getrandbits(rng.randrange(1, bits + 1))

    for _ in range(SIGNED):
        fee, key = 1 + number(60), rng.randrange(1, 2**255)
        kind = rng.choice((0, 2))
        priority = rng.randrange(fee + 1) if kind else 0
        data = rng.randbytes(rng.choice((1, 31, 55, 56, 300))).hex()
        to = rng.choice((rng.randbytes(20).hex(), "-"))
        if to != "-" and rng.random() < 0.3:
            data = "-"
        yield (kind, 1 + number(40), number(63), fee, priority, 21000 + number(24), to, number(100), data, f"{key:064x}")


def of_cast(tx):
    kind, chain, nonce, fee, priority, gas, to, value, data, key = (str(part) for part in tx)
    argv = [anvil.CAST, "mktx", "--rpc-url", "http://127.0.0.1:1", "--private-key", "0x" + key, "--chain", chain, "--nonce", nonce,
            "--gas-price", fee, "--gas-limit", gas, "--value", value]
    argv += ["--legacy"] if kind == "0" else ["--priority-gas-price", priority]
    if to == "-":
        argv += ["--create", "0x" + data]
    else:
        argv += ["0x" + to] + (["0x" + data] if data != "-" else [])
    done = subprocess.run(argv, capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
    return done.stdout.strip().removeprefix("0x")


def transactions_are_those_of_cast():
    anvil.install()
    seed = random.randrange(2**32)
    all_of_them = list(random_transactions(seed))
    lines = "".join(" ".join(str(part) for part in tx) + "\n" for tx in all_of_them)
    ours = subprocess.run([os.path.join(BUILD, "tests", "evm_sign")], input=lines, capture_output=True, text=True,
                          timeout=WAIT, check=True).stdout.split()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(of_cast, all_of_them))
    assert len(ours) == SIGNED
    for tx, one, other in zip(all_of_them, ours, theirs):
        assert one == other, f"seed {seed}: {tx}: {one}, not {other}"


def token_nodes(world):
    flags = ("--max-deposit", "1000000", "--assets", "any")
    a, b = world.evm_node("payer", *flags), world.evm_node("merchant", *flags)
    a.connect(b)
    return a, b


class Token:
    """A token, and two nodes that have some. The usual one knows all forms of consent."""

    def __init__(self, world, nodes, name="TestToken"):
        self.anvil, self.address = world.anvil, world.anvil.deploy(name)
        self.a, self.b = nodes
        for node in nodes:
            self.call(self.anvil.account, f"0x40c10f19{self.word(node)}{10000:064x}")  # mint(address,uint256)
            until("the tokens", lambda: self.balance(self.holder(node)) == 10000)

    def call(self, sender, data):
        return self.anvil.rpc("eth_sendTransaction", {"from": sender, "to": self.address, "gas": hex(200000), "data": data})

    @staticmethod
    def holder(node):
        return node.get("/v1/wallet/address")["address"]

    def word(self, node):
        return self.holder(node)[2:].rjust(64, "0")

    def balance(self, holder):
        return self.ask("0x70a08231" + holder[2:].rjust(64, "0"))

    def allowance(self, node):
        return self.ask("0xdd62ed3e" + self.word(node) + self.anvil.contract[2:].rjust(64, "0"))

    def permits(self, node):
        return self.ask("0x7ecebe00" + self.word(node))  # nonces(address)

    def ask(self, data):
        return quantity(self.anvil.rpc("eth_call", {"to": self.address, "data": data}, "latest"))

    def sent(self, node):
        return quantity(self.anvil.rpc("eth_getTransactionCount", self.holder(node), "latest"))

    def open(self, **more):
        done = self.a.post("/v1/channels", {"peer": self.b.id, "asset": self.address, **more})
        for node in (self.a, self.b):
            node.until_phase(done["id"], "open")
        return done["id"]


def tokens_need_no_approval_that_outlives_them():
    """A deposit takes its consent along, in one transaction; one for both sides is approved before, exactly."""
    with EvmWorld() as world:
        a, b = nodes = token_nodes(world)
        token = Token(world, nodes)
        wallet = a.get(f"/v1/wallet?asset={token.address}")
        assert (wallet["balance"], wallet["symbol"], wallet["decimals"]) == ("10000", "TEST", 6), wallet
        assert (a.get("/v1/wallet")["symbol"], a.get("/v1/wallet")["decimals"]) == (None, None)
        first = token.open(deposit="1000", peer_deposit="200")
        assert (token.sent(a), token.sent(b)) == (1, 1)
        second = token.open(deposit="30", peer_deposit="5", fund_both=True)
        assert (token.sent(a), token.sent(b)) == (3, 1)
        assert (token.allowance(a), token.allowance(b)) == (0, 0)
        assert token.balance(world.anvil.contract) == 1235
        pay(a, first, "one", 300)
        pay(a, second, "two", 10)
        a.post(f"/v1/channels/{first}/close", LONG)
        b.post(f"/v1/channels/{second}/close", LONG)
        for channel in (first, second):
            for node in (a, b):
                node.until_phase(channel, "closed")
        # the payer paid 5 of the deposits for the merchant
        assert (token.balance(token.holder(a)), token.balance(token.holder(b))) == (9685, 10315)
        assert token.balance(world.anvil.contract) == 0


def a_permit_goes_with_the_deposit():
    """A token without authorizations: each deposit spends a permit for exactly its amount, in one transaction."""
    with EvmWorld() as world:
        a, b = nodes = token_nodes(world)
        token = Token(world, nodes, "PermitToken")
        channel = token.open(deposit="1000", peer_deposit="200")
        assert (token.sent(a), token.sent(b)) == (1, 1)
        a.post(f"/v1/channels/{channel}/deposit", {"amount": "50", **LONG})
        assert (token.sent(a), token.permits(a), token.permits(b)) == (2, 2, 1)
        assert (token.allowance(a), token.allowance(b)) == (0, 0)
        assert token.balance(world.anvil.contract) == 1250


def an_allowance_is_taken_back_first_where_the_token_wants_that():
    """What an earlier consent has left over is in the way of the next one: it goes, then exactly what is needed comes."""
    with EvmWorld() as world:
        a, _ = nodes = token_nodes(world)
        token = Token(world, nodes, "StrictToken")
        holder = token.holder(a)
        world.anvil.rpc("anvil_impersonateAccount", holder)
        token.call(holder, f"0x095ea7b3{world.anvil.contract[2:].rjust(64, '0')}{7:064x}")  # approve(address,uint256)
        world.anvil.rpc("anvil_stopImpersonatingAccount", holder)
        until("the allowance", lambda: token.allowance(a) == 7)
        token.open(deposit="1000")
        assert token.sent(a) == 4, token.sent(a)  # the old approval, none, the new one, the deposit
        assert (token.allowance(a), token.balance(world.anvil.contract)) == (0, 1000)


def closings_in_one_transaction():
    """Three channels that are left together, of two peers."""
    with EvmWorld() as world:
        a = world.evm_node("payer")
        peers = [world.evm_node(name, "--max-deposit", "1000000") for name in ("one", "two")]
        channels = []
        for peer in peers:
            a.connect(peer)
        for peer in (peers[0], peers[0], peers[1]):
            done = a.post("/v1/channels", {"peer": peer.id, "deposit": "1000"})
            for node in (a, peer):
                node.until_phase(done["id"], "open")
            channels.append(done["id"])
        a.request("POST", "/v1/channels/close", {})
        for channel in channels:
            a.until_phase(channel, "closed")
        closed = [[log["transactionHash"] for log in world.anvil.rpc("eth_getLogs", {
            "address": world.anvil.contract, "fromBlock": "0x0", "topics": [None, channel]})][-1] for channel in channels]
        assert len(set(closed)) == 1, closed
        assert world.holds(0)


def no_offer_above_the_limit():
    """The market asks for twice a base fee of nearly 9 gwei; the operator gives 15 at most."""
    with EvmWorld(interval=3600) as world:  # the test mines, so that the fees stand still
        world.anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(10 * GWEI))
        world.anvil.mine()
        node = world.evm_node("thrifty", "--max-fee", str(15 * GWEI))
        node.post("/v1/wallet/send", {"to": world.anvil.account, "amount": "1"})
        pool = until("the transfer", lambda: world.anvil.rpc("txpool_content")["pending"])
        offers = [quantity(tx["maxFeePerGas"]) for of_one in pool.values() for tx in of_one.values()]
        assert offers == [15 * GWEI], offers


def deployment():
    """`l1 deploy` makes a contract that the next start takes; before it no channel can be opened."""
    with EvmWorld() as world:
        known = ["--l1", "evm", "--rpc", world.anvil.url, "--confirmations", str(CONFIRMATIONS), "--l1-poll", "100"]
        node = world.node("deployer", *known)
        world.anvil.fund(node, 10**18)
        status = node.get("/v1/l1")
        assert (status["address"], status["transactions"]) == (node.get("/v1/wallet/address")["address"], [])
        assert status["balance"] == str(10**18), status
        try:
            node.post("/v1/channels", {"peer": "02" + "11" * 32, "deposit": "1"})
            raise AssertionError("a channel without a contract")
        except Refused as error:
            assert error.code == "no_adjudicator", error
        done = node.post("/v1/l1/deploy", {"wait_ms": WAIT * 1000})
        assert done["config"] == f"contract = {done['adjudicator']}", done
        node.stop()
        with open(os.path.join(node.dir, "config"), "a") as file:
            file.write(done["config"] + "\n")
        node.start()
        assert node.get("/v1/info")["l1"]["adjudicator"] == done["adjudicator"]


sys.exit(run("evm_money", (transactions_are_those_of_cast, tokens_need_no_approval_that_outlives_them,
                           a_permit_goes_with_the_deposit, an_allowance_is_taken_back_first_where_the_token_wants_that,
                           closings_in_one_transaction, no_offer_above_the_limit, deployment)))
