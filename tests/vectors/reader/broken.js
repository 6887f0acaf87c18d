// Shows that the reader can fail: a byte of each message is another one, as it was sent and as it came, and so is what a
// step says of what comes of it.
"use strict";
const assert = require("assert");
const { Replay } = require("./replay.js");
const wire = require("./wire.js");

const PLACES = 4; // bytes that are tried in each message

function flipped(bytes, at) {
  const place = 2 + 2 * at, value = parseInt(bytes.slice(place, place + 2), 16) ^ 1;
  return bytes.slice(0, place) + value.toString(16).padStart(2, "0") + bytes.slice(place + 2);
}

// The last byte of each quarter.
const places = (bytes) => Array.from({ length: PLACES }, (_, i) => Math.floor((bytes.length / 2 - 1) * (i + 1) / PLACES) - 1);

function notices(replay, step) {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0; // nobody reads them
  try {
    replay.run(step);
  } catch (error) {
    assert.ok(error instanceof assert.AssertionError || error.code === 5, error);
    return true;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return false;
}

// Every text, number and truth in a part of a step, as the way there.
function leaves(value, way = []) {
  if (typeof value !== "object" || value === null) return [way];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...way, key]));
}

const another = (value) => {
  if (typeof value !== "string") return typeof value === "boolean" ? !value : value + 1;
  if (value.startsWith("0x")) return value.length > 2 ? flipped(value, value.length / 2 - 2) : "0x00";
  return /^-?\d+$/.test(value) ? String(BigInt(value) + 1n) : value + "x";
};

function altered(value, [key, ...way]) {
  if (key === undefined) return another(value);
  const copy = Array.isArray(value) ? [...value] : { ...value };
  copy[key] = altered(value[key], way);
  return copy;
}

// What a step says of what came of it, and of the chain; of each part one place, another one in each step. Of messages
// `trials` changes the bytes.
const TOLD = ["signs", "durable", "payments", "calls", "drops", "after", "call", "value", "answers", "transfers",
  "storage", "target", "head", "final", "hash", "preimage", "revealedAtHead", "revealedFinally"];

// Of a call that a side sends itself the Adjudicator does not look at that side's own consent.
function looksAt({ call, side }, way) {
  const name = Object.keys(call)[0], own = name === "challenge" ? ["validUntil", "challengeSignature"] : [`signature${side}`];
  return name.startsWith("refute") || !own.includes(way[1]);
}

function* untruths(step, number) {
  const told = step.reverts ? ["reverts"] : TOLD.filter((name) => name in step);
  for (const part of told) {
    const ways = leaves(step[part]).filter((w) => part !== "call" || looksAt(step, w)), way = ways[number % ways.length];
    if (way) yield [`${[part, ...way].join(".")}`, { ...step, [part]: altered(step[part], way) }];
  }
  if (step.refused) yield ["the number of a refusal", { ...step, refused: step.refused + 1 }];
}

// What differs, and whether it is noticed.
function* trials(replay, step, number) {
  for (const [i, sent] of (step.sends || []).entries()) {
    for (const at of places(sent.bytes)) {
      const sends = step.sends.map((other, j) => (i === j ? { ...sent, bytes: flipped(sent.bytes, at) } : other));
      yield [`byte ${at} of a sent ${Object.keys(sent.message)[0]}`, notices(replay.fork(), { ...step, sends })];
      if (step.event === "open") break;
    }
  }
  for (const [what, other] of untruths(step, number)) yield [what, notices(replay.fork(), other)];
  if (step.event !== "message" || (step.forged && !step.message)) return;
  for (const at of places(step.bytes)) {
    const other = { ...step, bytes: flipped(step.bytes, at) };
    yield [`byte ${at} of a received message`, notices(replay.fork(), other)];
  }
}

// {tried, missed: [what]}
function breakAll(dialogue) {
  const replay = new Replay(dialogue), missed = [];
  let tried = 0;
  for (const [number, step] of dialogue.steps.entries()) {
    for (const [what, seen] of trials(replay, step, number)) {
      tried++;
      if (!seen) missed.push(`step ${number}: ${what}`);
    }
    replay.run(step);
  }
  return { tried, missed };
}

const SIGNED = { 102: "OpenAccept", 104: "OpenConfirm", 110: "Update", 112: "FullState", 114: "Close", 116: "Withdraw",
  120: "Resume" };

// The same without a look at what was sent: a receiver of a signed message refuses it, or answers, pays or stands
// otherwise than it should. (Hints, greetings and some of the terms are no more than the connection vouches for.) What is
// ignored anyway does not count, nor what no signature covers: a reservation, whose Withdraw is signed later, and why
// something is refused.
const vouched = (bytes) => JSON.stringify(wire.decode(bytes), (key, v) =>
  (["reserve", "reason"].includes(key) ? null : typeof v === "bigint" ? String(v) : v));

function covered(bytes, other) {
  try {
    return vouched(bytes) !== vouched(other);
  } catch (_error) {
    return true;
  }
}

function receiverAlone(dialogue) {
  const replay = new Replay(dialogue), missed = [], stood = [null, null];
  let tried = 0;
  for (const [number, step] of dialogue.steps.entries()) {
    const after = JSON.stringify(step.after), idle = !step.sends && !step.drops && stood[step.side] === after;
    const type = step.event === "message" && !step.forged && SIGNED[parseInt(step.bytes.slice(2, 6), 16)];
    stood[step.side] = after;
    for (const at of type && !idle ? places(step.bytes) : []) {
      if (!covered(step.bytes, flipped(step.bytes, at))) continue;
      const fork = replay.fork();
      fork.trusting = true;
      tried++;
      if (!notices(fork, { ...step, bytes: flipped(step.bytes, at) })) missed.push(`step ${number}: byte ${at} of ${type}`);
    }
    replay.run(step);
  }
  return { tried, missed };
}

module.exports = { breakAll, flipped, receiverAlone };
