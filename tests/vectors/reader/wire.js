// The messages of proto/peer.proto, read from that file: one strict decoder and encoder for all of them, then the ranges
// that protobuf cannot express. Bytes are hex strings, integers BigInt, amounts and nets too.
"use strict";
const fs = require("fs");
const path = require("path");

const TYPES = {
  98: "Error", 100: "OpenRequest", 102: "OpenAccept", 104: "OpenConfirm", 106: "Funds", 108: "Reestablish", 110: "Update",
  112: "FullState", 114: "Close", 116: "Withdraw", 120: "Resume",
};
const NUMBERS = Object.fromEntries(Object.entries(TYPES).map(([number, name]) => [name, Number(number)]));
const MOST = (1n << 111n) - 1n;
const FORMAT = 5;

class Refused extends Error {
  constructor(code, why) {
    super(`refused with ${code}: ${why}`);
    this.code = code;
  }
}
const bad = (why) => { throw new Refused(FORMAT, why); };
const check = (condition, why) => { if (!condition) bad(why); };

// --- The schema ---

// {Name: [{name, number, rule, type, group}]}; nested messages stand beside the others, as their names differ.
function parse(text) {
  const schema = {}, stack = [];
  for (const raw of text.split("\n")) {
    const line = raw.replace(/\/\/.*/, "").trim();
    const open = line.match(/^(message|oneof) (\w+) \{(\})?$/);
    const field = line.match(/^(?:(required|optional|repeated) )?(\w+) (\w+) = (\d+);$/);
    if (open && open[1] === "message") schema[open[2]] = [];
    if (open && !open[3]) stack.push({ kind: open[1], name: open[2] });
    if (line === "}") stack.pop();
    if (!field || field[2] === "reserved") continue;
    const top = stack[stack.length - 1], owner = stack.filter((s) => s.kind === "message").pop();
    schema[owner.name].push({ rule: field[1] || "oneof", type: field[2], name: field[3], number: Number(field[4]),
      group: top.kind === "oneof" ? top.name : null });
  }
  for (const fields of Object.values(schema)) fields.sort((a, b) => a.number - b.number);
  return schema;
}

const SCHEMA = parse(fs.readFileSync(path.join(__dirname, "../../../proto/peer.proto"), "utf8"));

// --- Values in bytes fields, by the field's name ---

const sized = (names, size) => Object.fromEntries(names.split(" ").map((name) => [name, size]));
const SIZES = {
  ...sized("channel nonce request instance digest outcome_hash locks_hash params_hash lock", 32),
  ...sized("statement signature signature_0 signature_1", 64),
  ...sized("adjudicator payout asset condition", 20), signer: 33,
};
const AMOUNTS = new Set("bond deposit_0 deposit_1 lock_dust lock_in_flight amount".split(" "));
const NETS = new Set("net contribution_0 contribution_1".split(" "));
const hex = (bytes) => "0x" + Buffer.from(bytes).toString("hex");
const number = (bytes) => (bytes.length ? BigInt(hex(bytes)) : 0n);

function valueOf(name, bytes) {
  if (name in SIZES) check(bytes.length === SIZES[name], `${name} has ${bytes.length} bytes`);
  if (AMOUNTS.has(name)) {
    check(bytes.length <= 14 && bytes[0] !== 0 && number(bytes) <= MOST, `${name} is no amount`);
    return number(bytes);
  }
  if (NETS.has(name)) {
    check(bytes.length === 14, `${name} has ${bytes.length} bytes`);
    const net = BigInt.asIntN(112, number(bytes));
    check(net >= -MOST, `${name} is too low`);
    return net;
  }
  if (name === "id") {
    check(bytes.length >= 1 && bytes.length <= 64 && bytes.every((b) => b >= 0x21 && b <= 0x7e), "a bad payment id");
    return Buffer.from(bytes).toString("latin1");
  }
  if (name === "payload") check(bytes.length <= 64, "too much payload");
  if (name === "preimage") check(bytes.length === 0 || bytes.length === 32, "a preimage of another size");
  return hex(bytes);
}

function bytesOf(name, value) {
  if (AMOUNTS.has(name)) {
    const digits = value.toString(16);
    return value === 0n ? Buffer.alloc(0) : Buffer.from(digits.length % 2 ? "0" + digits : digits, "hex");
  }
  if (NETS.has(name)) return Buffer.from(BigInt.asUintN(112, value).toString(16).padStart(28, "0"), "hex");
  return name === "id" ? Buffer.from(value, "latin1") : Buffer.from(value.slice(2), "hex");
}

// --- Protobuf ---

class Input {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  varint() {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      check(this.at < this.bytes.length && shift < 70n, "a number is cut or too long");
      const byte = this.bytes[this.at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte & 0x80) continue;
      check((byte !== 0 || shift === 0n) && value < 1n << 64n, "a number in more bytes than it needs");
      return value;
    }
  }
  take() {
    const length = Number(this.varint());
    check(length <= this.bytes.length - this.at, "cut");
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}

const WIRE = { uint32: 0, uint64: 0, bool: 0 };

