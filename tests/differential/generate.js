// Random transactions of the Adjudicator: for each function one that should succeed and one that should be refused, in
// whatever state the channels are. What really happens is for the two sides to say.
"use strict";
const { ethers, abi, hex, word, lower, NATIVE, ZERO, keccak256, concat, Channel } = require("./world");
const { SigningKey, TypedDataEncoder, computeAddress, sha256 } = ethers;

const MAX = 2n ** 111n - 1n;
const LAST_EPOCH = 0xffffn;
const EMPTY_SIG = "0x" + "00".repeat(64);
const TOKEN_TYPES = {
  Permit: [["address", "owner"], ["address", "spender"], ["uint256", "value"], ["uint256", "nonce"], ["uint256", "deadline"]],
  ReceiveWithAuthorization: [["address", "from"], ["address", "to"], ["uint256", "value"], ["uint256", "validAfter"],
    ["uint256", "validBefore"], ["bytes32", "nonce"]],
};
const FUNCTIONS = ["depositNative", "deposit", "fundNative", "fund", "depositBatch", "depositPermit", "depositAuthorized", "close",
  "closeByPayee", "closeBatch", "withdraw", "withdrawByPayee", "move", "challenge", "challengeFor", "refute", "refuteFor", "settle",
  "settleBatch", "reveal", "revealBatch", "claim"];

// Random numbers from a seed: keccak256 in counter mode.
class Random {
  constructor(seed) {
    this.seed = BigInt(seed);
    this.counter = 0n;
  }

  word() {
    return keccak256(abi.encode(["uint256", "uint256"], [this.seed, this.counter++]));
  }

  below(n) {
    return BigInt(this.word()) % BigInt(n);
  }

  chance(percent) {
    return this.below(100) < BigInt(percent);
  }

  pick(list) {
    return list[Number(this.below(list.length))];
  }

  address() {
    return this.word().slice(0, 42);
  }
}

class Generator {
  constructor(world, seed) {
    Object.assign(this, { w: world, r: new Random(seed), preimages: [], known: [], outcomes: new Map(), used: 0n });
  }

  // --- The scene ---

  async setScene() {
    const { w, r } = this;
    const rich = 10n ** 24n;
    const account = async (coins, tokens, approved) => {
      const a = r.address();
      await w.give(a, coins, tokens, approved);
      return a;
    };
    this.payees = [];
    for (let i = 0; i < 5; i++) this.payees.push(await account(rich, rich, true));
    this.refusers = [];
    for (let i = 0; i < 4; i++) this.refusers.push(await account(rich, 0n, false));
    for (const a of this.refusers) await w.refuse(a, true);
    this.strangers = [await account(rich, rich, true), await account(rich, rich, true)];
    this.poor = await account(rich, 0n, true);
    this.holders = [];
    for (let i = 0; i < 3; i++) {
      const key = r.word();
      const address = computeAddress(new SigningKey(key).publicKey);
      await w.give(address, rich, rich, false);
      this.holders.push({ key, address });
    }
    this.towers = [await account(1n, 0n, false), this.refusers[0]];
    this.channels = [];
    for (let i = 0; i < 24; i++) this.channels.push(await this.newChannel(i % 2 ? w.token : NATIVE));
    const [a, b, c, d] = this.channels;
    for (const ch of [a, b]) await w.poke(ch.id, LAST_EPOCH, 0n);
    for (const ch of [c, d]) await w.poke(ch.id, 0n, 0x7fffn);
    this.special = new Set([a, b, c, d]);
  }

  async newChannel(asset) {
    const { w, r } = this;
    const payout = [0, 1].map(() => r.pick(asset === NATIVE && r.chance(60) ? this.refusers : this.payees));
    const ch = new Channel(w.chainId, w.adjudicator, {
      keys: [r.word(), r.word()], payout, asset, salt: r.word(),
      period: r.pick([60n, 1000n, 9000n, 100000n]), bond: r.pick([0n, 1000n, 123456789n]) });
    for (const s of ch.signer) await w.give(s, 10n ** 24n, 0n, false);
    const reply = await w.model.ask({ slots: [ch.id] });
    w.slots.set(ch.id, reply.slots[0]);
    return ch;
  }

  // --- What the channels look like ---

