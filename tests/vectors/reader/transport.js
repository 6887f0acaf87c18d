// proto/vectors/transport.json: both sides' handshake and the frames, from the keys there.
"use strict";
const assert = require("assert");
const k = require("./crypto.js");
const { Handshake, publicOf } = require("./noise.js");

const bytes = (text) => Buffer.from(text.slice(2), "hex");
const ecdh = (key, pub) => bytes(k.ecdh(k.hex(key), k.hex(pub)));
const hex = k.hex;

function party(keys, responder, prologue) {
  const self = { key: bytes(keys.nodeKey), ephemeral: bytes(keys.ephemeralKey) };
  assert.equal(hex(publicOf(self.key)), keys.nodeId);
  return new Handshake(self, bytes(responder), prologue, ecdh);
}

// Both directions' keys, as [initiator's, responder's] view of them.
function shake(v) {
  const { nodeId } = v.responder, a = party(v.initiator, nodeId, v.prologue), b = party(v.responder, nodeId, v.prologue);
  assert.equal(hex(a.write(bytes(nodeId))), v.act1);
  b.read(bytes(v.act1), b.self.key);
  assert.equal(hex(b.write(b.remote)), v.act2);
  a.read(bytes(v.act2), a.self.ephemeral);
  assert.equal(hex(a.finish()), v.act3);
  assert.equal(hex(b.accept(bytes(v.act3))), v.initiator.nodeId);
  return [a.split(), b.split()];
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

function transport(v) {
  const [a, b] = shake(v);
  frames(v.initiatorToResponder, a[0], b[0]);
  frames(v.responderToInitiator, b[1], a[1]);
}

module.exports = { transport };
