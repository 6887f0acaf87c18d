// One channel of one side: what it is made of, what a version of it says, signing and verifying it (sections 3 and 4).
// A step (engine.js) works on a copy, `s.c`, and collects what follows in `s`.
"use strict";
const { Refused } = require("./wire.js");
const k = require("./crypto.js");

const ERR = { ARGUMENT: 1, FORMAT: 5, SIGNATURE: 7, DOUBLE_SIGN: 9, PHASE: 11, FROZEN: 12, STALE: 13, FUNDS: 14, VIOLATION: 16, TERMS: 17,
  UNKNOWN_CHANNEL: 18, DUPLICATE: 19, LOCK_LIMIT: 26, EXPIRY: 27, HASH_USED: 28, CANCELLED: 30, EXPIRED: 31 };
const MOST = (1n << 111n) - 1n;
const SKEW = 300n;

const refuse = (code, why) => { throw new Refused(code, why); };
const demand = (condition, why) => { if (!condition) refuse(ERR.VIOLATION, why); };

const noLink = () => ({ up: false, said: false, greeted: false, synced: false, waitFull: false, peerFrozen: false,
  resumed: false, missed: false, funds: null, hello: null });
const nothingMoved = () => ({ version: 0n, net: 0n, locksHash: k.ZERO, locks: [], sig: [null, null] });

// What belongs to one epoch.
const freshEpoch = (epoch) => ({
  epoch, latest: nothingMoved(), out: null, old: null, highest: 0n, proof: null, shutdown: false, closeWanted: false,
  accounted: false, shown: 0n, seal: false, resume: { wanted: false, version: 0n, sig: null },
  close: { wanted: false, until: 0n, net: 0n, have: [false, false], sig: [null, null], mineUntil: 0n },
  reserved: null, withdrawWanted: 0n, challenge: { until: 0n, version: 0n, sig: null }, about: {},
});

const slots = () => ({ contributions: [0n, 0n], withdrawSeq: 0n, epoch: 0n, dispute: null, ended: null });

function newChannel(fields) {
  return { agreed: false, heard: false, opened: false, abandoned: false, revealed: false, frozen: false, frozenAt: 0n,
    instances: [], used: [], queue: [], view: { head: slots(), final: slots() }, link: { ...noLink(), up: true },
    ...freshEpoch(0n), ...fields };
}

function phase(c) {
  if (c.abandoned) return "abandoned";
  if (!c.agreed) return "opening";
  if (c.view.final.epoch > c.epoch) return "closed";
  if (c.view.head.epoch > c.epoch) return "ending";
  if (c.view.head.dispute || c.challenge.until) return "disputed";
  if (c.close.mineUntil) return "closing";
  if (c.shutdown) return "shutdown";
  return c.opened ? "open" : "funding";
}

const them = (c) => 1 - c.me;
const fresh = (s) => s.env.headTime !== 0n && s.env.now <= s.env.headTime + s.env.freshness;
const maySignState = (c) => !c.frozen && ["funding", "open", "shutdown"].includes(phase(c));
const ownParity = (version, side) => Number(version & 1n) === side;
// The least version above `base` with the parity of `side`.
const nextVersion = (side, base) => (ownParity(base + 1n, side) ? base + 1n : base + 2n);

const content = (from) => ({ net: from.net, locksHash: from.locksHash, locks: from.locks });
const sameContent = (a, b) => a.net === b.net && a.locksHash === b.locksHash;

function stateOf(c, version, what) {
  const outcome = { net: what.net, locksHash: what.locksHash, blind: k.blind(c.blindKey, c.epoch, version) };
  return { data: { id: c.id, epoch: c.epoch, version, outcomeHash: k.outcomeHash(outcome) }, outcome };
}

function signed(s, type, data, key, extra) {
  const digest = k.digest(s.c.chain, type, data), signature = k.sign(key, digest);
  s.signs.push({ type, data, digest, ...extra, signer: s.c.me, signature });
  return signature;
}