  slot(ch) {
    const s = this.w.slots.get(ch.id);
    const n = Object.fromEntries(Object.entries(s).map(([k, v]) => [k, v.startsWith("0x") ? v : BigInt(v)]));
    n.disputed = s.disputed !== "0";
    n.total = n.contribution0 + n.contribution1;
    return n;
  }

  some(test) {
    const found = this.channels.filter((ch) => !this.special.has(ch) && test(this.slot(ch), ch));
    return found.length ? this.r.pick(found) : null;
  }

  quiet(asset) {
    return this.some((s, ch) => !s.disputed && (asset === undefined || ch.asset === asset));
  }

  money(asset) {
    return this.some((s, ch) => s.total > 0n && (asset === undefined || ch.asset === asset));
  }

  disputed() {
    return this.some((s) => s.disputed);
  }

  // --- Pieces ---

  amount() {
    return this.r.pick([1n, 1000n, 10n ** 9n]) * (1n + this.r.below(1000));
  }

  net(s) {
    const { r } = this;
    if (r.chance(5)) return r.pick([MAX, -MAX]);
    return r.below(2n * s.total + 2000n) - s.total - 1000n;
  }

  epoch(s, wrong) {
    return wrong ? s.epoch ^ 1n : s.epoch;
  }

  until(bad) {
    return bad ? this.w.now - this.r.below(100) : this.w.now + 2n + this.r.below(5000);
  }

  params(ch) {
    return { signer0: ch.signer[0], signer1: ch.signer[1], payout0: ch.payout[0], payout1: ch.payout[1], asset: ch.asset,
      period: ch.period, bond: ch.bond, tag: ch.tag };
  }

  // A signature of side `who` on a message.
  sign(ch, who, type, message) {
    return concat(ch.sign(who, type, message));
  }

  // Both signatures, or with `bad` something that is not.
  sigs(ch, type, message, bad) {
    const both = [0, 1].map((who) => this.sign(ch, who, type, message));
    if (!bad) return both;
    const side = Number(this.r.below(2));
    switch (Number(this.r.below(5))) {
      case 0: both[side] = EMPTY_SIG; break;
      case 1: both[side] = both[1 - side]; break;
      case 2: both[side] = concat([this.r.word(), "0x" + both[side].slice(66)]); break;
      case 3: both[side] = concat(["0x" + both[side].slice(2, 66), hex(BigInt("0x" + both[side].slice(66)) ^ (1n << 255n), 32)]); break;
      default: { // for another chain
        const domain = ch.domain;
        ch.domain = { ...domain, chainId: domain.chainId + 1n };
        both[side] = this.sign(ch, side, type, message);
        ch.domain = domain;
      }
    }
    return both;
  }

  // The contract's form of a signature: r, then s with the parity bit.
  tuple(sig) {
    return ["0x" + sig.slice(2, 66), "0x" + sig.slice(66)];
  }

  tuples(sigs) {
    return sigs.map((s) => this.tuple(s));
  }

  // One reason to be refused out of the list, or none.
  spoil(want, reasons) {
    return want ? null : this.r.pick(reasons);
  }

  op(fn, ch, fields) {
    const touch = ch ? [ch.id] : [];
    const payees = ch ? ch.payout : [];
    return { fn, sender: this.r.pick(this.strangers), value: 0n, touch, payees, ...fields };
  }

  // --- Money in ---

  depositAny(fn, ch, amount, spoilt, fields) {
    const s = this.slot(ch);
    const epoch = this.epoch(s, spoilt === "epoch");
    const side = this.r.below(2);
    const call = { kind: "deposit", id: ch.id, paramsHash: ch.paramsHash, asset: ch.asset, side, epoch, amount };
    return { where: word((epoch << 1n) | side), op: (args, more) => this.op(fn, ch, { args, calls: [call], ...fields, ...more }) };
  }

  target(asset, spoilt) {
    if (spoilt === "dispute") return this.some((s, ch) => s.disputed && ch.asset === asset);
    if (spoilt === "last") return [...this.special].find((ch) => ch.asset === asset && this.slot(ch).epoch === LAST_EPOCH);
    return this.quiet(asset);
  }

