// Plays proto/vectors' dialogues and handshake again: node main.js FOLDER (TAP).
"use strict";
const assert = require("assert");
const fs = require("fs");
const path = require("path");
const { Replay } = require("./replay.js");
const { breakAll, flipped, receiverAlone } = require("./broken.js");
const { transport } = require("./transport.js");

const folder = process.argv[2];
const read = (...name) => JSON.parse(fs.readFileSync(path.join(folder, ...name)));
const names = fs.readdirSync(path.join(folder, "dialogues")).sort();

function difference({ actual, expected }) {
  try {
    assert.deepStrictEqual(actual, expected);
    return [];
  } catch (error) {
    return error.message.split("\n");
  }
}

function test(name, run) {
  try {
    console.log(`ok ${name}: ${run()}`);
  } catch (error) {
    console.log(`not ok ${name}\n# ${[...difference(error), ...error.stack.split("\n")].slice(0, 60).join("\n# ")}`);
    process.exitCode = 1;
  }
}

function play(dialogue) {
  const replay = new Replay(dialogue);
  for (const [number, step] of dialogue.steps.entries()) {
    try {
      replay.run(step);
    } catch (error) {
      error.stack = `step ${number}, ${step.event} at side ${step.side} ${step.forged || ""}\n${error.stack}`;
      throw error;
    }
  }
  return `${dialogue.steps.length} steps`;
}

function none(results) {
  const missed = results.flatMap(([name, { missed: list }]) => list.map((what) => `${name}, ${what}`));
  if (missed.length) throw new Error(`not noticed:\n${missed.join("\n")}`);
  return `${results.reduce((sum, [, { tried }]) => sum + tried, 0)} bytes changed`;
}

// A byte of each act is another one; what is to be refused is as it should be, or for another reason.
function* brokenTransports(v) {
  for (const act of ["act1", "act2", "act3"])
    for (let at = 0; at < v[act].length / 2 - 1; at++) yield [`byte ${at} of ${act}`, { ...v, [act]: flipped(v[act], at) }];
  for (const [i, refused] of v.refusedActs.entries()) {
    const others = [{ bytes: v[`act${refused.act}`] }, { error: "ACT4_BAD_TAG" }];
    for (const other of others)
      yield [`refused act ${i}`, { ...v, refusedActs: v.refusedActs.with(i, { ...refused, ...other }) }];
  }
  const good = [v.initiatorToResponder[0].frame];
  for (const [i, refused] of v.refusedFrames.entries())
    yield [`refused frame ${i}`, { ...v, refusedFrames: v.refusedFrames.with(i, { ...refused, frames: good }) }];
}

function brokenTransport() {
  let tried = 0;
  for (const [what, broken] of brokenTransports(read("transport.json"))) {
    tried++;
    try {
      transport(broken);
    } catch (_error) {
      continue;
    }
    throw new Error(`not noticed: ${what}`);
  }
  return `${tried} changes`;
}

// README.md says of each dialogue what it is for, and of none that is not there.
function named() {
  const text = fs.readFileSync(path.join(folder, "README.md"), "utf8"), all = names.map((name) => name.replace(".json", ""));
  for (const name of all) assert.ok(text.includes(`\`${name}\``), `README.md does not name ${name}`);
  for (const [, name] of text.matchAll(/`([a-z]+(?:-[a-z]+)+)`/g)) assert.ok(all.includes(name), `there is no dialogue ${name}`);
  return `${all.length} dialogues`;
}

test("README", named);
test("transport", () => `handshake, frames, a change of keys; ${transport(read("transport.json"))} refusals`);
test("transport notices a broken vector", brokenTransport);
for (const name of names) test(`dialogue ${name.replace(".json", "")}`, () => play(read("dialogues", name)));
test("dialogues: notices a broken vector", () => none(names.map((name) => [name, breakAll(read("dialogues", name))])));
test("dialogues: a receiver alone notices one", () => none(names.map((name) => [name, receiverAlone(read("dialogues", name))])));