// Rule 7, and freshness.
function signContent(s, version, what) {
  const c = s.c;
  if (!fresh(s)) refuse(ERR.STALE, "the head is too old");
  if (c.frozen && !s.resuming) refuse(ERR.FROZEN, "frozen");
  if (version <= c.highest) refuse(ERR.DOUBLE_SIGN, "a version that was signed");
  const { data, outcome } = stateOf(c, version, what);
  c.highest = version;
  return signed(s, "State", data, s.keys.channelKey, { outcome });
}

// The peer's highest signature is kept: it is what Reestablish shows it.
function verifyPeer(s, version, what, sig) {
  const c = s.c, { data } = stateOf(c, version, what);
  if (!k.verifies(k.digest(c.chain, "State", data), sig, c.params.signer[them(c)])) refuse(ERR.SIGNATURE, "bad signature");
  if (!c.proof || version > c.proof.version) c.proof = { version, outcome_hash: data.outcomeHash, signature: sig };
}

// The content of a version that this side knows; null for others.
function knownContent(c, version) {
  if (version === 0n) return content(nothingMoved());
  if (version === c.latest.version) return content(c.latest);
  if (c.out && version === c.out.version) return content(c.out);
  if (c.resume.version && version === c.resume.version) return content(c.latest);
  return c.old && version === c.old.version ? content(c.old) : null;
}

function setLatest(c, version, what, mine, theirs) {
  const sig = c.me === 0 ? [mine, theirs] : [theirs, mine];
  c.latest = { version, ...content(what), sig };
  for (const lock of c.latest.locks) aboutLock(c, lock).since = aboutLock(c, lock).since || version;
  if (c.old && c.old.version <= version) c.old = null;
}

// What is known of a pending lock beside the state.
function aboutLock(c, lock) {
  return (c.about[lock.lock] = c.about[lock.lock] || { since: 0n, want: null, preimage: null, looked: false, atHead: 0n,
    atFinal: 0n, tried: 0n });
}

const lockedBy = (locks, side) => locks.filter((l) => l.payer === side).reduce((sum, l) => sum + l.amount, 0n);

// Section 3, "Validity": 0, or why not.
function invalid(c, r) {
  for (const side of [0, 1]) {
    let left = c.view.final.contributions[side] + (side === 0 ? -r.net : r.net);
    if (r.reserved && r.reserved.side === side) left -= r.reserved.amount;
    if (left - lockedBy(r.locks, side) < 0n) return ERR.FUNDS;
  }
  return 0;
}

function payouts(contributions, net) {
  const total = contributions[0] + contributions[1], p = contributions[0] - net;
  const first = p < 0n ? 0n : p > total ? total : p;
  return [first, total - first];
}

function send(s, type, body) {
  s.sends.push({ type, body: { channel: s.c.id, epoch: s.c.epoch, ...body } });
}

function dropLink(s, code) {
  s.c.link = noLink();
  s.drops = code;
}

function payment(s, op, payer, status, extra) {
  if (op.kind !== "pay" && op.kind !== "lock_add") return;
  const more = Object.entries(extra).filter(([, value]) => value); // a version or reason of 0 is none
  s.payments.push({ id: op.id, payer, status, amount: op.amount, ...Object.fromEntries(more) });
}

const resolves = (op) => ["fulfil", "cancel", "expire"].includes(op.kind);

// The outstanding's operations wait again, in front; those that follow from what locks are to become are made anew.
function requeueOut(c) {
  if (c.out && c.out.ops) c.queue.unshift(...c.out.ops.filter((op) => !resolves(op)));
  c.out = null;
}

// What to say to a message that is only for synced sides.
function unsynced(c) {
  demand(c.frozen || c.link.greeted, "before Reestablish");
}

module.exports = { ERR, MOST, SKEW, aboutLock, content, demand, dropLink, fresh, freshEpoch, invalid, knownContent, lockedBy,
  maySignState, newChannel, nextVersion, noLink, ownParity, payment, payouts, phase, refuse, requeueOut, resolves, sameContent,
  send, setLatest, signContent, signed, stateOf, them, unsynced, verifyPeer };