  depositNative(want) {
    const spoilt = this.spoil(want, ["epoch", "dispute", "last", "zero"]);
    const ch = this.target(NATIVE, spoilt);
    if (!ch) return null;
    const amount = spoilt === "zero" ? 0n : this.amount();
    const d = this.depositAny("depositNative", ch, amount, spoilt, { value: amount });
    return d.op([ch.paramsHash, d.where]);
  }

  deposit(want) {
    const spoilt = this.spoil(want, ["epoch", "dispute", "last", "zero", "value", "overflow", "poor"]);
    const ch = spoilt === "overflow" ? this.some((s, c) => !s.disputed && s.total > 0n && c.asset === this.w.token)
      : this.target(this.w.token, spoilt);
    if (!ch) return null;
    const amount = spoilt === "zero" ? 0n : spoilt === "overflow" ? this.r.pick([MAX, MAX + 1n, 2n ** 112n - 1n]) : this.amount();
    const d = this.depositAny("deposit", ch, amount, spoilt, { value: spoilt === "value" ? 1n : 0n });
    const sender = spoilt === "poor" ? this.poor : this.r.pick(this.strangers);
    return d.op([ch.paramsHash, ch.asset, d.where, amount], { sender });
  }

  fundAny(fn, asset, want) {
    const spoilt = this.spoil(want, ["epoch", "dispute", "last", "zero", "value", "overflow"]);
    const ch = this.target(asset, spoilt === "overflow" ? null : spoilt);
    if (!ch || (spoilt === "overflow" && asset === NATIVE)) return null;
    const amounts = [this.amount(), this.amount()];
    if (spoilt === "zero") amounts[Number(this.r.below(2))] = 0n;
    if (spoilt === "overflow") amounts[Number(this.r.below(2))] = this.r.pick([MAX, 2n ** 112n - 1n]);
    const epoch = this.epoch(this.slot(ch), spoilt === "epoch");
    const sum = asset === NATIVE ? amounts[0] + amounts[1] : 0n;
    const packed = word((epoch << 224n) | (amounts[1] << 112n) | amounts[0]);
    const call = { kind: "fund", id: ch.id, paramsHash: ch.paramsHash, asset, epoch, amount0: amounts[0], amount1: amounts[1] };
    const args = asset === NATIVE ? [[ch.paramsHash, packed]] : [ch.paramsHash, asset, packed];
    return this.op(fn, ch, { args, calls: [call], value: sum + (spoilt === "value" ? 1n : 0n) });
  }

  fundNative(want) {
    return this.fundAny("fundNative", NATIVE, want);
  }

  fund(want) {
    return this.fundAny("fund", this.w.token, want);
  }

  depositBatch(want) {
    const spoilt = this.spoil(want, ["epoch", "dispute", "last", "zero", "value"]);
    const asset = this.r.pick([NATIVE, this.w.token]);
    const n = 1 + Number(this.r.below(4));
    const bad = Number(this.r.below(n));
    const op = this.op("depositBatch", null, { calls: [], batch: "all" });
    const items = [];
    for (let i = 0; i < n; i++) {
      const ch = this.target(asset, i === bad ? spoilt : null);
      if (!ch) return null;
      const amount = spoilt === "zero" && i === bad ? 0n : this.amount();
      const d = this.depositAny("depositBatch", ch, amount, i === bad ? spoilt : null, {});
      op.calls.push(...d.op([]).calls);
      op.touch.push(ch.id);
      items.push([ch.paramsHash, word((BigInt(d.where) << 112n) | amount)]);
      if (asset === NATIVE) op.value += amount;
    }
    if (spoilt === "value") op.value += 1n;
    return { ...op, args: [asset, items], touch: [...new Set(op.touch)] };
  }

  tokenSig(key, type, message) {
    const domain = { name: "Test Token", version: "1", chainId: this.w.chainId, verifyingContract: this.w.token };
    const types = { [type]: TOKEN_TYPES[type].map(([t, name]) => ({ type: t, name })) };
    const sig = new SigningKey(key).sign(TypedDataEncoder.hash(domain, types, message));
    return [sig.r, sig.yParityAndS];
  }

