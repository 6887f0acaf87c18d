// Leaving: together (section 4, "Leaving together"), alone (section 5), and what becomes of what waited.
"use strict";
const k = require("./crypto.js");
const { ERR, SKEW, demand, fresh, freshEpoch, knownContent, payment, phase, refuse, send, signed, stateOf, them, unsynced } =
  require("./state.js");
const { accountLocks, allLooked, decided } = require("./locks.js");
const freeze = require("./freeze.js");

// --- Close ---

function onCloseCommand(s) {
  const c = s.c;
  if (!["open", "shutdown", "closing", "disputed"].includes(phase(c))) refuse(ERR.PHASE, "not now");
  if (c.closeWanted) return;
  c.closeWanted = c.close.wanted = true;
  if (!c.shutdown) c.queue.push({ kind: "shutdown" });
}

function mayClose(c) {
  if (c.latest.locksHash !== k.ZERO) return false;
  if (["shutdown", "closing", "disputed"].includes(phase(c))) return true;
  return (c.frozen || c.link.peerFrozen) && ["funding", "open"].includes(phase(c)) && !c.reserved;
}

function canTalk(c) {
  return c.frozen || c.link.peerFrozen ? c.link.greeted && !c.link.waitFull : c.link.synced;
}

function mayLeaveFreeze(s, first) {
  const { close, resume } = s.c;
  return (first ? close.wanted && !resume.wanted : close.wanted || resume.wanted) && freeze.isOver(s);
}

const closing = (c, net, validUntil) => ({ id: c.id, epoch: c.epoch, net, validUntil });

function sendClose(s) {
  const { net, until, sig } = s.c.close;
  send(s, "Close", { net, valid_until: until, signature: sig[s.c.me] });
}

function signClose(s, until) {
  const c = s.c, close = c.close;
  if (!fresh(s)) refuse(ERR.STALE, "the head is too old");
  close.sig[c.me] = signed(s, "Close", closing(c, c.latest.net, until), s.keys.channelKey);
  if (close.until !== until) close.have[them(c)] = false;
  Object.assign(close, { net: c.latest.net, until, mineUntil: until > close.mineUntil ? until : close.mineUntil });
  close.have[c.me] = true;
  sendClose(s);
}

function onClose(s, m) {
  const c = s.c, close = c.close, until = m.valid_until, now = s.env.now;
  if (!canTalk(c)) return void unsynced(c);
  demand(m.epoch === c.epoch, "a later epoch");
  if (!mayClose(c)) return;
  const answer = close.have[c.me] && close.until === until;
  if (c.frozen && !answer && !mayLeaveFreeze(s, false)) return;
  const unaware = Number(c.latest.version & 1n) === them(c); // it may lack my accept, in a dispute of its own
  if (m.net !== c.latest.net) return void demand(!c.shutdown || c.frozen || unaware, "another net than L's");
  demand(until <= now + 3600n + SKEW, "valid for too long");
  const digest = k.digest(c.chain, "Close", closing(c, m.net, until));
  if (!k.verifies(digest, m.signature, c.params.signer[them(c)])) refuse(ERR.SIGNATURE, "bad signature");
  if (until <= now || (close.have[c.me] && until < close.until)) return;
  if (!answer) signClose(s, until);
  else if (close.have[them(c)] && !close.wanted) sendClose(s);
  close.sig[them(c)] = m.signature;
  close.have[them(c)] = true;
}

function pursueClose(s) {
  const c = s.c, close = c.close, now = s.env.now;
  const over = phase(c) === "closed";
  if (close.mineUntil && s.env.finalTime > close.mineUntil && !over) c.close = { ...freshEpoch(0n).close, wanted: close.wanted };
  if (!mayClose(c) || (c.close.have[c.me] && now > c.close.until)) return;
  if (c.close.have[0] && c.close.have[1]) {
    if (!c.close.wanted && now + 3600n < c.close.until + 300n) return;
    const { net, until, sig } = c.close;
    s.calls.push({ close: { epoch: c.epoch, net, validUntil: until, signature0: sig[0], signature1: sig[1] } });
    return;
  }
  if (!c.close.wanted || !canTalk(c)) return;
  if (c.close.have[c.me]) return void (canTalk(s.cur) || sendClose(s)); // on a new connection
  if (c.frozen ? !mayLeaveFreeze(s, true) : c.link.peerFrozen) return;
  if (fresh(s)) signClose(s, now + 3600n);
}

// --- Challenge, refute, settle ---

function outcomeOf(c, version) {
  return version ? stateOf(c, version, c.latest).data.outcomeHash : k.ZERO;
}

function signChallenge(s) {
  const c = s.c, version = c.latest.version, validUntil = s.env.now + 86400n;
  if (!fresh(s)) refuse(ERR.STALE, "the head is too old");
  const data = { id: c.id, epoch: c.epoch, side: c.me, version, outcomeHash: outcomeOf(c, version), validUntil };
  c.challenge = { until: validUntil, version, sig: signed(s, "Challenge", data, s.keys.channelKey) };
  c.revealed = true;
}

