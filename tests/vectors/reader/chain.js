// Section 5: the calls of the Adjudicator that the dialogues have, with their checks.
"use strict";
const k = require("./crypto.js");
const { payouts } = require("./state.js");

const NATIVE = "0x" + "00".repeat(20);

// With the contract's own words for it.
class Reverted extends Error {}
const must = (condition, why) => { if (!condition) throw new Reverted(why); };

function decodeLocks(text) {
  const bytes = Buffer.from(text.slice(2), "hex"), out = [];
  const number = (at, size) => BigInt("0x" + bytes.subarray(at, at + size).toString("hex"));
  for (let at = 0; at < bytes.length; ) {
    const size = Number(number(at + 44, 2));
    must(at + 46 + size <= bytes.length, "malformed locks");
    out.push({ amount: number(at, 14), payer: Number(number(at + 14, 1)), expiry: number(at + 15, 5),
      condition: k.hex(bytes.subarray(at + 20, at + 40)), gas: number(at + 40, 4),
      payload: k.hex(bytes.subarray(at + 46, at + 46 + size)) });
    at += 46 + size;
  }
  return out;
}

const text = (o) => JSON.parse(JSON.stringify(o, (_key, v) => (typeof v === "bigint" ? String(v) : v)));

// One channel's storage; all numbers BigInt. `revealed` is of all channels.
class Chain {
  constructor(c, revealed) {
    Object.assign(this, { chain: c.chain, params: c.params, id: c.id, paramsHash: c.paramsHash, revealed });
    Object.assign(this, { contributions: [0n, 0n], withdrawSeq: 0n, epoch: 0n, dispute: null, ended: null });
    this.seen = new Set([JSON.stringify(this.view())]);
  }
  copy() {
    const other = Object.assign(Object.create(Chain.prototype), this);
    other.contributions = [...this.contributions];
    other.seen = new Set(this.seen);
    return other;
  }
  view() {
    return { ...this.storage(), ...(this.ended ? { ended: text(this.ended) } : {}) };
  }
  storage() {
    const { contributions, withdrawSeq, epoch, dispute } = this;
    return text({ contributions, withdrawSeq, epoch, ...(dispute ? { dispute } : {}) });
  }
  // Why it reverts, or null. `around`: sender, value, now, others (channels), answers (of contracts).
  call(name, call, around) {
    const was = this.copy();
    this.transfers = [];
    this.asked = 0;
    try {
      must(around.value === this.costs(name, call), "the coin sent along is not what this call needs");
      if ("epoch" in call) must(call.epoch === this.epoch, "the channel is in another epoch");
      this[name](call, around);
    } catch (error) {
      if (!(error instanceof Reverted)) throw error;
      Object.assign(this, was);
      return error.message;
    }
    for (const chain of [this, ...around.others]) chain.seen.add(JSON.stringify(chain.view()));
    return null;
  }
  costs(name, call) {
    if (name === "challenge") return this.params.bond;
    if (this.params.asset !== NATIVE) return 0n;
    return name === "deposit" ? call.amount : name === "fund" ? call.amounts[0] + call.amounts[1] : 0n;
  }
  consent(type, data, call, sender) {
    const digest = k.digest(this.chain, type, { id: this.id, ...data });
    const by = (side) => sender === this.params.payout[side] ||
      k.verifies(digest, call[`signature${side}`], this.params.signer[side]);
    must(by(0) && by(1), "a signature is missing or wrong");
  }
  state(call) {
    const data = { epoch: call.epoch, version: call.version, outcomeHash: call.outcomeHash };
    this.consent("State", data, call, null);
  }
  pay(to, asset, amount) {
    if (amount > 0n) this.transfers.push({ to, asset, amount });
  }
  bondGoesTo({ flags, beneficiary }, forfeited) {
    if (forfeited && flags & 16n) return beneficiary;
    return this.params.payout[Number(flags & 1n) ^ (forfeited ? 1 : 0)];
  }
  end(by, net) {
    const { params, dispute } = this, paid = payouts(this.contributions, net);
    paid.forEach((amount, side) => this.pay(params.payout[side], params.asset, amount));
    const forfeited = Boolean(dispute && dispute.flags & 2n), settled = dispute && by === "settle";
    if (dispute) this.pay(this.bondGoesTo(dispute, forfeited), NATIVE, params.bond);
    this.ended = { by, epoch: this.epoch, version: settled ? dispute.version : 0n, net, paid, forfeited,
      deadline: dispute ? dispute.deadline : 0n };
    Object.assign(this, { contributions: [0n, 0n], withdrawSeq: 0n, epoch: this.epoch + 1n, dispute: null });
  }
  deposit(call) {
    must(call.paramsHash === this.paramsHash, "the parameters do not hash to this channel's id");
    this.put(call.side, call.amount);
  }
  fund(call) {
    call.amounts.forEach((amount, side) => this.deposit({ ...call, side, amount }));
  }
  put(side, amount) {
    must(side <= 1n, "the side is neither 0 nor 1");
    must(!this.dispute, "a dispute is open");
    must(amount > 0n, "the amount is zero");
    this.contributions[Number(side)] += amount;
  }
  close(call, { sender, now }) {
    must(now <= call.validUntil, "validUntil has passed");
    this.consent("Close", { epoch: call.epoch, net: call.net, validUntil: call.validUntil }, call, sender);
    this.end("close", call.net);
  }
  take(call, now) {
    must(now <= call.validUntil, "validUntil has passed");
    must(call.seq === this.withdrawSeq, "the withdrawal's number is not the channel's next one");
    must(call.amount <= this.contributions[0] + this.contributions[1], "the amount is more than the channel holds");
    this.contributions[Number(call.side)] -= call.amount;
    this.withdrawSeq++;
  }
  withdraw(call, { sender, now }) {
    const { epoch, seq, side, amount, validUntil } = call;
    this.consent("Withdraw", { epoch, seq, side, amount, validUntil }, call, sender);
    this.take(call, now);
    this.pay(this.params.payout[Number(side)], this.params.asset, amount);
  }
  move(call, { sender, now, others }) {
    const { epoch, seq, side, amount, validUntil, toId, toEpoch, toSide, toParamsHash } = call;
    const target = others.find((other) => other.id === toId);
    must(toId !== this.id && target && toId === k.idOf(toParamsHash, this.params.asset), "the target");
    this.consent("Move", { epoch, seq, side, amount, validUntil, toId, toEpoch, toSide }, call, sender);
    must(toEpoch === target.epoch, "the channel is in another epoch");
    this.take(call, now);
    target.put(toSide, amount);
  }
  challenge(call, { sender, now }) {
    const { epoch, side, version, outcomeHash, validUntil } = call, who = Number(side);
    must(k.keccak256(call.salt) === this.params.tag, "the parameters do not hash to this channel's id");
    must(!this.dispute, "a dispute is open");
    const digest = k.digest(this.chain, "Challenge", { id: this.id, epoch, side, version, outcomeHash, validUntil });
    const own = [this.params.signer[who], this.params.payout[who]].includes(sender);
    must(own || (now <= validUntil && k.verifies(digest, call.challengeSignature, this.params.signer[who])), "the challenger");
    if (version) this.state(call);
    const deadline = now + this.params.period;
    this.dispute = { version, challengedVersion: version, deadline, flags: side, outcomeHash };
  }
  refute(call, { now }) {
    this.refutable(call, now);
    must(call.version > this.dispute.version, "the version is not newer than the standing one");
    this.stand(call, now);
  }
  refutable(call, now) {
    must(this.dispute, "no dispute is open");
    must(now <= this.dispute.deadline, "the challenge window is over");
  }
  // Puts the newer state in the place of the standing one, and judges the bond.
  stand(call, now) {
    const d = this.dispute;
    this.state(call);
    const lie = (call.version ^ d.flags) & 1n ||
      (call.version - d.challengedVersion > 3n && (call.version & 0xffffffffn) > 2n);
    const half = this.params.period / 2n, window = half < 3600n ? half : 3600n;
    const more = d.deadline - now < window && (d.flags >> 2n & 3n) < 2n;
    const flags = (d.flags | (lie ? 2n : 0n)) + (more ? 4n : 0n);
    const deadline = d.deadline + (more ? window : 0n);
    this.dispute = { ...d, version: call.version, outcomeHash: call.outcomeHash, flags, deadline };
  }
  refuteFor(call, { now }) {
    this.refutable(call, now);
    const { version, flags } = this.dispute, standing = call.version === version && !(flags & 16n);
    must(call.version > version || standing, "the version is not newer than the standing one");
    const digest = k.digest(this.chain, "Bounty", { id: this.id, epoch: call.epoch, beneficiary: call.beneficiary });
    const answerer = this.params.signer[1 - Number(flags & 1n)];
    must(k.verifies(digest, call.bountySignature, answerer), "a signature is missing or wrong");
    if (standing) this.state(call);
    else this.stand(call, now);
    this.dispute = { ...this.dispute, flags: this.dispute.flags | 16n, beneficiary: call.beneficiary };
  }
  settle(call, around) {
    const d = this.dispute;
    must(d, "no dispute is open");
    must(around.now > d.deadline, "the challenge window is still open");
    if (!d.version) return void this.end("settle", 0n);
    const locksHash = call.locks === "0x" ? k.ZERO : k.keccak256(call.locks);
    const outcomeHash = k.outcomeHash({ net: call.net, locksHash, blind: call.blind });
    must(outcomeHash === d.outcomeHash, "the outcome does not hash to the standing one");
    let net = call.net;
    for (const lock of decodeLocks(call.locks)) {
      const paid = lock.condition === NATIVE ? this.paidByHash(lock, around) : this.paidByContract(lock, around);
      net += lock.payer === 0 ? paid : -paid;
    }
    this.end("settle", net);
  }
  paidByHash(lock, { now }) {
    const when = this.revealed.get(lock.payload), paid = when !== undefined && when <= lock.expiry;
    must(paid || now > lock.expiry, "a pending transfer is neither decided nor expired");
    return paid ? lock.amount : 0n;
  }
  paidByContract(lock, { now, answers }) {
    must(now > lock.expiry, "a pending transfer is neither decided nor expired");
    const { owed, ...asked } = answers[this.asked++];
    for (const [field, value] of Object.entries(asked)) must(lock[field] === value, "the contract was asked something else");
    return owed < lock.amount ? owed : lock.amount;
  }
  reveal(call, { now }) {
    const hash = k.sha256(call.preimage);
    must(!this.revealed.has(hash), "the preimage is public already");
    this.revealed.set(hash, now);
  }
}

module.exports = { Chain };