  async depositPermit(want) {
    const spoilt = this.spoil(want, ["epoch", "dispute", "last", "zero", "value", "permit"]);
    const ch = this.target(this.w.token, spoilt);
    if (!ch) return null;
    const holder = this.r.pick(this.holders);
    const amount = spoilt === "zero" ? 0n : this.amount();
    const nonce = await this.w.call(this.w.token, this.w.tokenAbi, "nonces", [holder.address]);
    const deadline = this.w.now + 1000n;
    const sig = this.tokenSig(holder.key, "Permit",
      { owner: holder.address, spender: this.w.adjudicator, value: amount, nonce: nonce + (spoilt === "permit" ? 1n : 0n), deadline });
    const d = this.depositAny("depositPermit", ch, amount, spoilt, { value: spoilt === "value" ? 1n : 0n });
    return d.op([ch.paramsHash, ch.asset, d.where, amount, deadline, sig],
      { sender: holder.address, tokenRefuses: spoilt === "permit" });
  }

  depositAuthorized(want) {
    const spoilt = this.spoil(want, ["epoch", "dispute", "last", "zero", "value", "signature", "expired"]);
    const ch = this.target(this.w.token, spoilt);
    if (!ch) return null;
    const holder = this.r.pick(this.holders);
    const amount = spoilt === "zero" ? 0n : this.amount();
    const d = this.depositAny("depositAuthorized", ch, amount, spoilt, { value: spoilt === "value" ? 1n : 0n });
    const n = this.r.word();
    const nonce = keccak256(abi.encode(["bytes32", "bytes32", "uint256"], [ch.id, d.where, n]));
    const validBefore = spoilt === "expired" ? this.w.now : this.w.now + 1000n;
    const sig = this.tokenSig(holder.key, "ReceiveWithAuthorization",
      { from: holder.address, to: this.w.adjudicator, value: amount, validAfter: 0n, validBefore, nonce });
    if (spoilt === "signature") sig[0] = this.r.word();
    return d.op([ch.paramsHash, ch.asset, d.where, holder.address, amount, 0n, validBefore, n, sig],
      { modelSender: spoilt === "value" ? undefined : holder.address,
        tokenRefuses: spoilt === "signature" || spoilt === "expired" });
  }

  // --- Leaving together, money out ---

  // A Close of `ch` as arguments of the contract and as the model's call.
  closeItem(ch, spoilt, only) {
    const s = this.slot(ch);
    const message = { epoch: this.epoch(s, spoilt === "epoch"), net: this.net(s), validUntil: this.until(spoilt === "expired") };
    ch.epoch = message.epoch;
    let sigs = this.sigs(ch, "Close", message, spoilt === "sig" && only === undefined);
    if (spoilt === "net") message.net += message.net < MAX ? 1n : -1n;
    if (only !== undefined) sigs = [sigs[spoilt === "sig" ? 1 - only : only], sigs[spoilt === "sig" ? 1 - only : only]];
    const words = ch.words({ validUntil: message.validUntil });
    return { words, net: message.net, sigs, call: { kind: "close", id: ch.id, params: this.params(ch), ...message, sigs } };
  }

  close(want) {
    const spoilt = this.spoil(want, ["epoch", "expired", "sig", "net", "value"]);
    const ch = this.r.chance(5) ? this.r.pick([...this.special]) : this.some(() => true);
    const item = this.closeItem(ch, spoilt);
    const op = this.op("close", ch, { value: spoilt === "value" ? 1n : 0n });
    if (!spoilt && this.r.chance(20)) { // a payee needs no signature of its own side
      const side = Number(this.r.below(2));
      op.sender = ch.payout[side];
      item.sigs[side] = EMPTY_SIG;
    }
    return { ...op, args: [item.words, item.net, this.tuples(item.sigs)], calls: [item.call] };
  }

  closeByPayee(want) {
    const spoilt = this.spoil(want, ["epoch", "expired", "sig", "stranger", "value"]);
    const ch = this.some((s, c) => lower(c.payout[0]) !== lower(c.payout[1]));
    const side = Number(this.r.below(2));
    const item = this.closeItem(ch, spoilt, 1 - side);
    const sender = spoilt === "stranger" ? this.r.pick(this.strangers) : ch.payout[side];
    return this.op("closeByPayee", ch, { sender, value: spoilt === "value" ? 1n : 0n, calls: [item.call],
      args: [item.words, item.net, this.tuple(item.sigs[0])] });
  }