function onChallengeCommand(s) {
  const c = s.c;
  if (c.frozen) refuse(ERR.FROZEN, "frozen");
  if (phase(c) === "disputed") return;
  if (!["funding", "open", "shutdown", "closing"].includes(phase(c))) refuse(ERR.PHASE, "not now");
  signChallenge(s);
}

function wantChallenge(s) {
  const c = s.c;
  if (!c.challenge.until || c.view.head.dispute) return;
  if (c.challenge.version !== c.latest.version || s.env.now > c.challenge.until) {
    if (!fresh(s)) return;
    signChallenge(s);
  }
  const { version, until, sig } = c.challenge, [signature0, signature1] = c.latest.sig;
  const call = { epoch: c.epoch, side: c.me, version, outcomeHash: outcomeOf(c, version), validUntil: until, salt: c.salt };
  s.calls.push({ challenge: { ...call, ...(version ? { signature0, signature1 } : {}), challengeSignature: sig } });
}

function wantRefute(s) {
  const c = s.c, [signature0, signature1] = c.latest.sig, version = c.latest.version;
  s.calls.push({ refute: { epoch: c.epoch, version, outcomeHash: outcomeOf(c, version), signature0, signature1 } });
}

function wantSettle(s, dispute) {
  const c = s.c, mine = Number(dispute.flags & 1n) === c.me || (dispute.flags & 2n) !== 0n;
  if (!mine && s.env.headTime <= dispute.deadline + 300n) return;
  const what = knownContent(c, dispute.version);
  if (!what || !decided(s, what.locks)) return;
  const blind = dispute.version ? stateOf(c, dispute.version, what).outcome.blind : k.ZERO;
  s.calls.push({ settle: { epoch: c.epoch, net: what.net, blind, locks: k.encodeLocks(what.locks) } });
}

function answerDispute(s) {
  const c = s.c, d = c.view.head.dispute;
  if (!d || c.view.head.epoch !== c.epoch) return;
  const what = knownContent(c, d.version);
  const known = what && (!d.version || stateOf(c, d.version, what).data.outcomeHash === d.outcomeHash);
  if (!known && d.version >= c.latest.version) {
    freeze.noteShown(s, d.version);
    return void freeze.freeze(s);
  }
  if (s.env.headTime > d.deadline) wantSettle(s, d);
  else if (d.version < c.latest.version) wantRefute(s);
}

// --- After it ---

// Is what was executed in this side's memory?
function remembered(c, ended) {
  if (ended.by === "close") return c.close.have[c.me] && c.close.net === ended.net;
  return ended.version <= c.latest.version || Boolean(knownContent(c, ended.version));
}

// Rule 6: what waited was in the executed content, or can never be enforced.
function accountEnding(s) {
  const c = s.c, ended = c.view.final.ended;
  if (c.accounted || phase(c) !== "closed" || !allLooked(c)) return;
  if (ended && ended.epoch === c.epoch && !remembered(c, ended)) freeze.freeze(s);
  const executed = ended && ended.by === "settle" && ended.epoch === c.epoch ? ended.version : 0n;
  const ops = (c.out && c.out.ops) || [], inIt = executed && c.out && c.out.version === executed;
  for (const op of ops) {
    if (!inIt) payment(s, op, c.me, c.frozen ? "unknown" : "failed", { reason: ERR.PHASE });
    else if (op.kind !== "lock_add") payment(s, op, c.me, "settled", { version: executed });
  }
  for (const op of c.queue) payment(s, op, c.me, c.frozen ? "unknown" : "failed", { reason: ERR.PHASE });
  accountLocks(s, executed);
  Object.assign(c, { queue: [], out: null, reserved: null, withdrawWanted: 0n, accounted: true });
  const { contributions, withdrawSeq, dispute } = c.view.final;
  const untouched = contributions.every((x) => x === 0n) && !withdrawSeq && !dispute;
  if (c.frozen && untouched) freeze.thaw(s); // nothing was signed in the next epoch
}

// Sticky: a challenge that was seen once has made the salt public.
function lookForReveal(c) {
  for (const look of [c.view.head, c.view.final])
    if (look.dispute || (look.ended && look.ended.deadline)) c.revealed = true;
}

// Money in a later epoch opens the channel again.
function reopen(s, greet) {
  const c = s.c, final = c.view.final;
  if (!c.accounted || phase(c) !== "closed" || final.contributions.every((x) => x === 0n)) return;
  if (c.revealed && final.contributions[c.me] === 0n) return;
  Object.assign(c, freshEpoch(final.epoch), { opened: true });
  greet(s);
}

module.exports = { accountEnding, answerDispute, lookForReveal, onChallengeCommand, onClose, onCloseCommand, pursueClose, reopen,
  wantChallenge };
