"""The chains that the demo runs on. Both sides of each amount are checked to the last unit, so fees, where there are
any, are counted apart."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))
NATIVE = "0x" + "00" * 20


class Embedded:
    """An SQLite file; the daemons' own faucet and clock."""
    name, fees = "an embedded chain", "0"

    def __init__(self, folder):
        self.where = os.path.join(folder, "chain.db")  # for the thief's tool
        self.asset = None

    def flags(self):
        return ["--l1", f"dev:{self.where}"]

    def begin(self, nodes, give):
        for node in nodes:
            node.start()
            node.cli("dev", "faucet", str(give))

    def forward(self, node, seconds):
        node.cli("dev", "warp", str(seconds))

    def balance(self, node):
        return int(node.cli("wallet", "balance", show=False)["balance"])

    def bond_rows(self, _payer, _merchant, _bond):
        return []

    def close(self):
        pass


class Evm:
    """Anvil, the contract deployed by the payer's daemon, and as the asset the coin or a token."""
    RICH = 10**18  # of the coin, for fees and bonds

    def __init__(self, folder, token):
        import anvil
        self.tools, self.token = anvil, token
        self.chain = anvil.Anvil("--block-time", "1", "--slots-in-an-epoch", "1")
        self.where = self.chain.url
        self.name = f"an EVM node (anvil) at {self.where}, with {'a token (ERC-20)' if token else 'its coin'}"
        self.contract = self.asset = None
        self.had = {}

    def flags(self):
        flags = ["--l1", "evm", "--rpc", self.where, "--confirmations", "1", "--l1-poll", "100"]
        return flags + (["--contract", self.contract] if self.contract else [])

    def begin(self, nodes, give):
        for node in nodes:
            node.start()
            self.fund(node, give)
        deployed = nodes[0].cli("l1", "deploy", "--wait", "60")
        self.contract = deployed["adjudicator"]
        print(f"    {deployed['config']}", flush=True)
        for node in nodes:
            node.stop()
            node.start()

    def fund(self, node, give):
        address = node.info["l1"]["address"]
        coin = self.RICH + (0 if self.token else give)
        self.chain.rpc("anvil_setBalance", address, hex(coin))
        self.had[node.name] = coin
        if not self.token:
            return
        sender = self.chain.rpc("eth_accounts")[0]
        if self.asset is None:
            code = self.tools.artifact("TestToken")["bytecode"]
            self.asset = self.mined({"from": sender, "data": code})["contractAddress"]
        mint = "0x40c10f19" + address[2:].rjust(64, "0") + f"{give:064x}"  # mint(address,uint256)
        self.mined({"from": sender, "to": self.asset, "data": mint})

    def mined(self, tx):
        tx_hash = self.chain.rpc("eth_sendTransaction", {"gas": hex(5000000), **tx})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            receipt = self.chain.rpc("eth_getTransactionReceipt", tx_hash)
            if receipt:
                if receipt["status"] != "0x1":
                    raise ValueError(f"the transaction {tx_hash} reverted")
                return receipt
            time.sleep(0.05)
        raise ValueError(f"the transaction {tx_hash} was not mined")

    def forward(self, node, seconds):
        print(f"  the chain's clock goes on by {seconds} seconds", flush=True)
        self.chain.rpc("evm_increaseTime", seconds)
        self.chain.rpc("evm_mine")

    def fees_of(self, address):
        """What the account has paid for gas so far, in all blocks."""
        paid = 0
        for number in range(int(self.chain.rpc("eth_blockNumber"), 16) + 1):
            for tx in self.chain.rpc("eth_getBlockByNumber", hex(number), True)["transactions"]:
                if tx["from"] == address:
                    receipt = self.chain.rpc("eth_getTransactionReceipt", tx["hash"])
                    paid += int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
        return paid

    def coin(self, node):
        """The coin with the fees added back, and without what was given for fees and bonds."""
        address = node.info["l1"]["address"]
        return int(self.chain.rpc("eth_getBalance", address, "latest"), 16) + self.fees_of(address) - self.RICH

    def balance(self, node):
        if not self.token:
            return self.coin(node)
        return int(node.cli("wallet", "balance", "--asset", self.asset, show=False)["balance"])

    def bond_rows(self, payer, merchant, bond):
        """With a token the bond is what moved in coin."""
        return [("payer, coin", -bond, self.coin(payer)), ("merchant, coin", bond, self.coin(merchant))] if self.token else []

    def close(self):
        self.chain.stop()