  // Items of a batch: which one is spoilt is decided for each.
  batch(fn, want, make) {
    const n = 1 + Number(this.r.below(4));
    const op = this.op(fn, null, { calls: [], batch: "skip", value: !want && this.r.chance(20) ? 1n : 0n });
    const args = [];
    for (let i = 0; i < n; i++) {
      const item = make(want || this.r.chance(30));
      if (!item) return null;
      op.calls.push(item.call);
      op.touch.push(item.ch.id);
      op.payees.push(...item.ch.payout);
      args.push(item.args);
    }
    if (this.r.chance(30)) op.sender = op.payees[0];
    return { ...op, args: [args], touch: [...new Set(op.touch)] };
  }

  // By a payee of all items; where it is none, the item is about another channel, which has its address in the payout's place.
  closeBatch(want) {
    const asset = this.r.pick([NATIVE, this.w.token]);
    const sender = this.r.pick(asset === NATIVE ? [...this.payees, ...this.refusers] : this.payees);
    const op = this.batch("closeBatch", want, (good) => {
      const spoilt = this.spoil(good, ["epoch", "expired", "sig", "net", "stranger"]);
      const sides = (c) => [0, 1].filter((i) => lower(c.payout[i]) === lower(sender));
      const ch = this.some((s, c) => c.asset === asset && sides(c).length === (spoilt === "stranger" ? 0 : 1));
      if (!ch) return null;
      const side = spoilt === "stranger" ? Number(this.r.below(2)) : sides(ch)[0];
      const item = this.closeItem(ch, spoilt, 1 - side);
      if (item.net !== BigInt.asIntN(96, item.net)) return null; // an item has fewer bits for it
      const words = [item.words[0], item.words[1] | BigInt(side), (BigInt(ch.payout[1 - side]) << 96n) | BigInt.asUintN(96, item.net), ch.tag];
      const call = spoilt === "stranger" ? this.withPayout(ch, item.call, side, sender) : item.call;
      return { ch, call, args: [...words, this.tuple(item.sigs[0])] };
    });
    return op && { ...op, sender, args: [asset, op.args[0]] };
  }

  // The same call for the channel that has another payout address.
  withPayout(ch, call, side, payout) {
    const other = new Channel(ch.chainId, ch.adjudicator, { ...ch, payout: side ? [ch.payout[0], payout] : [payout, ch.payout[1]] });
    return { ...call, id: other.id, params: this.params(other) };
  }

  // What Withdraw and Move have in common.
  paymentOut(ch, spoilt) {
    const s = this.slot(ch);
    return {
      epoch: this.epoch(s, spoilt === "epoch"), seq: s.seq + (spoilt === "seq" ? this.r.pick([1n, 5n]) : 0n),
      side: spoilt === "side" ? 2n + this.r.below(254) : this.r.below(2),
      amount: spoilt === "zero" ? 0n : spoilt === "much" ? s.total + 1n + this.r.below(5) : 1n + this.r.below(s.total > 0n ? s.total : 1n),
      validUntil: this.until(spoilt === "expired"),
    };
  }

  outOf(asset, spoilt) {
    if (spoilt === "lastSeq") return [...this.special].find((ch) => this.slot(ch).seq === 0x7fffn && (!asset || ch.asset === asset));
    return this.money(asset);
  }

  withdrawAny(fn, want, byPayee) {
    const spoilt = this.spoil(want, ["epoch", "seq", "side", "zero", "much", "expired", "sig", "value", "lastSeq"]);
    const ch = this.outOf(undefined, spoilt);
    if (!ch || lower(ch.payout[0]) === lower(ch.payout[1])) return null;
    const m = this.paymentOut(ch, spoilt);
    ch.epoch = m.epoch;
    const side = Number(this.r.below(2));
    let sigs = this.sigs(ch, "Withdraw", m, spoilt === "sig" && !byPayee);
    if (byPayee) sigs = spoilt === "sig" ? [sigs[side], sigs[side]] : [sigs[1 - side], sigs[1 - side]];
    const words = ch.words({ validUntil: m.validUntil, side: m.side });
    return this.op(fn, ch, {
      sender: byPayee ? ch.payout[side] : this.r.pick(this.strangers), value: spoilt === "value" ? 1n : 0n,
      args: [words, word((m.seq << 112n) | m.amount), byPayee ? this.tuple(sigs[0]) : this.tuples(sigs)],
      calls: [{ kind: "withdraw", id: ch.id, params: this.params(ch), ...m, sigs }],
    });
  }

