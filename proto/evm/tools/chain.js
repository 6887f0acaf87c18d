// A chain of anvil's, and the Adjudicator's calls as ethers encodes them. Nothing here is shared with the C code.
"use strict";
const { spawn } = require("child_process");
const fs = require("fs");
const path = require("path");
const { AbiCoder, Interface, SigningKey, TypedDataEncoder, concat, getAddress, keccak256, computeAddress, toBeHex } =
  require("ethers");

const root = path.join(__dirname, "..");
const abi = AbiCoder.defaultAbiCoder();
const artifact = (name) => JSON.parse(fs.readFileSync(path.join(root, "artifact", `${name}.json`)));
const NATIVE = "0x" + "00".repeat(20);
const ZERO = "0x" + "00".repeat(32);
const TYPES = {
  State: "bytes32 id,uint16 epoch,uint64 version,bytes32 outcomeHash",
  Close: "bytes32 id,uint16 epoch,int112 net,uint40 validUntil",
  Withdraw: "bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil",
  Move: "bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil," +
    "bytes32 toId,uint16 toEpoch,uint8 toSide",
  Challenge: "bytes32 id,uint16 epoch,uint8 side,uint64 version,bytes32 outcomeHash,uint40 validUntil",
  Bounty: "bytes32 id,uint16 epoch,address beneficiary",
};
const fields = (text) => text.split(",").map((f) => ({ type: f.split(" ")[0], name: f.split(" ")[1] }));

// A packed word.
const word = (value) => toBeHex(value, 32);

class Chain {
  // Starts anvil on a free port; `close` ends it.
  static async start(options = ["--hardfork", "cancun"]) {
    const binary = path.join(root, "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    const child = spawn(binary, ["--port", "0", "--base-fee", "0", "--gas-price", "0", ...options]);
    const url = await new Promise((resolve, reject) => {
      let text = "";
      child.stdout.on("data", (data) => {
        text += data;
        const found = /Listening on ([0-9.:]+)/.exec(text);
        if (!found) return;
        child.stdout.removeAllListeners("data").resume(); // it logs every call
        resolve("http://" + found[1]);
      });
      child.on("exit", () => reject(new Error("anvil ended: " + text)));
      child.on("error", reject);
    });
    const chain = new Chain(child, url);
    await chain.rpc("anvil_autoImpersonateAccount", [true]);
    return chain;
  }

  constructor(child, url) {
    Object.assign(this, { child, url, serial: 0 });
  }

  close() {
    this.child.removeAllListeners("exit");
    this.child.kill("SIGKILL");
  }

  async rpc(method, params) {
    const body = JSON.stringify({ jsonrpc: "2.0", id: ++this.serial, method, params });
    const reply = await fetch(this.url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const { result, error } = await reply.json();
    if (error) throw new Error(`${method}: ${error.message} ${error.data || ""}`);
    return result;
  }

  // Sends from any address; returns the receipt, throws if it reverted.
  async send(from, to, data, value = 0n) {
    const tx = { from, to, data, value: toBeHex(value), gas: toBeHex(16_000_000) };
    const hash = await this.rpc("eth_sendTransaction", [tx]);
    let receipt = null; // mined at once, but not always before the reply
    while (!receipt) receipt = await this.rpc("eth_getTransactionReceipt", [hash]);
    if (receipt.status !== "0x1") {
      const why = await this.rpc("eth_call", [tx, "latest"]).catch((e) => e.message);
      throw new Error(`transaction reverted: ${why}`);
    }
    return receipt;
  }

  async now() {
    return BigInt((await this.rpc("eth_getBlockByNumber", ["latest", false])).timestamp);
  }

  async forward(seconds) {
    await this.rpc("evm_increaseTime", [seconds]);
    await this.rpc("evm_mine", []);
  }
}

// One channel: `p` = { keys[2], payout[2], asset, period, bond, salt }.
class Channel {
  constructor(chainId, adjudicator, p) {
    Object.assign(this, p, { adjudicator, chainId, epoch: 0n });
    this.signer = p.keys.map((k) => computeAddress(new SigningKey(k).publicKey));
    this.tag = keccak256(p.salt);
    this.paramsHash = keccak256(abi.encode(
      ["uint256", "address", "address", "address", "address", "address", "uint32", "uint96", "bytes32"],
      [chainId, adjudicator, ...this.signer, ...p.payout, p.period, p.bond, this.tag]));
    this.id = keccak256(concat([this.paramsHash, p.asset]));
    this.domain = { name: "StateChannel", version: "1", chainId, verifyingContract: adjudicator };
  }

  // The six words of calldata.
  words({ validUntil = 0n, side = 0n, version = 0n, tag = this.tag } = {}) {
    const terms = (this.period << 64n) | (this.epoch << 48n) | (validUntil << 8n) | side;
    return [
      (BigInt(this.signer[0]) << 96n) | this.bond,
      (BigInt(this.signer[1]) << 96n) | terms,
      BigInt(this.payout[0]),
      BigInt(this.payout[1]),
      (BigInt(this.asset) << 96n) | version,
      BigInt(tag),
    ];
  }

  sign(who, type, message) {
    const value = { id: this.id, epoch: this.epoch, ...message };
    const digest = TypedDataEncoder.hash(this.domain, { [type]: fields(TYPES[type]) }, value);
    const { r, yParityAndS } = new SigningKey(this.keys[who]).sign(digest);
    return [r, yParityAndS];
  }

  both(type, message) {
    return [this.sign(0, type, message), this.sign(1, type, message)];
  }

  where(side) {
    return word((this.epoch << 1n) | side);
  }
}

const outcomeHash = (net, locks, blind) =>
  keccak256(abi.encode(["int112", "bytes32", "bytes32"], [net, locks === "0x" ? ZERO : keccak256(locks), blind]));

const hashLock = (amount, payer, expiry, hash) =>
  concat([toBeHex(amount, 14), toBeHex(payer, 1), toBeHex(expiry, 5), NATIVE, toBeHex(0, 4), toBeHex(32, 2), hash]);

module.exports = { Chain, Channel, NATIVE, ZERO, Interface, artifact, getAddress, hashLock, outcomeHash, word };
