// Section 8: the handshake and the frames of BOLT 8 with another prologue, with Node's crypto.
"use strict";
const crypto = require("crypto");

const sha256 = (...parts) => crypto.createHash("sha256").update(Buffer.concat(parts)).digest();

function hkdf(salt, secret) {
  const both = Buffer.from(crypto.hkdfSync("sha256", secret, salt, "", 64));
  return [both.subarray(0, 32), both.subarray(32)];
}

function nonceOf(counter) {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(counter), 4);
  return nonce;
}

const OPTIONS = { authTagLength: 16 };

function seal(key, counter, associated, plain) {
  const cipher = crypto.createCipheriv("chacha20-poly1305", key, nonceOf(counter), OPTIONS);
  cipher.setAAD(associated, { plaintextLength: plain.length });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function open(key, counter, associated, sealed) {
  const cipher = crypto.createDecipheriv("chacha20-poly1305", key, nonceOf(counter), OPTIONS);
  cipher.setAAD(associated, { plaintextLength: sealed.length - 16 });
  cipher.setAuthTag(sealed.subarray(sealed.length - 16));
  return Buffer.concat([cipher.update(sealed.subarray(0, sealed.length - 16)), cipher.final()]);
}

// Compressed points only.
const isPoint = (bytes) => bytes.length === 33 && (bytes[0] === 2 || bytes[0] === 3);

// What is wrong with an act: "ACT1_BAD_TAG" and so on. The connection is closed without an answer then.
class BadAct extends Error {}

function demand(works, name) {
  try {
    const value = works();
    if (value !== false) return value;
  } catch (_error) { /* as if it were false */ }
  throw new BadAct(name);
}

// One side's handshake. The curve comes from outside: `ecdh(key, pub)` is sha256 of the compressed shared point.
class Handshake {
  constructor(self, responder, prologue, { ecdh, publicOf }) {
    Object.assign(this, { self, ecdh, publicOf });
    this.ck = sha256(Buffer.from("Noise_XK_secp256k1_ChaChaPoly_SHA256"));
    this.h = sha256(this.ck, Buffer.from(prologue));
    this.mix(responder);
  }
  mix(data) {
    this.h = sha256(this.h, data);
  }
  agree(key, pub) {
    [this.ck, this.temp] = hkdf(this.ck, this.ecdh(key, pub));
  }
  // Acts one and two: a fresh key, and a tag that shows who is meant.
  write(remote) {
    const pub = this.publicOf(this.self.ephemeral);
    this.mix(pub);
    this.agree(this.self.ephemeral, remote);
    const tag = seal(this.temp, 0, this.h, Buffer.alloc(0));
    this.mix(tag);
    return Buffer.concat([Buffer.from([0]), pub, tag]);
  }
  read(act, key, name) {
    demand(() => act.length === 50, `${name}_READ_FAILED`);
    demand(() => act[0] === 0, `${name}_BAD_VERSION`);
    this.remote = act.subarray(1, 34);
    this.mix(this.remote);
    demand(() => isPoint(this.remote) && this.agree(key, this.remote), `${name}_BAD_PUBKEY`);
    demand(() => open(this.temp, 0, this.h, act.subarray(34)), `${name}_BAD_TAG`);
    this.mix(act.subarray(34));
  }
  readAct1(act) {
    this.read(act, this.self.key, "ACT1");
  }
  readAct2(act) {
    this.read(act, this.self.ephemeral, "ACT2");
  }
  // Act three: who the initiator is.
  finish() {
    const sealed = seal(this.temp, 1, this.h, this.publicOf(this.self.key));
    this.mix(sealed);
    this.agree(this.self.key, this.remote);
    return Buffer.concat([Buffer.from([0]), sealed, seal(this.temp, 0, this.h, Buffer.alloc(0))]);
  }
  accept(act) {
    demand(() => act.length === 66, "ACT3_READ_FAILED");
    demand(() => act[0] === 0, "ACT3_BAD_VERSION");
    const node = demand(() => open(this.temp, 1, this.h, act.subarray(1, 50)), "ACT3_BAD_CIPHERTEXT");
    this.mix(act.subarray(1, 50));
    demand(() => isPoint(node) && this.agree(this.self.ephemeral, node), "ACT3_BAD_PUBKEY");
    demand(() => open(this.temp, 0, this.h, act.subarray(50)), "ACT3_BAD_TAG");
    return node;
  }
  // [initiator to responder, responder to initiator]
  split() {
    return hkdf(this.ck, Buffer.alloc(0)).map((key) => new Direction(key, this.ck));
  }
}

// The frames of one direction. A key encrypts 1000 times, twice for each frame.
class Direction {
  constructor(key, ck) {
    Object.assign(this, { key, ck, uses: 0 });
  }
  next() {
    if (this.uses === 1000) {
      [this.ck, this.key] = hkdf(this.ck, this.key);
      this.uses = 0;
    }
    return this.uses++;
  }
  seal(plain) {
    const length = Buffer.from([plain.length >> 8, plain.length & 255]), none = Buffer.alloc(0);
    const head = this.next(), first = seal(this.key, head, none, length), body = this.next();
    return Buffer.concat([first, seal(this.key, body, none, plain)]);
  }
  open(frame) {
    const none = Buffer.alloc(0), head = this.next(), length = open(this.key, head, none, frame.subarray(0, 18));
    if (length.readUInt16BE(0) !== frame.length - 34) throw new Error("another length");
    const body = this.next();
    return open(this.key, body, none, frame.subarray(18));
  }
}

module.exports = { BadAct, Handshake };
