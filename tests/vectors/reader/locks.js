// Section 6: what operations do to pending locks, and what becomes of these in time and on chain.
"use strict";
const k = require("./crypto.js");
const { ERR, SKEW, aboutLock, demand, invalid, knownContent, lockedBy, payment, phase, refuse } = require("./state.js");

const NATIVE = "0x" + "00".repeat(20);
const isHash = (lock) => lock.condition === NATIVE;
const inTime = (lock, time) => time !== 0n && time <= lock.expiry;

function lockOf(op, payer) {
  const lock = { id: op.id, amount: op.amount, payer, expiry: op.expiry, condition: op.condition, gas: op.gas,
    payload: op.payload };
  return { ...lock, lock: k.keccak256(k.encodeLock(lock)) };
}

// --- Operations; `r` is what a proposal has led to so far. Each gives 0, or why it may not be signed now ---

function outOfLimits(s, r, lock) {
  const l = s.c.limits, env = s.env;
  const payload = r.locks.reduce((sum, x) => sum + BigInt(x.payload.length - 2) / 2n, 0n);
  const gas = r.locks.reduce((sum, x) => sum + x.gas, 0n);
  if (BigInt(r.locks.length) > l.lock_count || payload > l.lock_payload || gas > l.lock_gas) return ERR.LOCK_LIMIT;
  if (lock.amount < l.lock_dust || lockedBy(r.locks, lock.payer) > l.lock_in_flight) return ERR.LOCK_LIMIT;
  const most = env.now + l.lock_longest + (lock.payer === s.c.me ? 0n : SKEW);
  return lock.expiry <= env.now + env.freshness + env.margin || lock.expiry > most ? ERR.EXPIRY : 0;
}

function addLock(s, r, side, op) {
  const lock = lockOf(op, side), c = s.c;
  if (r.locks.length >= 128) {
    demand(side === c.me, "a 129th lock");
    return ERR.LOCK_LIMIT;
  }
  demand(!r.locks.some((l) => l.payer === side && l.id === op.id), "a payment id that is pending");
  demand(!r.locks.some((l) => l.lock === lock.lock), "a lock that is pending");
  const twin = isHash(lock) && (c.used.includes(lock.payload) || r.locks.some((l) => isHash(l) && l.payload === lock.payload));
  r.locks.push(lock);
  return r.shutdown ? ERR.PHASE : twin ? ERR.HASH_USED : outOfLimits(s, r, lock) || invalid(c, r);
}

function fulfil(s, r, side, op, lock) {
  const about = aboutLock(s.c, lock);
  r.net += lock.payer === 0 ? lock.amount : -lock.amount;
  if (!isHash(lock)) {
    demand(side === lock.payer && op.preimage === "0x", "a contract's lock is released by its payer");
    return 0;
  }
  demand(op.preimage !== "0x" && k.sha256(op.preimage) === lock.payload, "a preimage that does not fit");
  about.preimage = op.preimage;
  return side !== lock.payer && s.env.headTime > lock.expiry && !inTime(lock, about.atHead) ? ERR.EXPIRED : 0;
}

function isExpired(s, lock) {
  const about = aboutLock(s.c, lock);
  return about.looked && s.env.finalTime > lock.expiry && !inTime(lock, about.atHead) && !inTime(lock, about.atFinal);
}

function resolveLock(s, r, side, op) {
  const lock = r.locks.find((l) => l.lock === op.lock);
  demand(lock, "a lock that is not pending");
  let why = 0;
  if (op.kind === "fulfil") why = fulfil(s, r, side, op, lock);
  if (op.kind === "cancel") demand(side !== lock.payer, "only the payee gives back");
  if (op.kind === "expire") {
    demand(side === lock.payer && isHash(lock), "only the payer takes back, and hash locks only");
    why = isExpired(s, lock) ? 0 : ERR.EXPIRY;
  }
  r.locks = r.locks.filter((l) => l !== lock);
  return why;
}

// --- What it means for the payment ---

function lockOver(s, lock, paid, version, reason) {
  const c = s.c;
  if (isHash(lock)) c.used = [lock.payload, ...c.used].slice(0, 64);
  payment(s, { ...lock, kind: "lock_add" }, lock.payer, paid ? "settled" : "failed",
    { version, reason: paid ? 0 : reason, preimage: aboutLock(c, lock).preimage });
}

// An operation of `side` on locks that L is about to have.
function lockSettled(s, side, op, version) {
  if (op.kind === "lock_add") return payment(s, op, side, "locked", { version });
  const lock = s.c.latest.locks.find((l) => l.lock === op.lock);
  return lockOver(s, lock, op.kind === "fulfil", version, op.kind === "cancel" ? ERR.CANCELLED : ERR.EXPIRED);
}

// --- Wishes ---

