// A dialogue of proto/vectors/dialogues, played again: every event goes to this reader's own engine, and all that comes out
// must be what is written there, message for message and byte for byte.
"use strict";
const assert = require("assert");
const { isDeepStrictEqual } = require("util");
const k = require("./crypto.js");
const wire = require("./wire.js");
const engine = require("./engine.js");
const { Chain } = require("./chain.js");
const freeze = require("./freeze.js");
const { noLink } = require("./state.js");

// Every number as text, so that what JSON and BigInt say can be compared.
const asText = (_key, v) => (["number", "bigint"].includes(typeof v) ? String(v) : v);
const text = (value) => JSON.parse(JSON.stringify(value ?? null, asText));
// What differs is worked out by who shows it (main.js): most of these errors are wanted (broken.js).
function same(mine, theirs, what) {
  const actual = text(mine), expected = text(theirs);
  if (!isDeepStrictEqual(actual, expected)) throw new assert.AssertionError({ message: what, actual, expected });
}
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

// One channel of the two.
function seat(dialogue, keys) {
  return { mail: [[], []], history: [], chain: null, past: [], sides: keys.map((own, i) => {
    assert.equal(k.publicKey(own.nodeKey), own.nodeId);
    return { keys: own, chain: dialogue.chain, peer: keys[1 - i].nodeId, asked: null, channel: null, instance: own.instance };
  }) };
}

