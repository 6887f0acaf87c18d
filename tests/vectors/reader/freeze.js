// Section 4, "Lost memory": a frozen side signs nothing, and leaves that by Resume.
"use strict";
const { ERR, content, demand, dropLink, fresh, maySignState, newChannel, nextVersion, noLink, ownParity, payment, phase, refuse, requeueOut, send,
  setLatest, signContent, them, verifyPeer } = require("./state.js");

const CLOCK_START = 1577836800n;
const most = (a, b) => (a > b ? a : b);
const clock = (s) => (s.env.now > CLOCK_START ? s.env.now - CLOCK_START : 0n);

// All that the static backup has of a channel: what was fixed at open, but for the limits of locks. What the chain shows is
// to be asked, when the freeze began is not known yet.
function fromBackup(c) {
  const { me, peer, chain, params, id, paramsHash, salt, blindKey, created, deposit } = c;
  const none = { lock_count: 0n, lock_payload: 0n, lock_gas: 0n, lock_longest: 0n, lock_dust: 0n, lock_in_flight: 0n };
  const known = { me, peer, chain, params, id, paramsHash, salt, blindKey, created, deposit, limits: none, openerFunds: false };
  return { ...newChannel(known), agreed: true, heard: true, frozen: true, link: noLink() };
}

function freeze(s) {
  const c = s.c;
  if (c.frozen) return;
  c.frozen = true;
  c.frozenAt = most(s.env.now, s.env.headTime);
  if (c.link.up) dropLink(s, 0);
}

function voidResume(s) {
  s.c.resume = { wanted: false, version: 0n, sig: null };
  s.c.link.resumed = false;
  s.c.frozenAt = most(s.env.now, s.env.headTime);
}

function onFreezeCommand(s) {
  if (s.c.resume.version) voidResume(s);
  freeze(s);
}

// A signature of mine that I do not remember.
function noteShown(s, version) {
  const c = s.c;
  if (c.resume.version && version > c.resume.version) voidResume(s);
  c.shown = most(c.shown, version);
}

function adoptShown(s, version, what, sig) {
  const c = s.c;
  if (what.locks.length === 0)
    for (const l of c.latest.locks) payment(s, { ...l, kind: "lock_add" }, l.payer, "unknown", { reason: ERR.FROZEN });
  requeueOut(c);
  setLatest(c, version, what, sig[c.me], sig[them(c)]);
  noteShown(s, version);
  c.link.waitFull = false;
  c.highest = most(c.highest, version);
}

const isOver = (s) => s.c.frozenAt !== 0n && s.env.finalTime > s.c.frozenAt + 86700n;

function thaw(s) {
  const c = s.c;
  for (const op of [...((c.out && c.out.ops) || []), ...c.queue]) payment(s, op, c.me, "unknown", { reason: ERR.FROZEN });
  Object.assign(c, { queue: [], out: null, instances: [], frozen: false, seal: false, frozenAt: 0n, shown: 0n });
  c.resume = { wanted: false, version: 0n, sig: null };
  if (!c.reserved) c.withdrawWanted = 0n;
  if (c.closeWanted && !c.accounted && !c.shutdown) c.queue.push({ kind: "shutdown" });
}

function onResumeCommand(s) {
  if (!s.c.frozen || !["funding", "open", "shutdown", "closing"].includes(phase(s.c))) refuse(ERR.PHASE, "not now");
  s.c.resume.wanted = true;
}

const mayThaw = (s) => ["funding", "open", "shutdown"].includes(phase(s.c)) && isOver(s);

function pursueResume(s) {
  const c = s.c;
  if (c.frozen && !c.frozenAt) c.frozenAt = most(s.env.now, s.env.headTime); // it came from a backup
  if (!c.resume.wanted || !c.link.greeted || c.link.waitFull || c.link.resumed || !mayThaw(s) || !fresh(s)) return;
  if (c.link.missed) return void dropLink(s, 0);
  if (!c.resume.version) {
    const block = most((most(c.highest, c.shown) >> 32n) + 1n, clock(s)), version = nextVersion(c.me, block << 32n);
    s.resuming = true;
    c.resume.sig = signContent(s, version, c.latest);
    s.resuming = false;
    c.resume.version = version;
  }
  c.link.resumed = true;
  send(s, "Resume", { base: c.latest.version, version: c.resume.version, signature: c.resume.sig });
}

function sendFundsAfter(s) {
  const [first, second] = s.c.view.final.contributions;
  send(s, "Funds", { contribution_0: first, contribution_1: second });
}

// My resume is co-signed.
function adoptResume(s, signature) {
  const c = s.c, { version, sig } = c.resume;
  verifyPeer(s, version, c.latest, signature);
  if (!fresh(s)) refuse(ERR.STALE, "the head is too old");
  thaw(s);
  setLatest(c, version, content(c.latest), sig, signature);
  c.link.peerFrozen = false;
  c.link.synced = true;
  sendFundsAfter(s);
}

function acceptResume(s, version, theirs) {
  const c = s.c;
  if (c.frozen) thaw(s);
  const mine = signContent(s, version, c.latest);
  setLatest(c, version, content(c.latest), mine, theirs);
  requeueOut(c);
  Object.assign(c.link, { peerFrozen: false, synced: true });
  c.seal = true;
  s.update.accept = { version, signature: mine };
  if (!c.queue.some((op) => op.kind === "shutdown" || op.kind === "noop"))
    c.queue.unshift({ kind: c.shutdown ? "shutdown" : "noop" });
  sendFundsAfter(s);
}

function onResume(s, m) {
  const c = s.c, latest = c.latest.version;
  demand(c.link.greeted && m.epoch === c.epoch, "before Reestablish");
  if (m.version <= latest) {
    const mine = c.latest.sig[c.me];
    if (m.version === latest && m.signature === c.latest.sig[them(c)]) s.update.accept = { version: latest, signature: mine };
    return;
  }
  c.link.missed = c.frozen ? !(c.resume.wanted && mayThaw(s)) : !maySignState(c);
  if (c.link.missed || c.resume.version > m.version) return;
  demand(c.link.peerFrozen && m.base >= latest, "a resume that is not due");
  if (m.base > latest) return;
  const low = m.version & 0xffffffffn, block = m.version >> 32n;
  demand(ownParity(m.version, them(c)) && m.version > c.highest && low <= 2n && block <= clock(s) + 86400n, "implausible");
  verifyPeer(s, m.version, c.latest, m.signature);
  acceptResume(s, m.version, m.signature);
}

module.exports = { adoptResume, adoptShown, freeze, fromBackup, isOver, noteShown, onFreezeCommand, onResume, onResumeCommand,
  pursueResume, thaw };