  withdraw(want) {
    return this.withdrawAny("withdraw", want, false);
  }

  withdrawByPayee(want) {
    return this.withdrawAny("withdrawByPayee", want, true);
  }

  move(want) {
    const spoilt = this.spoil(want, ["epoch", "seq", "side", "zero", "much", "expired", "sig", "value", "lastSeq", "same", "dispute",
      "last", "toEpoch"]);
    const ch = this.outOf(undefined, spoilt);
    const to = spoilt === "same" ? ch : ch && this.target(ch.asset, spoilt);
    if (!ch || !to || (spoilt !== "same" && to === ch)) return null;
    const m = this.paymentOut(ch, spoilt);
    const toEpoch = this.epoch(this.slot(to), spoilt === "toEpoch");
    const message = { ...m, toId: to.id, toEpoch, toSide: this.r.below(2) };
    ch.epoch = m.epoch;
    const sigs = this.sigs(ch, "Move", message, spoilt === "sig");
    return this.op("move", ch, {
      value: spoilt === "value" ? 1n : 0n, touch: [...new Set([ch.id, to.id])],
      args: [ch.words({ validUntil: m.validUntil, side: m.side }), word((m.seq << 112n) | m.amount), to.paramsHash,
        word((toEpoch << 1n) | message.toSide), this.tuples(sigs)],
      calls: [{ kind: "move", id: ch.id, params: this.params(ch), ...message, toParamsHash: to.paramsHash, sigs }],
    });
  }

  // --- Leaving alone ---

  lock(s, expiry) {
    const { r } = this;
    const amount = r.chance(5) ? MAX : r.below(s.total + 10n);
    const head = (condition, gas, length) =>
      [hex(amount, 14), hex(r.below(2), 1), hex(expiry, 5), condition, hex(gas, 4), hex(length, 2)];
    if (r.chance(60)) {
      const preimage = r.word();
      this.preimages.push(preimage);
      if (r.chance(50)) this.known.push(preimage); // will be revealed some day
      return concat([...head(NATIVE, 0n, 32n), sha256(preimage)]);
    }
    const answer = hex(r.chance(80) ? r.below(2n * amount + 2n) : BigInt(r.word()), 32);
    const payload = r.chance(85) ? answer : "0x" + answer.slice(2, 2 + 2 * Number(r.below(32)));
    const condition = r.chance(70) ? this.w.condition : r.pick([...this.refusers, r.address()]);
    return concat([...head(condition, r.pick([30000n, 100000n]), BigInt((payload.length - 2) / 2)), payload]);
  }

  // An outcome for the channel, remembered by its hash.
  outcome(ch) {
    const { r } = this;
    const s = this.slot(ch);
    let locks = "0x";
    let expiry = 0n;
    if (r.chance(40)) {
      for (let i = r.below(4); i >= 0n; i--) {
        const e = this.w.now + r.below(20000) - (r.chance(20) ? 10000n : 0n);
        expiry = e > expiry ? e : expiry;
        locks = concat([locks, this.lock(s, e)]);
      }
    }
    const malformed = r.chance(4);
    if (malformed) locks = concat([locks, r.pick(["0x00", this.r.word(), hex(2n ** 368n - 1n, 46)])]);
    const o = { net: this.net(s), locks, blind: r.word(), expiry, malformed };
    const locksHash = locks === "0x" ? ZERO : keccak256(locks);
    const hash = keccak256(abi.encode(["int112", "bytes32", "bytes32"], [o.net, locksHash, o.blind]));
    this.outcomes.set(hash, o);
    return hash;
  }

  version(above) {
    const { r } = this;
    if (r.chance(15)) return ((above >> 32n) + 1n + r.below(3)) * 2n ** 32n + r.below(4);
    return above + 1n + r.below(r.pick([1, 3, 6]));
  }

