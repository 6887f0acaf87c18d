// Money in and out while the channel goes on: sections 2 (opening, deposits) and 4 ("Taking money out").
"use strict";
const k = require("./crypto.js");
const { ERR, SKEW, demand, fresh, invalid, phase, refuse, send, signed, them, unsynced } = require("./state.js");

// --- Deposits ---

function deposit(s, epoch, amount) {
  s.calls.push({ deposit: { paramsHash: s.c.paramsHash, side: s.c.me, epoch, amount } });
}

// What was agreed at open, until it is there.
function wantDeposit(s) {
  const c = s.c, head = c.view.head;
  if (!["funding", "open"].includes(phase(c)) || !c.heard || c.frozen || c.latest.version >> 32n) return;
  const came = (side) => c.epoch > 0n || head.withdrawSeq > 0n || head.contributions[side] >= c.deposit[side];
  if (c.openerFunds) {
    const sums = { paramsHash: c.paramsHash, epoch: c.epoch, amounts: c.deposit };
    if (c.me === 0 && !(came(0) && came(1))) s.calls.push({ fund: sums });
  } else if (!came(c.me)) {
    deposit(s, c.epoch, c.deposit[c.me]);
  }
}

function onDepositCommand(s, amount) {
  const c = s.c, closed = phase(c) === "closed";
  if (closed && c.revealed) refuse(25, "the salt is public");
  if (!closed && !(["funding", "open"].includes(phase(c)) && c.heard && !c.closeWanted)) refuse(ERR.PHASE, "not now");
  deposit(s, c.view.head.epoch, amount);
}

function noteDeposits(c) {
  if (c.agreed && c.view.final.contributions.some((x) => x !== 0n)) c.opened = true;
}

// --- Withdrawals ---

function onWithdrawCommand(s, amount, to) {
  const c = s.c;
  if (phase(c) !== "open" || c.closeWanted || c.withdrawWanted || c.reserved) refuse(ERR.PHASE, "not now");
  c.queue.push({ kind: "reserve", amount, seq: 0n, valid_until: 0n, ...(to ? { to } : {}) });
  c.withdrawWanted = amount;
}

// Number and time are those of the moment at which it is proposed.
function stampReserve(s, op) {
  op.seq = s.c.view.final.withdrawSeq;
  op.valid_until = s.env.now + 3600n;
}

function reserve(s, r, side, op) {
  const { head, final } = s.c.view, now = s.env.now;
  if (r.shutdown || r.reserved || (op.to && op.to.params_hash === s.c.paramsHash) || op.seq !== head.withdrawSeq || op.seq !== final.withdrawSeq) return ERR.PHASE;
  if (op.valid_until <= now || op.valid_until > now + 86400n + SKEW) return ERR.PHASE;
  r.reserved = { ...op, side, sig: [null, null] };
  return invalid(s.c, r);
}

// What is reserved as typed data: a Withdraw, or a Move if there is a target.
function withdrawal(c) {
  const r = c.reserved, { to } = r;
  const data = { id: c.id, epoch: c.epoch, seq: r.seq, side: r.side, amount: r.amount, validUntil: r.valid_until };
  if (!to) return { type: "Withdraw", data };
  return { type: "Move", data: { ...data, toId: k.idOf(to.params_hash, c.params.asset), toEpoch: to.epoch, toSide: to.side } };
}

function sendWithdraw(s) {
  const r = s.c.reserved;
  send(s, "Withdraw", { seq: r.seq, side: BigInt(r.side), amount: r.amount, valid_until: r.valid_until,
    signature: r.sig[s.c.me] });
}

function onWithdraw(s, m) {
  const c = s.c, r = c.reserved;
  if (c.frozen) return;
  if (!c.link.synced) return void unsynced(c);
  demand(m.epoch === c.epoch, "a later epoch");
  if (!r || r.seq !== m.seq || BigInt(r.side) !== m.side) return;
  demand(r.amount === m.amount && r.valid_until === m.valid_until, "not what is reserved");
  const { type, data } = withdrawal(c), digest = k.digest(c.chain, type, data);
  if (!k.verifies(digest, m.signature, c.params.signer[them(c)])) refuse(ERR.SIGNATURE, "bad signature");
  demand(r.side !== c.me || r.sig[c.me], "the side that asked signs first");
  r.sig[them(c)] = m.signature;
  if (r.side !== c.me && r.sig[c.me]) sendWithdraw(s);
}

function endReservation(c) {
  if (c.reserved.side === c.me) c.withdrawWanted = 0n;
  c.reserved = null;
}

function wantWithdraw(s) {
  const r = s.c.reserved, { type, data: { id: _id, ...fields } } = withdrawal(s.c);
  const call = { ...fields, ...(r.to ? { toParamsHash: r.to.params_hash } : {}), signature0: r.sig[0], signature1: r.sig[1] };
  s.calls.push({ [type === "Move" ? "move" : "withdraw"]: call });
}

function pursueWithdraw(s) {
  const c = s.c, r = c.reserved, head = c.view.head;
  if (!r) return;
  if (s.env.finalTime > r.valid_until) return void endReservation(c);
  if (head.epoch !== c.epoch || head.withdrawSeq !== r.seq) return;
  if (r.sig[0] && r.sig[1]) {
    if (r.side === c.me && s.env.headTime < r.valid_until) wantWithdraw(s);
    return;
  }
  if (!c.link.synced) return;
  if (r.sig[c.me]) {
    if (!s.cur.link.synced) sendWithdraw(s); // on a new connection
    return;
  }
  const may = !c.frozen && ["open", "shutdown"].includes(phase(c)) && fresh(s) && s.env.now <= r.valid_until;
  if (!may || (r.side !== c.me && !r.sig[them(c)])) return;
  const { type, data } = withdrawal(c);
  r.sig[c.me] = signed(s, type, data, s.keys.channelKey);
  sendWithdraw(s);
}

// In one step with the view in which the contribution is lower.
function lookForWithdrawal(c) {
  const final = c.view.final;
  if (c.reserved && final.epoch === c.epoch && final.withdrawSeq > c.reserved.seq) endReservation(c);
}

module.exports = { lookForWithdrawal, noteDeposits, onDepositCommand, onWithdraw, onWithdrawCommand, pursueWithdraw, reserve,
  stampReserve, wantDeposit };