// What this side would have done with a lock of L now.
function wishOf(s, lock) {
  const about = aboutLock(s.c, lock);
  if (about.want) return about.want;
  if (lock.payer !== s.c.me || !isHash(lock)) return null;
  if (about.preimage && inTime(lock, about.atFinal)) return "fulfil";
  return isExpired(s, lock) ? "expire" : null;
}

function queueWishes(s) {
  const ops = [];
  for (const lock of s.c.latest.locks) {
    const about = aboutLock(s.c, lock), kind = wishOf(s, lock);
    if (!kind || (about.tried && about.tried === s.env.headTime)) continue;
    const preimage = isHash(lock) ? about.preimage : "0x";
    ops.push(kind === "fulfil" ? { kind, lock: lock.lock, preimage } : { kind, lock: lock.lock });
  }
  s.c.queue.unshift(...ops);
}

function onResolveCommand(s, kind, id, preimage) {
  const lock = s.c.latest.locks.find((l) => l.lock === id);
  if (!lock) refuse(29, "no such lock");
  const about = aboutLock(s.c, lock), claims = kind === "fulfil" && isHash(lock);
  if (claims && k.sha256(preimage) !== lock.payload) refuse(ERR.ARGUMENT, "a preimage that does not fit");
  about.want = kind;
  about.tried = 0n;
  if (claims) about.preimage = preimage;
}

function onReveal(s, step) {
  const c = s.c, all = [...c.latest.locks, ...(c.out ? c.out.locks : []), ...(c.old ? c.old.locks : [])];
  for (const lock of all.filter((l) => isHash(l) && l.payload === step.hash)) {
    const about = aboutLock(c, lock);
    about.looked = true;
    about.atHead = BigInt(step.revealedAtHead);
    about.atFinal = BigInt(step.revealedFinally);
    if (step.preimage) about.preimage = about.preimage || step.preimage;
  }
}

// Rule 1 of "Time".
function wantReveals(s) {
  const c = s.c, env = s.env;
  for (const lock of c.latest.locks) {
    const about = aboutLock(c, lock);
    if (lock.payer === c.me || about.want !== "fulfil" || !isHash(lock)) continue;
    if (about.atHead || env.headTime > lock.expiry) continue;
    if (phase(c) !== "disputed" && env.now + env.freshness + env.margin < lock.expiry) continue;
    s.calls.push({ reveal: { preimage: about.preimage } });
  }
}

// Whether a settlement with these locks would go through.
const decided = (s, locks) => locks.every((l) =>
  s.env.headTime > l.expiry || (isHash(l) && inTime(l, aboutLock(s.c, l).atHead)));

// What the executed state paid for contracts' locks: what is left of the settled net when all else is taken off.
function paidByContracts(c, what, executed) {
  const signed = (lock) => (lock.payer === 0 ? lock.amount : -lock.amount);
  const hashes = executed.filter((l) => isHash(l) && inTime(l, aboutLock(c, l).atFinal));
  return hashes.reduce((left, l) => left - signed(l), c.view.final.ended.net - what.net);
}

// One contract's lock: its share of that, the first ones first. What is left then.
function contractOver(s, lock, left, version) {
  const sign = lock.payer === 0 ? 1n : -1n, most = left * sign < 0n ? 0n : left * sign;
  const paid = most < lock.amount ? most : lock.amount;
  lockOver(s, lock, paid > 0n, version, ERR.EXPIRED);
  if (paid > 0n && paid < lock.amount) s.payments[s.payments.length - 1].paid = paid;
  return left - paid * sign;
}

// After a final ending that executed `version` (0: a close).
function accountLocks(s, version) {
  const c = s.c, what = knownContent(c, version);
  const executed = what && version > 0n ? what.locks : [];
  let left = executed.length ? paidByContracts(c, what, executed) : 0n;
  for (const lock of c.latest.locks) {
    const about = aboutLock(c, lock);
    const has = executed.some((l) => l.lock === lock.lock) || (version < c.latest.version && about.since <= version && version > 0n);
    if (has) {
      if (isHash(lock)) lockOver(s, lock, inTime(lock, about.atFinal), version, ERR.EXPIRED);
      else left = contractOver(s, lock, left, version);
      continue;
    }
    const did = version > c.latest.version ? wishOf(s, lock) : null;
    const reason = did === "cancel" ? ERR.CANCELLED : version > c.latest.version ? ERR.EXPIRED : ERR.PHASE;
    lockOver(s, lock, did === "fulfil", version, reason);
  }
  c.latest.locks = [];
}

const allLooked = (c) => c.latest.locks.every((l) => !isHash(l) || aboutLock(c, l).looked);

module.exports = { accountLocks, addLock, allLooked, decided, lockOf, lockSettled, onResolveCommand, onReveal, queueWishes,
  resolveLock, wantReveals };