  challengeAny(fn, want) {
    const forOther = fn === "challengeFor";
    const spoilt = this.spoil(want, ["epoch", "side", "value", "dispute", "sig", "outcome", ...(forOther ? ["consent", "expired"] : ["stranger"])]);
    const ch = spoilt === "dispute" ? this.disputed() : this.quiet();
    if (!ch) return null;
    const s = this.slot(ch);
    const bare = spoilt === "outcome" || (spoilt !== "sig" && this.r.chance(25));
    const version = bare ? 0n : this.version(0n);
    const outcomeHash = bare ? (spoilt === "outcome" ? this.r.word() : ZERO) : this.outcome(ch);
    const side = spoilt === "side" ? 2n + this.r.below(254) : this.r.below(2);
    const m = { epoch: this.epoch(s, spoilt === "epoch"), version, outcomeHash };
    ch.epoch = m.epoch;
    const sigs = bare ? [EMPTY_SIG, EMPTY_SIG] : this.sigs(ch, "State", m, spoilt === "sig");
    const full = { ...m, side, validUntil: this.until(spoilt === "expired") };
    const signer = Number(side & 1n) ^ (spoilt === "consent" ? 1 : 0);
    const challengeSig = forOther ? this.sign(ch, signer, "Challenge", full) : EMPTY_SIG;
    const own = this.r.pick([ch.payout, ch.signer])[Number(side & 1n)];
    const words = ch.words({ validUntil: forOther ? full.validUntil : 0n, side, version, tag: ch.salt });
    return this.op(fn, ch, {
      sender: spoilt === "stranger" || (forOther && (!want || this.r.chance(80))) ? this.r.pick(this.strangers) : own,
      value: ch.bond + (spoilt === "value" ? 1n : 0n),
      args: [words, outcomeHash, this.tuples(sigs), ...(forOther ? [this.tuple(challengeSig)] : [])],
      calls: [{ kind: "challenge", id: ch.id, params: this.params(ch), ...full, salt: ch.salt, sigs, challengeSig: [challengeSig] }],
    });
  }

  challenge(want) {
    return this.challengeAny("challenge", want);
  }

  challengeFor(want) {
    return this.challengeAny("challengeFor", want);
  }

  refuteAny(fn, want) {
    const { w, r } = this;
    const rewarded = fn === "refuteFor";
    const spoilt = this.spoil(want, ["epoch", "value", "quiet", "late", "old", "sig", ...(rewarded ? ["bounty", "again"] : [])]);
    const again = spoilt === "again";
    const open = (s) => s.disputed && s.deadline > w.now + 5n;
    const ch = spoilt === "quiet" ? this.quiet() : this.some((s) => open(s) && (!again || (s.flags & 16n) !== 0n));
    if (!ch) return null;
    const s = this.slot(ch);
    if (spoilt === "late") w.now = s.deadline + r.below(3);
    else if (want && r.chance(40)) w.now = s.deadline - 1n - r.below(2); // the last moment
    const standing = again || (rewarded && want && s.version > 0n && (s.flags & 16n) === 0n && r.chance(40));
    const version = standing ? s.version : spoilt === "old" ? r.below(s.version + 1n) : this.version(s.version);
    const m = { epoch: this.epoch(s, spoilt === "epoch"), version, outcomeHash: standing && r.chance(80) ? s.outcomeHash : this.outcome(ch) };
    ch.epoch = m.epoch;
    const sigs = this.sigs(ch, "State", m, spoilt === "sig");
    const challenger = Number(s.flags & 1n);
    const beneficiary = r.pick(this.towers);
    const bountySig = this.sign(ch, spoilt === "bounty" ? challenger : challenger ^ 1, "Bounty", { beneficiary });
    const call = { kind: fn, id: ch.id, params: this.params(ch), ...m, sigs };
    return this.op(fn, ch, {
      value: spoilt === "value" ? 1n : 0n,
      args: [ch.words({ version }), m.outcomeHash, this.tuples(sigs), ...(rewarded ? [beneficiary, this.tuple(bountySig)] : [])],
      calls: [rewarded ? { ...call, beneficiary, bountySig: [bountySig] } : call],
    });
  }

  refute(want) {
    return this.refuteAny("refute", want);
  }

  refuteFor(want) {
    return this.refuteAny("refuteFor", want);
  }

  // The settlement of what stands.
  settleItem(ch, spoilt) {
    const s = this.slot(ch);
    const o = this.outcomes.get(s.outcomeHash) || { net: this.net(s), locks: "0x", blind: this.r.word() };
    const net = o.net + (spoilt === "outcome" ? (o.net < MAX ? 1n : -1n) : 0n);
    const epoch = this.epoch(s, spoilt === "epoch");
    ch.epoch = epoch;
    return { words: ch.words(), net, blind: o.blind, locks: o.locks,
      call: { kind: "settle", id: ch.id, params: this.params(ch), epoch, net, blind: o.blind, locks: o.locks } };
  }

