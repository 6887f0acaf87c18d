// Shows that the reader can fail: a byte of each message is another one, as it was sent and as it came.
"use strict";
const assert = require("assert");
const { Replay } = require("./replay.js");

const PLACES = 4; // bytes that are tried in each message

function flipped(bytes, at) {
  const place = 2 + 2 * at, value = parseInt(bytes.slice(place, place + 2), 16) ^ 1;
  return bytes.slice(0, place) + value.toString(16).padStart(2, "0") + bytes.slice(place + 2);
}

// The last byte of each quarter.
const places = (bytes) => Array.from({ length: PLACES }, (_, i) => Math.floor((bytes.length / 2 - 1) * (i + 1) / PLACES) - 1);

function notices(replay, step) {
  try {
    replay.run(step);
  } catch (error) {
    assert.ok(error instanceof assert.AssertionError || error.code === 5, error);
    return true;
  }
  return false;
}

// What differs, and whether it is noticed.
function* trials(replay, step) {
  for (const [i, sent] of (step.sends || []).entries()) {
    for (const at of places(sent.bytes)) {
      const sends = step.sends.map((other, j) => (i === j ? { ...sent, bytes: flipped(sent.bytes, at) } : other));
      yield [`byte ${at} of a sent ${Object.keys(sent.message)[0]}`, notices(replay.fork(), { ...step, sends })];
      if (step.event === "open") break;
    }
  }
  if (step.refused) yield ["the number of a refusal", notices(replay.fork(), { ...step, refused: step.refused + 1 })];
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
    for (const [what, seen] of trials(replay, step)) {
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
// ignored anyway does not count.
function receiverAlone(dialogue) {
  const replay = new Replay(dialogue), missed = [], stood = [null, null];
  let tried = 0;
  for (const [number, step] of dialogue.steps.entries()) {
    const after = JSON.stringify(step.after), idle = !step.sends && !step.drops && stood[step.side] === after;
    const type = step.event === "message" && !step.forged && SIGNED[parseInt(step.bytes.slice(2, 6), 16)];
    stood[step.side] = after;
    for (const at of type && !idle ? places(step.bytes) : []) {
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
