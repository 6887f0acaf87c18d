// Section 4, "Reconnect": what two sides say on a new connection before anything else.
"use strict";
const k = require("./crypto.js");
const { ERR, content, demand, dropLink, fresh, knownContent, noLink, phase, sameContent, send, stateOf, unsynced, verifyPeer } =
  require("./state.js");
const { adopt, sayOutstanding } = require("./update.js");
const freeze = require("./freeze.js");

function digestOf(c, version, what) {
  return k.digest(c.chain, "State", stateOf(c, version, what).data);
}

function sendFunds(s) {
  const [first, second] = s.c.view.final.contributions;
  send(s, "Funds", { contribution_0: first, contribution_1: second });
}

function sendReestablish(s) {
  const c = s.c, body = { version: c.latest.version, digest: c.latest.version ? digestOf(c, c.latest.version, c.latest) : k.ZERO,
    highest_signed: c.highest, outstanding: c.out ? c.out.version : 0n, frozen: c.frozen, instance: s.env.instance };
  send(s, "Reestablish", c.proof ? { ...body, proof: c.proof } : body);
}

const talks = (c) => !["opening", "closed", "abandoned"].includes(phase(c));

// Once on a connection and epoch, as soon as the head is fresh.
function greet(s) {
  const { link } = s.c;
  if (!link.up || link.said || !talks(s.c) || !fresh(s)) return;
  const { hello } = link;
  Object.assign(link, { said: true, hello: null });
  sendReestablish(s);
  if (hello) onReestablish(s, hello);
}

function onLinkUp(s) {
  const c = s.c;
  c.link = { ...noLink(), up: true };
  if (c.me === 0 && !c.heard && talks(c))
    s.sends.push({ type: "OpenConfirm", body: { channel: c.id, statement: c.statement } });
  greet(s);
}

// A side that came into a new epoch greets in it on the connection that is there.
function startEpochTalk(s) {
  const c = s.c, { up, hello } = c.link;
  c.link = { ...noLink(), up, hello: hello && hello.epoch >= c.epoch ? hello : null };
  greet(s);
}

// One that returns after another was seen: two copies of the peer run.
function lookAtInstance(s, instance) {
  const c = s.c;
  if (c.instances[0] === instance) return;
  if (c.instances.includes(instance)) return void freeze.freeze(s);
  c.instances = [instance, ...c.instances].slice(0, 4);
}

function lookAtProof(s, proof) {
  const c = s.c;
  if (!proof || proof.version < c.latest.version) return;
  const data = { id: c.id, epoch: c.epoch, version: proof.version, outcomeHash: proof.outcome_hash };
  const digest = k.digest(c.chain, "State", data);
  demand(k.verifies(digest, proof.signature, c.params.signer[c.me]), "a proof that does not verify");
  const what = proof.version <= c.highest ? knownContent(c, proof.version) : null;
  if (what && digestOf(c, proof.version, what) === digest) return;
  freeze.noteShown(s, proof.version);
  freeze.freeze(s);
}

function synced(s) {
  const c = s.c;
  c.link.waitFull = false;
  if (c.frozen || c.link.peerFrozen) return;
  c.link.synced = true;
  sayOutstanding(s);
  sendFunds(s);
}

function onReestablish(s, m) {
  const c = s.c;
  demand(c.link.up && c.agreed, "not agreed yet");
  c.heard = true;
  if (m.epoch > c.epoch || !c.link.said) {
    demand(!c.link.hello || c.link.hello.epoch !== m.epoch, "a second Reestablish");
    c.link.hello = m;
    return;
  }
  demand(!c.link.greeted, "a second Reestablish");
  c.link.greeted = true;
  lookAtInstance(s, m.instance);
  if (c.link.up) lookAtProof(s, m.proof);
  if (!c.link.up) return; // it froze just now
  c.link.peerFrozen = m.frozen;
  if (m.version > c.latest.version) {
    c.link.waitFull = true;
    return;
  }
  if (m.version < c.latest.version) {
    const { version, net, locksHash, sig } = c.latest;
    send(s, "FullState", { version, net, locks_hash: locksHash, signature_0: sig[0], signature_1: sig[1] });
  } else if (m.version > 0n && m.digest !== digestOf(c, m.version, c.latest)) {
    return void freeze.freeze(s);
  }
  synced(s);
}

function onFullState(s, m) {
  const c = s.c, what = { net: m.net, locksHash: m.locks_hash, locks: [] };
  demand(c.link.greeted && m.epoch === c.epoch, "before Reestablish, or a later epoch");
  if (m.version <= c.latest.version) return;
  const digest = digestOf(c, m.version, what), sig = [m.signature_0, m.signature_1];
  demand([0, 1].every((side) => k.verifies(digest, sig[side], c.params.signer[side])), "not co-signed");
  const theirs = sig[1 - c.me];
  if (c.resume.version && m.version > c.resume.version) freeze.noteShown(s, m.version); // it is void
  if (c.resume.version) return void onStateOfResume(s, m.version, what, theirs);
  if (c.out && m.version === c.out.version && sameContent(what, c.out)) {
    adopt(s, theirs);
    if (c.latest.version === m.version && c.link.waitFull) synced(s);
    return;
  }
  if (!c.frozen && c.old && m.version === c.old.version && sameContent(what, c.old)) {
    verifyPeer(s, m.version, what, theirs);
    return void dropLink(s, ERR.VIOLATION);
  }
  // Locks that are not known here cannot be read from their hash.
  if (what.locksHash === c.latest.locksHash) what.locks = content(c.latest).locks;
  if (what.locksHash === k.ZERO || what.locksHash === c.latest.locksHash) freeze.adoptShown(s, m.version, what, sig);
  else freeze.noteShown(s, m.version);
  freeze.freeze(s);
}

function onStateOfResume(s, version, what, theirs) {
  const c = s.c;
  if (version !== c.resume.version || !sameContent(what, c.latest)) return;
  freeze.adoptResume(s, theirs);
  dropLink(s, 0);
}

function onFunds(s, m) {
  const c = s.c;
  if (!c.link.greeted) return void unsynced(c);
  if (m.epoch === c.epoch) c.link.funds = [m.contribution_0, m.contribution_1];
}

module.exports = { greet, onFullState, onFunds, onLinkUp, onReestablish, sendFunds, startEpochTalk };