  // Moves the time to where the channel can be settled, or to where its locks may still be pending.
  settleTime(ch, early) {
    const s = this.slot(ch);
    const o = this.outcomes.get(s.outcomeHash);
    const end = o && !early && this.r.chance(80) && o.expiry > s.deadline ? o.expiry : s.deadline;
    if (this.w.now <= end) this.w.now = early ? this.w.now : end + this.r.below(2);
  }

  settleable(good) {
    return good ? this.some((s) => s.disputed && !(this.outcomes.get(s.outcomeHash) || {}).malformed) : this.disputed();
  }

  settle(want) {
    const spoilt = this.spoil(want, ["epoch", "value", "quiet", "early", "outcome", "locks"]);
    const ch = spoilt === "quiet" ? this.quiet()
      : spoilt === "locks" ? this.some((s) => s.disputed && (this.outcomes.get(s.outcomeHash) || { locks: "0x" }).locks !== "0x")
        : this.settleable(want);
    if (!ch) return null;
    this.settleTime(ch, spoilt === "early");
    const item = this.settleItem(ch, spoilt);
    return this.op("settle", ch, { value: spoilt === "value" ? 1n : 0n, payees: [...ch.payout, ...this.towers],
      args: [item.words, item.net, item.blind, item.locks], calls: [item.call] });
  }

  settleBatch(want) {
    const op = this.batch("settleBatch", want, (good) => {
      const ch = good ? this.settleable(true) : this.some(() => true);
      if (!ch) return null;
      if (good) this.settleTime(ch, false);
      const item = this.settleItem(ch, this.spoil(good, ["epoch", "outcome", "none"]));
      return { ch, call: item.call, args: [item.words, item.net, item.blind, item.locks] };
    });
    if (op) op.payees.push(...this.towers);
    return op;
  }

  // --- What belongs to no channel ---

  preimage(fresh) {
    const { r } = this;
    if (!fresh && this.revealed && this.revealed.length) return r.pick(this.revealed);
    const preimage = this.known.length && r.chance(70) ? this.known.pop() : r.word();
    (this.revealed = this.revealed || []).push(preimage);
    this.w.hashes.add(sha256(preimage));
    return preimage;
  }

  reveal(want) {
    const value = !want && this.r.chance(30) ? 1n : 0n;
    const preimage = this.preimage(want);
    return this.op("reveal", null, { value, args: [preimage], calls: [{ kind: "reveal", preimage }] });
  }

  revealBatch(want) {
    const list = [];
    for (let i = this.r.below(4); i >= 0n; i--) list.push(this.preimage(want || this.r.chance(50)));
    return this.op("revealBatch", null, { args: [list], batch: "skip", value: !want && this.r.chance(10) ? 1n : 0n,
      calls: list.map((preimage) => ({ kind: "reveal", preimage })) });
  }

  async claim(want) {
    const { r, w } = this;
    const spoilt = this.spoil(want, ["value", "stranger", "nothing", "refused"]);
    const credits = [...w.credited.values()];
    if (!credits.length && spoilt !== "nothing") return null;
    const [payee, asset] = spoilt === "nothing" ? [r.pick(this.payees), r.pick([NATIVE, w.token])] : r.pick(credits);
    let [sender, to] = r.pick([[payee, r.pick(this.payees)], [r.pick(this.strangers), payee], [payee, payee]]);
    if (spoilt === "stranger") [sender, to] = [r.pick(this.strangers), r.pick(this.payees)];
    if (spoilt === "refused") [sender, to] = [r.pick([payee, r.pick(this.strangers)]), payee];
    const open = want && to === payee; // for once it takes what it is paid
    if (open) await w.refuse(payee, false);
    if (want) w.credited.delete(payee + asset);
    return this.op("claim", null, { sender, payees: [payee, to], value: spoilt === "value" ? 1n : 0n, args: [payee, asset, to],
      calls: [{ kind: "claim", payee, asset, to }], after: open ? () => w.refuse(payee, true) : null });
  }
}

module.exports = { Generator, FUNCTIONS };
