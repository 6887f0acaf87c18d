// Section 2, "Opening".
"use strict";
const k = require("./crypto.js");
const { ERR, demand, newChannel, refuse, signed, them } = require("./state.js");
const { noteDeposits } = require("./money.js");
const talk = require("./talk.js");

const ZERO_ADDRESS = "0x" + "00".repeat(20);

// The opener's wish becomes its first message; `terms` are what OpenRequest has beside the keys.
function request(s, terms) {
  const body = { ...terms, nonce: s.keys.nonce, signer: k.publicKey(s.keys.channelKey), payout: s.keys.payout };
  s.sends.push({ type: "OpenRequest", body });
  return body;
}

// What both derive from the request and the answer. `mine` and `peer` are node keys.
function agree(s, me, peer, r, answer) {
  const nonce = [r.nonce, answer.nonce];
  const { salt, blindKey } = k.secrets(k.ecdh(s.keys.nodeKey, peer), nonce);
  const signer = [k.addressOf(r.signer), k.addressOf(answer.signer)];
  if (signer.includes(null) || signer[0] === signer[1] || answer.payout === ZERO_ADDRESS) return null;
  const params = { signer, payout: [r.payout, answer.payout], asset: r.asset, period: r.challenge_period, bond: r.bond,
    tag: k.keccak256(salt) };
  const chain = { chainId: r.chain_id, adjudicator: r.adjudicator };
  return newChannel({ me, peer, chain, params, ...k.identify(chain, params), salt, blindKey, created: s.env.now, limits: r,
    deposit: [r.deposit_0, r.deposit_1], openerFunds: r.opener_funds });
}

function statement(c, side, peerNode) {
  return { id: c.id, paramsHash: c.paramsHash, side, signer: c.params.signer[side], peerNode: k.keccak256(peerNode) };
}

function checkStatement(s, c, signature) {
  const digest = k.digest(c.chain, "OpenStatement", statement(c, them(c), k.publicKey(s.keys.nodeKey)));
  demand(k.verifies(digest, signature, k.addressOf(c.peer)), "a bad open statement");
}

function signStatement(s, c) {
  s.c = c;
  c.statement = signed(s, "OpenStatement", statement(c, c.me, c.peer), s.keys.nodeKey);
}

function onRequest(s, chain, peer, r) {
  const sum = r.deposit_0 + r.deposit_1;
  const fits = r.chain_id === BigInt(chain.chainId) && r.adjudicator === chain.adjudicator && r.payout !== ZERO_ADDRESS &&
    r.challenge_period > 0n && sum > 0n && sum < 1n << 111n;
  const answer = { request: r.nonce, nonce: s.keys.nonce, signer: k.publicKey(s.keys.channelKey), payout: s.keys.payout };
  const c = fits ? agree(s, 1, peer, r, answer) : null;
  if (!c) refuse(ERR.TERMS, "terms");
  signStatement(s, c);
  s.sends.push({ type: "OpenAccept", body: { ...answer, statement: c.statement } });
}

function onAccept(s, peer, asked, m) {
  demand(asked && m.request === asked.nonce, "an answer to nothing");
  const c = agree(s, 0, peer, asked, m);
  demand(c, "keys that do not fit");
  checkStatement(s, c, m.statement);
  c.agreed = true;
  signStatement(s, c);
  talk.onLinkUp(s);
}

function onConfirm(s, m) {
  const c = s.c, head = c.view.head;
  demand(c.me === 1, "the opener confirms");
  if (c.agreed) return;
  demand(!head.dispute && head.epoch === c.epoch, "it is leaving already");
  checkStatement(s, c, m.statement);
  c.agreed = c.heard = true;
  noteDeposits(c);
  talk.onLinkUp(s);
}

module.exports = { onAccept, onConfirm, onRequest, request };
