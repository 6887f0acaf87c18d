// Section 4, rules 1 to 6: proposals, accepts, refusals.
"use strict";
const k = require("./crypto.js");
const { ERR, MOST, aboutLock, content, demand, dropLink, fresh, invalid, lockedBy, maySignState, nextVersion, payment,
  refuse, requeueOut, resolves, sameContent, setLatest, signContent, them, unsynced, verifyPeer } = require("./state.js");
const { addLock, lockSettled, queueWishes, resolveLock } = require("./locks.js");
const { reserve, stampReserve } = require("./money.js");

// On the wire {pay: {...}}, here {kind: "pay", ...}.
const fromWire = (op) => ({ kind: Object.keys(op)[0], ...Object.values(op)[0] });
const toWire = ({ kind, ...fields }) => ({ [kind]: fields });

function sayAccept(s, version, signature) {
  s.update.accept = { version, signature };
}

function sayOutstanding(s) {
  const out = s.c.out;
  if (!out) return;
  const head = { base: s.c.latest.version, version: out.version, signature: out.sig };
  if (out.ops) s.update.proposal = { ...head, op: out.ops.map(toWire) };
  else s.update.refusal = { ...head, op: out.op, reason: out.reason };
}

// --- What operations lead to ---

function startReplay(c) {
  return { net: c.latest.net, locks: [...c.latest.locks], locksHash: c.latest.locksHash, shutdown: c.shutdown,
    reserved: c.reserved };
}

// One more operation of `side`: 0, or why it may not be signed now.
function apply(s, r, side, op) {
  if (op.kind === "noop") return 0;
  if (op.kind === "lock_add") return addLock(s, r, side, op);
  if (resolves(op)) return resolveLock(s, r, side, op);
  if (op.kind === "reserve") return reserve(s, r, side, op);
  if (op.kind === "shutdown") {
    r.shutdown = true;
    return 0;
  }
  r.net += side === 0 ? op.amount : -op.amount;
  demand(r.net <= MOST && r.net >= -MOST, "more than a net can say");
  return r.shutdown ? ERR.PHASE : invalid(s.c, r);
}

function endReplay(r) {
  r.locksHash = k.locksHash(r.locks);
  return r;
}

function settle(s, side, ops, version) {
  for (const op of ops) {
    if (op.kind === "pay") payment(s, op, side, "settled", { version });
    if (op.kind === "lock_add" || resolves(op)) lockSettled(s, side, op, version);
  }
}

// --- Accepts ---

// Rule 6: an accept that the chain could still undo is left alone.
function wouldHold(s) {
  const c = s.c, head = c.view.head;
  if (head.epoch !== c.epoch) return false;
  if (c.close.mineUntil && !sameContent({ net: c.close.net, locksHash: k.ZERO }, c.out)) return false;
  return !head.dispute || s.env.now + c.params.period / 2n <= head.dispute.deadline;
}

function adopt(s, signature) {
  const c = s.c, out = c.out;
  verifyPeer(s, out.version, out, signature);
  if (!fresh(s)) refuse(ERR.STALE, "the head is too old");
  if (!wouldHold(s)) return;
  const ops = out.ops || [];
  settle(s, c.me, ops, out.version);
  for (const op of ops) {
    if (op.kind === "shutdown") c.shutdown = true;
    if (op.kind === "shutdown" || op.kind === "noop") c.seal = false;
    if (op.kind === "reserve") c.reserved = { ...op, side: c.me, sig: [null, null] };
  }
  setLatest(c, out.version, out, out.sig, signature);
  c.out = null;
}

function onAccept(s, { version, signature }) {
  const c = s.c;
  if (version <= c.latest.version) return;
  if (c.out && version === c.out.version) return void adopt(s, signature);
  demand(c.old && version === c.old.version, "an accept of what is not outstanding");
  verifyPeer(s, version, c.old, signature);
  dropLink(s, ERR.VIOLATION);
}

// --- Proposals ---

function onProposal(s, p) {
  const c = s.c, ops = p.op.map(fromWire);
  if (p.version <= c.latest.version) {
    if (p.version === c.latest.version && p.signature === c.latest.sig[them(c)]) sayAccept(s, p.version, c.latest.sig[c.me]);
    return;
  }
  if (!maySignState(c)) return;
  demand(p.base === c.latest.version && p.version === nextVersion(them(c), p.base), "not the next version");
  const r = startReplay(c);
  const reasons = ops.map((op) => apply(s, r, them(c), op));
  endReplay(r);
  verifyPeer(s, p.version, r, p.signature);
  if (c.out && p.version < c.out.version) return; // crossing: mine is higher
  const bad = reasons.findIndex((why) => why !== 0);
  if (bad < 0) acceptProposal(s, p, ops, r);
  else refuseProposal(s, p.version + 1n, bad, reasons[bad]);
}