function readField(input, field) {
  if (field.type in WIRE) {
    const value = input.varint();
    const limit = { bool: 2n, uint32: 1n << 32n, uint64: 1n << 64n }[field.type];
    check(value < limit, `${field.name} is too large`);
    return field.type === "bool" ? value === 1n : value;
  }
  const bytes = input.take();
  if (field.type === "bytes") return valueOf(field.name, bytes);
  if (field.type !== "string") return readMessage(field.type, bytes);
  check(bytes.length <= 200 && !bytes.includes(0), "a bad text");
  return Buffer.from(bytes).toString("latin1");
}

function readMessage(type, bytes) {
  const input = new Input(bytes), out = {};
  let last = 0;
  while (input.at < bytes.length) {
    const tag = input.varint(), field = SCHEMA[type].find((f) => BigInt(f.number) === tag >> 3n);
    check(field, `${type} has no field ${tag >> 3n}`);
    check(Number(tag & 7n) === (field.type in WIRE ? 0 : 2), `${field.name} has another wire type`);
    check(field.number > last || (field.number === last && field.rule === "repeated"), `${field.name} is out of place`);
    last = field.number;
    const value = readField(input, field);
    if (field.rule === "repeated") (out[field.name] = out[field.name] || []).push(value);
    else out[field.name] = value;
  }
  for (const f of SCHEMA[type]) check(f.rule !== "required" || f.name in out, `${f.name} is missing`);
  const groups = SCHEMA[type].filter((f) => f.group && f.name in out).map((f) => f.group);
  check(new Set(groups).size === groups.length, "two of one");
  if (type in RANGES) RANGES[type](out);
  common(out);
  return out;
}

function varint(value) {
  const out = [];
  for (; value > 0x7fn; value >>= 7n) out.push(Number(value & 0x7fn) | 0x80);
  return Buffer.from([...out, Number(value)]);
}

function writeField(field, value) {
  const tag = varint(BigInt(field.number << 3 | (field.type in WIRE ? 0 : 2)));
  if (field.type in WIRE) return Buffer.concat([tag, varint(BigInt(value))]);
  const body = field.type === "bytes" ? bytesOf(field.name, value)
    : field.type === "string" ? Buffer.from(value, "latin1") : writeMessage(field.type, value);
  return Buffer.concat([tag, varint(BigInt(body.length)), body]);
}

function writeMessage(type, message) {
  return Buffer.concat(SCHEMA[type].filter((f) => f.name in message).flatMap((f) =>
    (f.rule === "repeated" ? message[f.name] : [message[f.name]]).map((value) => writeField(f, value))));
}

// --- Ranges ---

function common(m) {
  if ("epoch" in m) check(m.epoch < 1n << 16n, "epoch");
  if ("seq" in m) check(m.seq < (1n << 15n) - 1n, "seq");
  if ("side" in m) check(m.side <= 1n, "side");
  for (const time of ["valid_until", "expiry"]) if (time in m) check(m[time] < 1n << 40n, time);
}

const some = (m) => check(m.amount > 0n, "an amount of zero");
const versioned = (m) => check(m.version > 0n, "version 0");
const RANGES = {
  OpenRequest: (m) => check(m.bond < 1n << 96n && m.lock_count <= 128n && m.lock_payload <= 8192n, "terms"),
  Reestablish: (m) => check(m.version > 0n || BigInt(m.digest) === 0n, "a digest for version 0"),
  Proof: versioned, Accept: versioned, FullState: versioned,
  Proposal(m) {
    versioned(m);
    check(m.op && m.op.length <= 512, "no operations, or too many");
  },
  Refusal(m) {
    versioned(m);
    check(m.op < 512n, "the operation's index");
  },
  Update: (m) => check("accept" in m || "proposal" in m || "refusal" in m, "an empty update"),
  Op: (m) => check(Object.keys(m).length === 1, "an empty operation"),
  Pay: some, Reserve: some, Withdraw: some,
  LockAdd(m) {
    some(m);
    check(BigInt(m.condition) !== 0n || (m.gas === 0n && m.payload.length === 66), "a hash lock with gas or another payload");
  },
  Resume: (m) => check(m.version > m.base, "a resume at or below its base"),
};

// {type, body}, or null for a message to be ignored.
function decode(text) {
  const bytes = Buffer.from(text.slice(2), "hex");
  check(bytes.length >= 2 && bytes.length <= 65535, "the length");
  const type = bytes[0] << 8 | bytes[1];
  if (!(type in TYPES)) {
    check(type % 2 === 1, "an unknown even type");
    return null;
  }
  return { type: TYPES[type], body: readMessage(TYPES[type], bytes.subarray(2)) };
}

const encode = (type, body) => hex(Buffer.concat([Buffer.from([0, NUMBERS[type]]), writeMessage(type, body)]));

// As JSON has it: every integer a decimal string.
const plain = (value) => JSON.parse(JSON.stringify(value, (_key, v) => (typeof v === "bigint" ? v.toString() : v)));

module.exports = { Refused, decode, encode, plain };
