// The sides of the differential test: the real contract on anvil, and behind pipes the C model and the chain node in memory
// that tests have in place of real ones (tests/support/evm_node.h). `World.run` gives one transaction to all and compares
// outcome, events, storage and balances: the model's by what they mean, the node's word for word. The chain's time is what
// the test says.
"use strict";
const fs = require("fs");
const path = require("path");
const { spawn } = require("child_process");
const { createRequire } = require("module");
const readline = require("readline");

const tools = path.join(__dirname, "../../proto/evm/tools/chain.js");
const { Chain, Channel, NATIVE, ZERO, artifact, word } = require(tools);
const ethers = createRequire(tools)("ethers");
const { Interface, AbiCoder, toBeHex, keccak256, concat } = ethers;

const abi = AbiCoder.defaultAbiCoder();
const hex = (n, bytes) => toBeHex(n, bytes);
const bits = (word, at, n) => (word >> BigInt(at)) & ((1n << BigInt(n)) - 1n);
const signed = (v) => (v >> 111n ? v - (1n << 112n) : v);
const snake = (name) => name.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase();
const lower = (address) => address.toLowerCase();
const topic = (address) => "0x" + address.slice(26);

// Words as their ABI type wants them: numbers for integers, hex for bytes32.
function typed(param, value) {
  if (param.baseType === "array") return value.map((v) => typed(param.arrayChildren, v));
  if (param.baseType === "tuple") return param.components.map((c, i) => typed(c, value[i]));
  if (param.baseType === "bytes32") return hex(BigInt(value), 32);
  return /^u?int/.test(param.baseType) ? BigInt(value) : value;
}

// The contract's errors by selector. Some are made by its code alone, so that the ABI does not list them.
const REASONS = Object.fromEntries(
  [...fs.readFileSync(path.join(__dirname, "../../proto/evm/src/Reverts.sol"), "utf8").matchAll(/^error (\w+)\(\)/gm)]
    .map(([, name]) => [ethers.id(`${name}()`).slice(0, 10), snake(name)]));