function acceptProposal(s, p, ops, r) {
  const c = s.c, mine = signContent(s, p.version, r);
  settle(s, them(c), ops, p.version);
  setLatest(c, p.version, r, mine, p.signature);
  requeueOut(c);
  c.shutdown = r.shutdown;
  c.reserved = r.reserved;
  sayAccept(s, p.version, mine);
}

function refuseProposal(s, version, op, reason) {
  const c = s.c, sig = signContent(s, version, c.latest);
  if (c.out && c.out.ops) {
    c.old = { version: c.out.version, ...content(c.out) };
    requeueOut(c);
  }
  c.out = { version, ...content(c.latest), sig, ops: null, op: BigInt(op), reason: BigInt(reason) };
  sayOutstanding(s);
}

const REASONS = [ERR.PHASE, ERR.LOCK_LIMIT, ERR.EXPIRY, ERR.HASH_USED];

function onRefusal(s, m) {
  const c = s.c;
  if (m.version <= c.latest.version || !maySignState(c)) return;
  demand(m.base === c.latest.version, "another base");
  verifyPeer(s, m.version, c.latest, m.signature);
  if (c.out && m.version < c.out.version) return;
  demand(c.out && c.out.ops && m.version === c.out.version + 1n, "a refusal of nothing");
  const index = Number(m.op), op = c.out.ops[index];
  demand(op && !["noop", "shutdown", "cancel"].includes(op.kind), "what cannot be refused");
  const mine = signContent(s, m.version, c.latest), reason = Number(m.reason);
  setLatest(c, m.version, c.latest, mine, m.signature);
  failed(s, op, REASONS.includes(reason) ? reason : ERR.FUNDS);
  c.out.ops.splice(index, 1);
  requeueOut(c);
  sayAccept(s, m.version, mine);
}

function failed(s, op, reason) {
  if (op.kind === "reserve") s.c.withdrawWanted = 0n;
  if (resolves(op)) aboutLock(s.c, op).tried = s.env.headTime;
  payment(s, op, s.c.me, "failed", { reason });
}

function onUpdate(s, m, adoptResume) {
  const c = s.c;
  const resumes = c.resume.version && m.epoch === c.epoch && m.accept && m.accept.version === c.resume.version;
  if (c.frozen ? !resumes : !c.link.synced) return unsynced(c);
  demand(m.epoch === c.epoch, "a later epoch");
  if (resumes) adoptResume(s, m.accept.signature);
  else if (m.accept) onAccept(s, m.accept);
  if (!c.link.synced) return undefined;
  if (m.proposal) return onProposal(s, m.proposal);
  return m.refusal ? onRefusal(s, m.refusal) : undefined;
}

// --- Proposing ---

// From what the peer said it sees confirmed: would it find my side covered?
function peerSees(c, r) {
  if (!c.link.funds) return false;
  let left = c.link.funds[c.me] + (c.me === 0 ? -r.net : r.net) - lockedBy(r.locks, c.me);
  if (r.reserved && r.reserved.side === c.me) left -= r.reserved.amount;
  return left >= 0n;
}

// As much of the queue as may be signed; what can never be is failed.
function fillBatch(s) {
  const c = s.c, taken = [];
  let r = startReplay(c), seen = 0;
  for (; taken.length < 512 && seen < c.queue.length; seen++) {
    const op = c.queue[seen], after = { ...r, locks: [...r.locks] };
    if (op.kind === "reserve") stampReserve(s, op);
    let why;
    try {
      why = op.kind === "shutdown" && r.shutdown && !c.seal ? ERR.PHASE : apply(s, after, c.me, op);
    } catch (_error) {
      why = ERR.DUPLICATE;
    }
    if (why) {
      failed(s, op, why);
      continue;
    }
    if (["pay", "reserve", "lock_add"].includes(op.kind) && !peerSees(c, after)) break;
    r = after;
    taken.push(op);
  }
  c.queue.splice(0, seen);
  return { taken, r: endReplay(r) };
}

function propose(s) {
  const c = s.c;
  if (c.out || (!c.queue.length && !c.latest.locks.length)) return;
  if (!c.link.synced || (!c.link.funds && !c.seal) || c.link.peerFrozen || !maySignState(c) || !fresh(s)) return;
  queueWishes(s);
  const { taken, r } = fillBatch(s);
  if (!taken.length) return;
  const version = nextVersion(c.me, c.latest.version), sig = signContent(s, version, r);
  c.out = { version, ...content(r), sig, ops: taken };
  sayOutstanding(s);
}

module.exports = { adopt, fromWire, onUpdate, propose, sayAccept, sayOutstanding };