class Replay {
  constructor(dialogue) {
    this.d = dialogue;
    this.trusting = false; // true: what was not sent is heard, too
    this.seats = [dialogue.sides, dialogue.second].filter(Boolean).map((keys) => seat(dialogue, keys));
    this.revealed = new Map();
  }
  // As it stands, to try something else.
  fork() {
    const copy = Object.assign(Object.create(Replay.prototype), this);
    copy.seats = this.seats.map((at) => ({ ...at, sides: at.sides.map((side) => ({ ...side })),
      mail: at.mail.map((list) => [...list]), history: [...at.history], past: [...at.past],
      chain: at.chain && at.chain.copy() }));
    copy.revealed = new Map(this.revealed);
    for (const at of copy.seats) if (at.chain) at.chain.revealed = copy.revealed;
    return copy;
  }
  env(step) {
    const { freshness, margin } = this.d.settings;
    const { now, headTime, finalTime } = step;
    return { ...big({ freshness, margin, now, headTime, finalTime }), instance: this.side(step).instance };
  }
  at(step) {
    return this.seats[step.channel || 0];
  }
  side(step) {
    return this.at(step).sides[step.side];
  }
  run(step) {
    const at = this.at(step);
    if (step.event === "open") this.open(step);
    else if (step.event === "transaction") this.transaction(step);
    else if (step.event === "reorganisation") this.reorganise(step);
    else if (["restart", "restore", "backup"].includes(step.event)) this.start(step);
    else this.take(step);
    const channel = step.side === undefined ? null : this.side(step).channel;
    if (step.after) same(engine.stand(channel), step.after, "where it stands");
    for (const other of this.seats) {
      other.history.push(other === at ? channel : null);
      other.past.push(other.chain && { chain: other.chain.copy(), revealed: new Map(this.revealed) });
    }
  }
  open(step) {
    const { nonce, signer, payout, ...terms } = step.sends[0].message.OpenRequest;
    const bytes = engine.ask(this.side(step), big(terms));
    assert.ok(nonce && signer && payout);
    same(bytes, step.sends[0].bytes, "the request");
    same(false, step.durable, "nothing is at stake yet");
    this.at(step).mail[step.side].push(bytes);
  }
  start(step) {
    const side = this.side(step);
    if (step.event === "restore") side.channel = this.at(step).history[step.step];
    side.channel = step.event === "backup" ? freeze.fromBackup(side.channel) : started(side.channel);
    side.instance = step.instance;
  }
  // --- The chain ---
  chainOf(at) {
    at.chain = at.chain || new Chain(at.sides[0].channel, this.revealed);
    return at.chain;
  }
  transaction(step) {
    const at = this.at(step), chain = this.chainOf(at), [[name, call]] = Object.entries(step.call);
    const sender = step.side === undefined ? step.sender : at.sides[step.side].keys.payout;
    const others = this.seats.filter((other) => other !== at && other.sides[0].channel).map((other) => this.chainOf(other));
    const why = chain.call(name, big(call), { sender, value: BigInt(step.value), now: BigInt(step.headTime), others,
      answers: big(step.answers || []) });
    same(why, step.reverts || null, "whether it reverts");
    if (why) return;
    same(chain.transfers, step.transfers || [], "what is paid out");
    same(chain.asked, (step.answers || []).length, "how many contracts are asked");
    if (name === "reveal") return void assert.ok(!step.storage && this.isPending(step, k.sha256(call.preimage)));
    same(chain.storage(), step.storage, "the storage");
    if (name === "move") same(others[0].storage(), step.target, "the target's storage");
  }
  reorganise(step) {
    const at = this.at(step), was = at.past[step.step];
    this.revealed = was ? new Map(was.revealed) : new Map();
    const { seen } = at.chain;
    at.chain = was ? was.chain.copy() : new Chain(at.sides[0].channel, this.revealed);
    Object.assign(at.chain, { revealed: this.revealed, seen }); // a side may have seen what is taken back as the head
  }
  // Whether a lock that a side knows of has this hash.
  isPending(step, hash) {
    const known = this.at(step).sides.map((side) => side.channel);
    return known.some((c) => [c.latest, c.out, c.old].some((what) => what && what.locks.some((l) => l.payload === hash)));
  }
  // What a side is told of a hash is what the chain shows, at the final depth perhaps not yet.
  reveal(step) {
    assert.ok(this.isPending(step, step.hash), "a hash that no lock has");
    const when = String(this.revealed.get(step.hash) || 0);
    same(step.revealedAtHead, when, "when it was revealed");
    assert.ok(["0", when].includes(step.revealedFinally), "when it was revealed finally");
    if (step.preimage) same(k.sha256(step.preimage), step.hash, "the preimage");
  }
  // A message comes in the order in which it was sent, unless it is a forgery; what is between was lost.
  receive(step) {
    if (step.message) same(wire.plain(decoded(step.bytes)), step.message, "the decoded message");
    const mail = this.at(step).mail[1 - step.side], place = mail.indexOf(step.bytes);
    if (step.forged || this.trusting) return;
    assert.ok(place >= 0, "nobody sent this message");
    mail.splice(0, place + 1);
  }
  take(step) {
    const side = this.side(step), before = side.channel, { chain, mail } = this.at(step);
    if (step.event === "message") this.receive(step);
    if (step.event === "disconnect") mail[step.side] = [];
    if (step.event === "reveal" && chain) this.reveal(step);
    if (step.event === "chain" && chain) {
      same(step.head, chain.view(), "the head");
      assert.ok(chain.seen.has(JSON.stringify(step.final)), "the final view");
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
    const kept = durable(before) !== durable(got.channel) || got.payments.length > 0 || step.event === "deposit";
    same(kept, step.durable, "whether something must be durable");
    for (const sent of step.sends || []) this.check(sent, this.at(step).sides);
    mail[step.side].push(...(step.sends || []).map((sent) => sent.bytes));
  }
  // Every signature in a message is on what the dialogue says it is on.
  check(sent, sides) {
    const signatures = JSON.stringify(sent.message).match(/0x[0-9a-f]{128}(?=")/g) || [];
    same(sent.carries.map((c) => c.signature).sort(), signatures.sort(), "the signatures carried");
    for (const c of sent.carries) {
      assert.equal(k.digest(this.d.chain, c.type, c.data), c.digest);
      if (c.outcome) assert.equal(k.outcomeHash(c.outcome), c.data.outcomeHash);
      const { keys } = sides[c.signer], key = c.type === "OpenStatement" ? keys.nodeKey : keys.channelKey;
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