// A program behind a pipe: one line of JSON each way.
class Pipe {
  constructor(binary, args) {
    this.child = spawn(binary, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.waiting = [];
    readline.createInterface({ input: this.child.stdout }).on("line", (line) => this.waiting.shift().resolve(JSON.parse(line)));
    this.child.on("exit", () => this.waiting.forEach((w) => w.reject(new Error(`${path.basename(binary)} ended`))));
  }

  next() {
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  ask(request) {
    const reply = this.next();
    this.child.stdin.write(JSON.stringify(request, (_, v) => (typeof v === "bigint" ? String(v) : v)) + "\n");
    return reply;
  }

  close() {
    this.child.removeAllListeners("exit");
    this.child.stdin.end();
  }
}

// The chain node in memory: it is asked what anvil is asked.
class Node extends Pipe {
  async rpc(method, params) {
    const { result, error } = await this.ask({ jsonrpc: "2.0", id: 1, method, params });
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  }
}

class World {
  static async start(model, node, folder) {
    const w = new World();
    w.chain = await Chain.start();
    w.chainId = BigInt(await w.chain.rpc("eth_chainId", []));
    w.abi = new Interface(artifact("Adjudicator").abi);
    w.tokenAbi = new Interface(artifact("TestToken").abi);
    w.now = await w.chain.now();
    w.deployer = hex(1n, 20).replace("0x00", "0xde");
    await w.chain.rpc("anvil_setBalance", [w.deployer, hex(10n ** 30n)]);
    w.adjudicator = await w.deploy("Adjudicator");
    w.token = await w.deploy("TestToken");
    w.node = new Node(node, []);
    w.model = new Pipe(model, [path.join(folder, "model.db"), String(w.chainId), w.adjudicator]);
    w.condition = (await w.model.next()).condition;
    // Says that as much is owed as its payload of 32 bytes names; nothing for any other payload.
    await w.chain.rpc("anvil_setCode", [w.condition, "0x604435602014606435025f5260205ff3"]);
    Object.assign(w, { mismatches: [], misencoded: [], misshown: [], gas: [], modelAhead: 0n, ops: 0, encoded: 0, slots: new Map(), accounts: new Set(), hashes: new Set(), credited: new Map() });
    return w;
  }

  close() {
    this.chain.close();
    this.model.close();
    this.node.close();
  }

  async deploy(name) {
    const receipt = await this.transact(this.deployer, null, artifact(name).bytecode, 0n);
    return lower(receipt.contractAddress);
  }

  // The same in the node in memory, whose receipt must be like anvil's. The contracts are there from the beginning.
  async transactInNode(tx, receipt) {
    const { hash, output } = await this.node.rpc("test_send", [{ ...tx, time: hex(this.now + this.modelAhead) }]);
    const itsReceipt = await this.node.rpc("eth_getTransactionReceipt", [hash]);
    const [its, anvils] = [itsReceipt, receipt].map((r) => JSON.stringify(
      [r.status, r.logs.map((l) => [l.address, l.topics, l.data, l.logIndex])]));
    if (its !== anvils) this.misshown.push(`op ${this.ops}: receipt: node ${its}, anvil ${anvils}`);
    const [shown, real] = await Promise.all([this.node, this.chain].map((c) => c.rpc("eth_getBlockByNumber", ["latest", false])));
    if (shown.logsBloom !== real.logsBloom) this.misshown.push(`op ${this.ops}: the bloom of ${its}`);
    this.nodeOutput = output;
    this.gasRatio = Number(itsReceipt.gasUsed) / Number(receipt.gasUsed);
  }

  // One block at the time `now`, with one transaction. Never throws for a revert.
  async transact(from, to, data, value) {
    this.now += 1n;
    await this.chain.rpc("evm_setNextBlockTimestamp", [hex(this.now)]);
    const tx = { from, data, value: value === 0n ? "0x0" : hex(value), gas: hex(16_000_000n), gasPrice: "0x0" };
    const hash = await this.chain.rpc("eth_sendTransaction", [to ? { ...tx, to } : tx]);
    for (;;) { // mined at once, but not always before the reply
      const receipt = await this.chain.rpc("eth_getTransactionReceipt", [hash]);
      if (!receipt) continue;
      if (to) await this.transactInNode({ from, to, data, value: tx.value }, receipt);
      return receipt;
    }
  }

  // Many questions in one request.
  async ask(questions) {
    if (!questions.length) return [];
    const body = JSON.stringify(questions.map(([method, params], id) => ({ jsonrpc: "2.0", id, method, params })));
    const reply = await fetch(this.chain.url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const results = [];
    for (const { id, result, error } of await reply.json()) {
      if (error) throw new Error(`${questions[id][0]}: ${error.message}`);
      results[id] = result;
    }
    for (const { id, result } of await this.node.ask(JSON.parse(body))) {
      if (result !== results[id]) this.misshown.push(`op ${this.ops}: ${questions[id]}: node ${result}, anvil ${results[id]}`);
    }
    return results;
  }

  // An account with coin and tokens, on both sides.
  async give(account, coins, tokens, approved) {
    this.accounts.add(lower(account));
    await this.chain.rpc("anvil_setBalance", [account, hex(coins)]);
    await this.node.rpc("test_give", [account, hex(coins)]);
    await this.model.ask({ give: [[account, NATIVE, coins], [account, this.token, tokens]] });
    if (tokens > 0n) await this.transact(account, this.token, this.tokenAbi.encodeFunctionData("mint", [account, tokens]), 0n);
    if (approved) {
      await this.transact(account, this.token, this.tokenAbi.encodeFunctionData("approve", [this.adjudicator, 2n ** 256n - 1n]), 0n);
    }
  }

  // Puts a channel into a late epoch or near its last withdrawal, which takes too long otherwise.
  async poke(id, epoch, seq) {
    const word = (epoch << 239n) | (seq << 224n);
    await this.chain.rpc("anvil_setStorageAt", [this.adjudicator, id, hex(word, 32)]);
    await this.node.rpc("test_set", [this.adjudicator, id, hex(word, 32)]);
    const reply = await this.model.ask({ poke: { id, epoch, seq }, slots: [id] });
    this.slots.set(id, reply.slots[0]);
  }

  // From now on the account is a contract that refuses coin, or takes it again.
  async refuse(account, on) {
    await this.chain.rpc("anvil_setCode", [account, on ? "0x5f5ffd" : "0x"]);
    await this.node.rpc("test_refuse", [account, on]);
    await this.model.ask({ sender: account, value: "0", now: this.now, refuse: on });
  }

  mismatch(op, what, model, contract) {
    this.mismatches.push(`op ${this.ops} ${op.fn}: ${what}: model ${model}, contract ${contract}`);
  }

  // --- One transaction on both sides ---

  // op: { fn, args, sender, value, calls, batch, touch (ids), payees, modelSender, tokenRefuses }. Returns the model's reply.
  async run(op) {
    this.ops++;
    const data = this.abi.encodeFunctionData(op.fn, this.abi.getFunction(op.fn).inputs.map((p, i) => typed(p, op.args[i])));
    const receipt = await this.transact(op.sender, this.adjudicator, data, op.value);
    const accounts = [...new Set([op.sender, op.modelSender || op.sender, this.adjudicator, ...op.payees].map(lower))];
    accounts.forEach((a) => this.accounts.add(a));
    const look = accounts.flatMap((a) => [[a, NATIVE], [a, this.token]]);
    const request = op.tokenRefuses ? {} : {
      sender: op.modelSender || op.sender, value: op.value, now: this.now + this.modelAhead, batch: op.batch || null, calls: op.calls };
    const reply = await this.model.ask({ ...request, slots: op.touch, balances: look, credits: look });
    const refused = await this.refusal(receipt);
    if (!refused) this.gas.push({ fn: op.fn, ratio: this.gasRatio });
    const expected = op.tokenRefuses ? refused && "by the token" : reply.error;
    const actual = op.tokenRefuses ? refused && "by the token" : refused;
    if (op.tokenRefuses && !refused) this.mismatch(op, "outcome", "refused by the token", "accepted");
    if (expected !== actual) this.mismatch(op, "outcome", expected, actual);
    this.compareCalldata(op, data, reply.calldata);
    this.compareEvents(op, op.tokenRefuses ? [] : reply.events, receipt);
    await this.compareSlots(op, op.touch, reply.slots);
    await this.compareMoney(op, look, reply);
    op.touch.forEach((id, i) => this.slots.set(id, reply.slots[i]));
    for (const e of reply.events) if (e.kind === "Credited") this.credited.set(e.payee0 + e.asset, [e.payee0, e.asset]);
    return { refused, events: reply.events };
  }

  // Why it reverted, in the model's words; null if it did not.
  async refusal(receipt) {
    if (receipt.status === "0x1") return null;
    const trace = await this.chain.rpc("debug_traceTransaction", [receipt.transactionHash, { tracer: "callTracer" }]);
    const data = trace.output || "0x";
    if (data !== this.nodeOutput) this.misshown.push(`op ${this.ops}: reverts: node ${this.nodeOutput}, anvil ${data}`);
    if (data === "0x") return "WRONG_VALUE"; // value for a function that takes none
    return REASONS[data] || `BY_TOKEN`;
  }

  // What the adapter makes of the same call; it may choose another function for it.
  compareCalldata(op, contract, adapter) {
    if (!adapter) return;
    const chosen = this.abi.getFunction(adapter.slice(0, 10));
    if (!chosen || (chosen.name === op.fn && adapter !== contract)) this.misencoded.push(`op ${this.ops} ${op.fn}: ${adapter} ${contract}`);
    else if (chosen.name === op.fn) this.encoded++;
  }

  // --- Events ---

  // In order, as text; credits summed up, as the contract pays a payee once.
  static split(events) {
    const credits = new Map();
    const rest = [];
    for (const e of events) {
      if (e[0] !== "Credited") rest.push(e.join(" "));
      else credits.set(e[1] + e[2], (credits.get(e[1] + e[2]) || 0n) + BigInt(e[3]));
    }
    return [...rest, ...[...credits].sort().map(([k, v]) => `Credited ${k} ${v}`)].join("; ");
  }

  static ofModel(e) {
    switch (e.kind) {
      case "Deposited":
      case "Withdrawn": return [e.kind, e.id, e.epoch, e.side, e.amount];
      case "Funded": return [e.kind, e.id, e.epoch, e.paid0, e.paid1];
      case "Closed":
      case "Settled": return [e.kind, e.id, e.epoch, e.paid0, e.paid1, e.forfeited, e.net, e.version, e.deadline];
      case "Moved": return [e.kind, e.id, e.epoch, e.side, e.amount, e.toId];
      case "Challenged": return [e.kind, e.id, e.epoch, e.side, e.version, e.deadline, e.salt];
      case "Refuted": return [e.kind, e.id, e.epoch, e.version, e.deadline, e.forfeited, e.payee0];
      case "Revealed": return [e.kind, e.id, e.salt];
      case "Credited": return [e.kind, e.payee0, e.asset, e.amount];
      case "Claimed": return [e.kind, e.payee0, e.asset, e.payee1, e.amount];
      case "Skipped": return [e.kind, e.id, e.version, e.reason];
      default: return [e.kind];
    }
  }

  ofContract(log) {
    const parsed = this.abi.parseLog(log);
    const [name, a, id] = [parsed.name, parsed.args, log.topics[1]];
    const w = a.w;
    const epoch = w === undefined ? 0n : bits(w, 224, 16);
    const flag = w === undefined ? 0n : bits(w, 240, 1);
    switch (name) {
      case "Deposited": return [name, id, epoch, bits(w, 223, 1), bits(w, 0, 112)];
      case "Withdrawn": return [name, id, epoch, flag, bits(w, 0, 112)];
      case "Funded": return [name, id, epoch, bits(w, 0, 112), bits(w, 112, 112)];
      case "Closed":
      case "Settled":
        return [name, id, epoch, bits(w, 0, 112), bits(w, 112, 112), flag, signed(bits(a.x, 0, 112)), bits(a.x, 112, 64),
          bits(a.x, 176, 40)];
      case "Moved": return [name, id, epoch, flag, bits(w, 0, 112), a.toId];
      case "Challenged": return [name, id, epoch, flag, bits(w, 0, 64), bits(w, 64, 40), a.salt];
      case "Refuted": return [name, id, epoch, bits(w, 0, 64), bits(w, 64, 40), flag, NATIVE];
      case "RefutedFor": return ["Refuted", id, epoch, bits(w, 0, 64), bits(w, 64, 40), flag, lower(a.beneficiary)];
      case "Revealed": return [name, id, a.preimage];
      case "Credited": return [name, topic(id), topic(log.topics[2]), a.amount];
      case "Claimed": return [name, topic(id), topic(log.topics[2]), lower(a.to), a.amount];
      case "Skipped": return [name, id, a.index, REASONS[a.reason]];
      default: return [name];
    }
  }

  compareEvents(op, events, receipt) {
    const model = World.split(events.map(World.ofModel));
    const ours = receipt.logs.filter((l) => lower(l.address) === this.adjudicator);
    const contract = World.split(ours.map((l) => this.ofContract(l)));
    if (model !== contract) this.mismatch(op, "events", model, contract);
  }

  // --- Storage and money ---

  static slotsOf(words) {
    const [s0, s1, s2, s3] = words.map(BigInt);
    return {
      contribution0: signed(bits(s0, 0, 112)), contribution1: signed(bits(s0, 112, 112)), seq: bits(s0, 224, 15),
      epoch: bits(s0, 239, 16), disputed: bits(s0, 255, 1), version: bits(s1, 0, 64), challengedVersion: bits(s1, 64, 64),
      deadline: bits(s1, 128, 40), flags: bits(s1, 168, 8), outcomeHash: hex(s2, 32), beneficiary: hex(s3, 20),
    };
  }

  async compareSlots(op, ids, models) {
    const at = (id, k) => hex(BigInt.asUintN(256, BigInt(id) + k), 32);
    const words = await this.ask(ids.flatMap((id) =>
      [0n, 1n, 2n, 3n].map((k) => ["eth_getStorageAt", [this.adjudicator, at(id, k), "latest"]])));
    ids.forEach((id, i) => {
      const contract = World.slotsOf(words.slice(4 * i, 4 * i + 4));
      for (const key of Object.keys(contract)) {
        if (String(contract[key]) !== models[i][key]) this.mismatch(op, `${key} of ${id}`, models[i][key], contract[key]);
      }
    });
  }

  question(to, face, fn, args) {
    return ["eth_call", [{ to, data: face.encodeFunctionData(fn, args) }, "latest"]];
  }

  async call(to, face, fn, args) {
    return BigInt((await this.ask([this.question(to, face, fn, args)]))[0]);
  }

  async compareMoney(op, look, reply) {
    const balance = ([a, asset]) => (asset === NATIVE ? ["eth_getBalance", [a, "latest"]]
      : this.question(asset, this.tokenAbi, "balanceOf", [a]));
    const credit = ([a, asset]) => this.question(this.adjudicator, this.abi, "credit", [a, asset]);
    const answers = (await this.ask([...look.map(balance), ...look.map(credit)])).map(BigInt).map(String);
    const models = [...reply.balances, ...reply.credits];
    answers.forEach((answer, i) => {
      const [a, asset] = look[i % look.length];
      const what = i < look.length ? "balance" : "credit";
      if (answer !== models[i]) this.mismatch(op, `${what} of ${a} in ${asset}`, models[i], answer);
    });
  }

  // Everything that has ever been touched.
  async sweep() {
    const op = { fn: "sweep" };
    const ids = [...this.slots.keys()];
    const hashes = [...this.hashes];
    const look = [...this.accounts].flatMap((a) => [[a, NATIVE], [a, this.token]]);
    const reply = await this.model.ask({ slots: ids, balances: look, credits: look, revealed: hashes });
    await this.compareSlots(op, ids, reply.slots);
    await this.compareMoney(op, look, reply);
    // Where the words are that no question above names.
    const place = (n, ...keys) => keys.reduce((at, key) => keccak256(concat([key, at])), word(n));
    const key = (address) => hex(BigInt(address), 32);
    const owners = [...this.accounts];
    await this.ask([...owners.flatMap((a) => [place(0n, key(a)), place(1n, key(a), key(this.adjudicator)), place(7n, key(a))])
      .map((at) => ["eth_getStorageAt", [this.token, at, "latest"]]),
    ...[...owners.map((a) => place(0n, key(a), key(NATIVE))), ...hashes.map((h) => place(1n, h))]
      .map((at) => ["eth_getStorageAt", [this.adjudicator, at, "latest"]])]);
    const times = await this.ask(hashes.map((h) => this.question(this.adjudicator, this.abi, "revealedAt", [h])));
    times.forEach((t, i) => {
      if (String(BigInt(t)) !== reply.revealed[i]) this.mismatch(op, `reveal of ${hashes[i]}`, reply.revealed[i], t);
    });
  }
}

module.exports = { World, ethers, abi, hex, word, lower, NATIVE, ZERO, keccak256, concat, Channel };
