// One event at one side: a copy of its channel changes, and what is signed, said and wanted because of it is collected. A
// refusal leaves everything as it was.
"use strict";
const wire = require("./wire.js");
const { ERR, demand, dropLink, lockedBy, maySignState, noLink, payment, payouts, phase, refuse } = require("./state.js");
const locks = require("./locks.js");
const money = require("./money.js");
const update = require("./update.js");
const talk = require("./talk.js");
const freeze = require("./freeze.js");
const ending = require("./ending.js");
const open = require("./open.js");

const HANDLERS = {
  OpenConfirm: open.onConfirm, Funds: talk.onFunds, Reestablish: talk.onReestablish, FullState: talk.onFullState,
  Update: (s, m) => update.onUpdate(s, m, freeze.adoptResume), Close: ending.onClose, Withdraw: money.onWithdraw,
  Resume: freeze.onResume, Error: () => {},
};

function onMessage(s, side, bytes) {
  const message = wire.decode(bytes);
  if (!message) return;
  const { type, body } = message, c = s.c;
  if (type === "OpenRequest") return void open.onRequest(s, side.chain, side.peer, body);
  if (type === "OpenAccept" && !c) return void open.onAccept(s, side.peer, side.asked, body);
  if (!c || body.channel !== c.id) refuse(ERR.UNKNOWN_CHANNEL, "no such channel");
  demand(type in HANDLERS, "not now");
  if (type !== "OpenConfirm" && body.epoch < c.epoch) return; // of an epoch that has ended
  const next = type === "Reestablish" && body.epoch > c.epoch;
  if ((phase(c) === "closed" && !next) || phase(c) === "abandoned") return;
  HANDLERS[type](s, body);
}

const toBig = (_key, v) => (typeof v === "string" && /^-?\d+$/.test(v) ? BigInt(v) : v);
const big = (value) => JSON.parse(JSON.stringify(value), toBig);

function onPay(s, step) {
  const c = s.c;
  if (c.frozen) refuse(ERR.FROZEN, "frozen");
  if (phase(c) !== "open" || c.closeWanted) refuse(ERR.PHASE, "not now");
  for (const op of step.operations.map(big).map(update.fromWire)) {
    c.queue.push({ ...op, id: String(op.id) });
    payment(s, op, c.me, "pending", {});
  }
}

function lookOf(view) {
  const v = big(view);
  return { contributions: v.contributions, withdrawSeq: v.withdrawSeq, epoch: v.epoch, dispute: v.dispute || null,
    ended: v.ended || null };
}

function onChain(s, step) {
  const c = s.c, was = c.view.final.contributions;
  c.view = { head: lookOf(step.head), final: lookOf(step.final) };
  const is = c.view.final;
  ending.lookForReveal(c);
  money.lookForWithdrawal(c);
  money.noteDeposits(c);
  const changed = was[0] !== is.contributions[0] || was[1] !== is.contributions[1];
  if (changed && is.epoch === c.epoch && c.link.synced) talk.sendFunds(s);
}

function onTick(s) {
  if (!s.c.agreed && s.env.now > s.c.created + 600n) s.c.abandoned = true;
}

const EVENTS = {
  connect: talk.onLinkUp,
  disconnect(s) { s.c.link = noLink(); },
  pay: onPay, chain: onChain, tick: onTick, reveal: locks.onReveal,
  close: ending.onCloseCommand, challenge: ending.onChallengeCommand,
  withdraw: (s, step) => money.onWithdrawCommand(s, BigInt(step.amount), step.to && big(step.to)),
  deposit: (s, step) => money.onDepositCommand(s, BigInt(step.amount)),
  freeze: freeze.onFreezeCommand, resume: freeze.onResumeCommand,
  fulfil: (s, step) => locks.onResolveCommand(s, "fulfil", step.lock, step.preimage),
  cancel: (s, step) => locks.onResolveCommand(s, "cancel", step.lock),
};

// What follows from the facts, whatever the event was.
function pursue(s) {
  const c = s.c;
  ending.accountEnding(s);
  ending.reopen(s, talk.startEpochTalk);
  if (c.agreed && c.view.head.epoch === c.epoch) {
    money.wantDeposit(s);
    locks.wantReveals(s);
    ending.wantChallenge(s);
    ending.answerDispute(s);
  }
  talk.greet(s);
  update.propose(s);
  if (Object.keys(s.update).length) s.sends.push({ type: "Update", body: { channel: c.id, epoch: c.epoch, ...s.update } });
  money.pursueWithdraw(s);
  freeze.pursueResume(s);
  ending.pursueClose(s);
  const silent = s.cur && ["disputed", "closing", "ending"].includes(phase(s.cur));
  if (silent && c.epoch === s.cur.epoch && s.cur.link.up && maySignState(c)) dropLink(s, 0);
}

// `side` is {keys, chain, peer, asked, channel}. Gives {code}, or what has happened and the new channel.
function take(side, env, step) {
  const c = side.channel && structuredClone(side.channel);
  const s = { c, cur: side.channel, env, keys: side.keys, sends: [], signs: [], payments: [], calls: [], update: {},
    drops: null, resuming: false };
  try {
    if (step.event === "message") onMessage(s, side, step.bytes);
    else EVENTS[step.event](s, step);
    if (s.cur) pursue(s);
  } catch (error) {
    if (!(error instanceof wire.Refused)) throw error;
    return { code: error.code, why: error.message };
  }
  const { sends, signs, payments, calls, drops } = s;
  return { code: 0, channel: s.c, signs, payments, calls, drops,
    sends: sends.map(({ type, body }) => ({ bytes: wire.encode(type, body), message: { [type]: wire.plain(body) } })) };
}

// The asking side's first step, which has no channel yet.
function ask(side, terms) {
  const s = { keys: side.keys, sends: [] };
  side.asked = open.request(s, terms);
  return wire.encode("OpenRequest", side.asked);
}

function stand(c) {
  const over = phase(c) === "closed", k = over ? [0n, 0n] : c.view.final.contributions;
  const ids = c.latest.locks.map((l) => l.lock);
  return wire.plain({
    phase: phase(c), epoch: c.epoch, version: c.latest.version, net: c.latest.net, highestSigned: c.highest,
    outstanding: c.out ? c.out.version : 0n, waiting: String(c.queue.length), balances: payouts(k, c.latest.net),
    locked: [lockedBy(c.latest.locks, 0), lockedBy(c.latest.locks, 1)], ...(ids.length ? { locks: ids } : {}),
    synced: c.link.synced, frozen: c.frozen,
  });
}

module.exports = { ask, stand, take };
