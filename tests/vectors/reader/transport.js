// proto/vectors/transport.json: both sides' handshake and the frames, from the keys there.
"use strict";
const assert = require("assert");
const k = require("./crypto.js");
const { BadAct, Handshake } = require("./noise.js");

const bytes = (text) => Buffer.from(text.slice(2), "hex");
const ecdh = (key, pub) => bytes(k.ecdh(k.hex(key), k.hex(pub)));
const publicOf = (key) => bytes(k.publicKey(k.hex(key)));
const hex = k.hex;

function party(keys, responder, prologue) {
  const self = { key: bytes(keys.nodeKey), ephemeral: bytes(keys.ephemeralKey) };
  assert.equal(k.publicKey(keys.nodeKey), keys.nodeId);
  return new Handshake(self, bytes(responder), prologue, { ecdh, publicOf });
}

const both = (v) => [v.initiator, v.responder].map((keys) => party(keys, v.responder.nodeId, v.prologue));

// The acts before number `until` (1 to 3, 4 for all).
function shake(v, a, b, until) {
  if (until <= 1) return;
  assert.equal(hex(a.write(bytes(v.responder.nodeId))), v.act1);
  b.readAct1(bytes(v.act1));
  if (until <= 2) return;
  assert.equal(hex(b.write(b.remote)), v.act2);
  a.readAct2(bytes(v.act2));
  if (until <= 3) return;
  assert.equal(hex(a.finish()), v.act3);
  assert.equal(hex(b.accept(bytes(v.act3))), v.initiator.nodeId);
}

// Frames that are not shown have the plain text of those that are.
function frames(list, tx, rx) {
  let number = 0;
  for (const f of list) {
    for (; number < Number(f.number); number++) rx.open(tx.seal(bytes(f.plain)));
    assert.equal(hex(tx.seal(bytes(f.plain))), f.frame);
    assert.equal(hex(rx.open(bytes(f.frame))), f.plain);
    number++;
  }
}

function refusedAct(v, { act, bytes: text, error, why }) {
  const [a, b] = both(v), what = bytes(text);
  shake(v, a, b, act);
  const hear = [() => b.readAct1(what), () => a.readAct2(what), () => b.accept(what)];
  assert.throws(hear[act - 1], (got) => got instanceof BadAct && got.message === error, `act ${act}, ${why}`);
}

// The last one is refused.
function refusedFrames(v, { frames: list, why }) {
  const [a, b] = both(v), last = bytes(list[list.length - 1]);
  shake(v, a, b, 4);
  const rx = b.split()[0];
  for (const frame of list.slice(0, -1)) rx.open(bytes(frame));
  assert.throws(() => rx.open(last), (got) => !(got instanceof assert.AssertionError), why);
}

function transport(v) {
  const [a, b] = both(v);
  shake(v, a, b, 4);
  for (const refused of v.refusedActs) refusedAct(v, refused);
  for (const refused of v.refusedFrames) refusedFrames(v, refused);
  const [theirs, ours] = [a.split(), b.split()];
  frames(v.initiatorToResponder, theirs[0], ours[0]);
  frames(v.responderToInitiator, ours[1], theirs[1]);
  return v.refusedActs.length + v.refusedFrames.length;
}

module.exports = { transport };
