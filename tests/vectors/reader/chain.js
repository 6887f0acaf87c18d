// Section 5: the calls of the Adjudicator that the dialogues have, with their checks.
"use strict";
const k = require("./crypto.js");
const { payouts } = require("./state.js");

const NATIVE = "0x" + "00".repeat(20);
const must = (condition, why) => { if (!condition) throw new Error(`the call reverts: ${why}`); };

function decodeLocks(text) {
  const bytes = Buffer.from(text.slice(2), "hex"), out = [];
  const number = (at, size) => BigInt("0x" + bytes.subarray(at, at + size).toString("hex"));
  for (let at = 0; at < bytes.length; ) {
    const size = Number(number(at + 44, 2));
    must(at + 46 + size <= bytes.length, "malformed locks");
    out.push({ amount: number(at, 14), payer: Number(number(at + 14, 1)), expiry: number(at + 15, 5),
      condition: k.hex(bytes.subarray(at + 20, at + 40)), payload: k.hex(bytes.subarray(at + 46, at + 46 + size)) });
    at += 46 + size;
  }
  return out;
}

// One channel's storage; all numbers BigInt.
class Chain {
  constructor(c) {
    Object.assign(this, { chain: c.chain, params: c.params, id: c.id, paramsHash: c.paramsHash });
    Object.assign(this, { contributions: [0n, 0n], withdrawSeq: 0n, epoch: 0n, dispute: null, ended: null });
    this.revealed = new Map();
    this.past = [JSON.stringify(this.view())];
  }
  view() {
    const text = (o) => JSON.parse(JSON.stringify(o, (_key, v) => (typeof v === "bigint" ? String(v) : v)));
    const { contributions, withdrawSeq, epoch, dispute, ended } = this;
    return text({ contributions, withdrawSeq, epoch, ...(dispute ? { dispute } : {}), ...(ended ? { ended } : {}) });
  }
  apply(name, call, sender, value, now) {
    this.transfers = [];
    must(value === (name === "challenge" ? this.params.bond : name === "deposit" ? call.amount : 0n), "the coin sent along");
    if ("epoch" in call) must(call.epoch === this.epoch, "the epoch");
    this[name](call, sender, now);
    this.past.push(JSON.stringify(this.view()));
  }
  consent(type, data, call, sender) {
    const digest = k.digest(this.chain, type, { id: this.id, ...data });
    const by = (side) => sender === this.params.payout[side] ||
      k.verifies(digest, call[`signature${side}`], this.params.signer[side]);
    must(by(0) && by(1), "a signature");
  }
  state(call) {
    const data = { epoch: call.epoch, version: call.version, outcomeHash: call.outcomeHash };
    this.consent("State", data, call, null);
  }
  pay(to, asset, amount) {
    if (amount > 0n) this.transfers.push({ to, asset, amount });
  }
  end(by, net) {
    const { params, dispute } = this, paid = payouts(this.contributions, net);
    paid.forEach((amount, side) => this.pay(params.payout[side], params.asset, amount));
    const forfeited = Boolean(dispute && dispute.flags & 2n), settled = dispute && by === "settle";
    if (dispute) this.pay(params.payout[Number(dispute.flags & 1n) ^ (forfeited ? 1 : 0)], NATIVE, params.bond);
    this.ended = { by, epoch: this.epoch, version: settled ? dispute.version : 0n, net, paid, forfeited,
      deadline: dispute ? dispute.deadline : 0n };
    Object.assign(this, { contributions: [0n, 0n], withdrawSeq: 0n, epoch: this.epoch + 1n, dispute: null });
  }
  deposit(call) {
    must(call.paramsHash === this.paramsHash && !this.dispute && call.amount > 0n, "a deposit");
    this.contributions[Number(call.side)] += call.amount;
  }
  close(call, sender, now) {
    must(now <= call.validUntil, "expired");
    this.consent("Close", { epoch: call.epoch, net: call.net, validUntil: call.validUntil }, call, sender);
    this.end("close", call.net);
  }
  withdraw(call, sender, now) {
    const { epoch, seq, side, amount, validUntil } = call;
    must(now <= validUntil && seq === this.withdrawSeq && amount <= this.contributions[0] + this.contributions[1], "a withdrawal");
    this.consent("Withdraw", { epoch, seq, side, amount, validUntil }, call, sender);
    this.contributions[Number(side)] -= amount;
    this.withdrawSeq++;
    this.pay(this.params.payout[Number(side)], this.params.asset, amount);
  }
  challenge(call, sender, now) {
    const { epoch, side, version, outcomeHash, validUntil } = call, who = Number(side);
    must(!this.dispute && k.keccak256(call.salt) === this.params.tag, "a challenge");
    const digest = k.digest(this.chain, "Challenge", { id: this.id, epoch, side, version, outcomeHash, validUntil });
    const own = [this.params.signer[who], this.params.payout[who]].includes(sender);
    must(own || (now <= validUntil && k.verifies(digest, call.challengeSignature, this.params.signer[who])), "the challenger");
    if (version) this.state(call);
    const deadline = now + this.params.period;
    this.dispute = { version, challengedVersion: version, deadline, flags: side, outcomeHash };
  }
  refute(call, _sender, now) {
    const d = this.dispute;
    must(d && now <= d.deadline && call.version > d.version, "a refutation");
    this.state(call);
    const lie = (call.version ^ d.flags) & 1n ||
      (call.version - d.challengedVersion > 3n && (call.version & 0xffffffffn) > 2n);
    const half = this.params.period / 2n, window = half < 3600n ? half : 3600n;
    const more = d.deadline - now < window && (d.flags >> 2n & 3n) < 2n;
    const flags = (d.flags | (lie ? 2n : 0n)) + (more ? 4n : 0n);
    const deadline = d.deadline + (more ? window : 0n);
    this.dispute = { ...d, version: call.version, outcomeHash: call.outcomeHash, flags, deadline };
  }
  settle(call, _sender, now) {
    const d = this.dispute;
    must(d && now > d.deadline, "too early");
    if (!d.version) return void this.end("settle", 0n);
    const locksHash = call.locks === "0x" ? k.ZERO : k.keccak256(call.locks);
    must(k.outcomeHash({ net: call.net, locksHash, blind: call.blind }) === d.outcomeHash, "another outcome");
    let net = call.net;
    for (const lock of decodeLocks(call.locks)) {
      const when = this.revealed.get(lock.payload), paid = when !== undefined && when <= lock.expiry;
      must(lock.condition === NATIVE && (paid || now > lock.expiry), "a lock is pending");
      if (paid) net += lock.payer === 0 ? lock.amount : -lock.amount;
    }
    this.end("settle", net);
  }
  reveal(call, _sender, now) {
    const hash = k.sha256(call.preimage);
    must(!this.revealed.has(hash), "revealed already");
    this.revealed.set(hash, now);
  }
}

module.exports = { Chain };
