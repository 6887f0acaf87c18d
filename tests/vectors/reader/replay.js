// A dialogue of proto/vectors/dialogues, played again: every event goes to this reader's own engine, and all that comes out
// must be what is written there, message for message and byte for byte.
"use strict";
const assert = require("assert");
const k = require("./crypto.js");
const wire = require("./wire.js");
const engine = require("./engine.js");
const { Chain } = require("./chain.js");
const { noLink } = require("./state.js");

// Every number as text, so that what JSON and BigInt say can be compared.
const text = (value) => JSON.parse(JSON.stringify(value, (_key, v) => (["number", "bigint"].includes(typeof v) ? String(v) : v)));
const same = (mine, theirs, what) => assert.deepStrictEqual(text(mine), text(theirs), what);
const big = (value) => JSON.parse(JSON.stringify(value), (_key, v) => (typeof v === "string" && /^-?\d+$/.test(v) ? BigInt(v) : v));

// What must be on disk of a channel: not the connection, nor what the chain shows again.
function durable(c) {
  if (!c) return "";
  const about = Object.entries(c.about).filter(([, a]) => a.want || a.preimage || a.since)
    .map(([lock, a]) => [lock, a.want, a.preimage, a.since]);
  return JSON.stringify(text({ ...c, link: null, queue: null, about }));
}

// A process that starts again knows neither the connection nor the chain's word on its hashes.
function started(c) {
  const again = structuredClone(c);
  again.link = noLink();
  for (const about of Object.values(again.about)) Object.assign(about, { looked: false, atHead: 0n, atFinal: 0n, tried: 0n });
  return again;
}

class Replay {
  constructor(dialogue) {
    this.d = dialogue;
    this.mail = [[], []];
    this.history = [];
    this.trusting = false; // true: what was not sent is heard, too
    this.sides = dialogue.sides.map((keys, i) => {
      assert.equal(k.publicKey(keys.nodeKey), keys.nodeId);
      return { keys, chain: dialogue.chain, peer: dialogue.sides[1 - i].nodeId, asked: null, channel: null, instance: keys.instance };
    });
  }
  // As it stands, to try something else.
  fork() {
    const copy = Object.assign(Object.create(Replay.prototype), this);
    copy.sides = this.sides.map((side) => ({ ...side }));
    copy.mail = this.mail.map((list) => [...list]);
    copy.history = [...this.history];
    copy.chain = null; // messages do not look at it
    return copy;
  }
  env(step) {
    const { freshness, margin } = this.d.settings;
    const { now, headTime, finalTime } = step;
    return { ...big({ freshness, margin, now, headTime, finalTime }), instance: this.sides[step.side].instance };
  }
  run(step) {
    if (step.event === "open") this.open(step);
    else if (step.event === "transaction") this.transaction(step);
    else if (["restart", "restore"].includes(step.event)) this.start(step);
    else this.take(step);
    const channel = this.sides[step.side].channel;
    if (step.after) same(engine.stand(channel), step.after, "where it stands");
    this.history.push(channel);
  }
  open(step) {
    const { nonce, signer, payout, ...terms } = step.sends[0].message.OpenRequest;
    const bytes = engine.ask(this.sides[step.side], big(terms));
    assert.ok(nonce && signer && payout);
    same(bytes, step.sends[0].bytes, "the request");
    this.mail[step.side].push(bytes);
  }
  start(step) {
    const side = this.sides[step.side], from = step.event === "restore" ? this.history[step.step] : side.channel;
    side.channel = started(from);
    side.instance = step.instance;
  }
  transaction(step) {
    this.chain = this.chain || new Chain(this.sides[0].channel);
    const [[name, call]] = Object.entries(step.call);
    this.chain.apply(name, big(call), this.d.sides[step.side].payout, BigInt(step.value), BigInt(step.headTime));
    same(this.chain.transfers, step.transfers || [], "what is paid out");
    const { ended, ...storage } = this.chain.view();
    assert.ok(!ended || !storage.dispute);
    if (step.storage) same(storage, step.storage, "the storage");
  }
  // A message comes in the order in which it was sent, unless it is a forgery; what is between was lost.
  receive(step) {
    if (step.message) same(wire.plain(decoded(step.bytes)), step.message, "the decoded message");
    const mail = this.mail[1 - step.side], at = mail.indexOf(step.bytes);
    if (step.forged || this.trusting) return;
    assert.ok(at >= 0, "nobody sent this message");
    mail.splice(0, at + 1);
  }
  take(step) {
    const side = this.sides[step.side], before = side.channel;
    if (step.event === "message") this.receive(step);
    if (step.event === "disconnect") this.mail[step.side] = [];
    if (step.event === "chain" && this.chain) {
      same(step.head, this.chain.view(), "the head");
      assert.ok(this.chain.past.includes(JSON.stringify(step.final)), "the final view");
    }
    const got = engine.take(side, this.env(step), step);
    same(got.code, step.refused || 0, `the answer (${got.why || "accepted"})`);
    if (got.code !== 0) return;
    side.channel = got.channel;
    for (const part of ["sends", "signs", "payments", "calls"]) {
      const theirs = text(step[part] || []);
      for (const sent of theirs) delete sent.carries;
      same(got[part], theirs, part);
    }
    same(got.drops, step.drops === undefined ? null : step.drops, "the connection");
    if (durable(before) !== durable(got.channel)) assert.ok(step.durable, "what must be durable");
    for (const sent of step.sends || []) this.check(sent);
    this.mail[step.side].push(...(step.sends || []).map((sent) => sent.bytes));
  }
  // Every signature in a message is on what the dialogue says it is on.
  check(sent) {
    const signatures = JSON.stringify(sent.message).match(/0x[0-9a-f]{128}(?=")/g) || [];
    same(sent.carries.map((c) => c.signature).sort(), signatures.sort(), "the signatures carried");
    for (const c of sent.carries) {
      assert.equal(k.digest(this.d.chain, c.type, c.data), c.digest);
      if (c.outcome) assert.equal(k.outcomeHash(c.outcome), c.data.outcomeHash);
      const keys = this.d.sides[c.signer], key = c.type === "OpenStatement" ? keys.nodeKey : keys.channelKey;
      assert.ok(k.verifies(c.digest, c.signature, k.addressOf(k.publicKey(key))));
    }
    same(wire.plain(decoded(sent.bytes)), sent.message, "the decoded message");
  }
}

function decoded(bytes) {
  const { type, body } = wire.decode(bytes);
  return { [type]: body };
}

module.exports = { Replay };
