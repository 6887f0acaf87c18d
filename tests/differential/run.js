#!/usr/bin/env node
// Random operations on the C model and on the real contract: every outcome with its reason, every event, every storage
// slot, every balance and credit must agree, and the daemon's adapter must encode each call as ethers does. The chain node
// that tests have in place of a real one is asked the same, and must answer the same.
//   run.js --model PROGRAM --node PROGRAM [--seed S] [--each N] [--ops N] [--break]
// Goes on until every function has succeeded and has been refused N times each (default 100; items of a batch count one
// by one), and for at least --ops operations. Prints a line a function, then
// `differential: seed=S ops=N mismatches=M`, and TAP. With --break the model's clock and the node's are a second ahead, and
// the test is that both are noticed.
"use strict";
const fs = require("fs");
const os = require("os");
const path = require("path");
const { randomBytes } = require("crypto");
const { World } = require("./world");
const { Generator, FUNCTIONS } = require("./generate");

const option = (name, otherwise) => {
  const i = process.argv.indexOf(name);
  return i < 0 ? otherwise : process.argv[i + 1];
};
const [model, node] = [option("--model"), option("--node")];
const seed = BigInt(option("--seed", "0x" + randomBytes(4).toString("hex")));
const each = Number(option("--each", "100"));
const least = Number(option("--ops", "0"));
const broken = process.argv.includes("--break");
const SWEEP = 200; // operations between two comparisons of everything
const MOST = 400 * each; // operations: more means that the generator does not get anywhere

// How often a function succeeded and was refused.
const tally = Object.fromEntries(FUNCTIONS.map((fn) => [fn, { ok: 0, refused: 0, reasons: {} }]));

function count(op, { refused, events }) {
  const t = tally[op.fn];
  const because = (reason) => {
    t.refused++;
    t.reasons[reason] = (t.reasons[reason] || 0) + 1;
  };
  if (refused) return because(refused);
  const skipped = op.batch === "skip" ? events.filter((e) => e.kind === "Skipped") : [];
  skipped.forEach((e) => because(e.reason));
  t.ok += op.batch === "skip" ? op.calls.length - skipped.length : 1;
}

// Where a function has nothing to work on: what brings the channels forward.
const OTHERWISE = ["depositNative", "deposit", "challenge", "settle", "close", "closeBatch"];

async function next(g) {
  const behind = FUNCTIONS.filter((fn) => tally[fn].ok < each || tally[fn].refused < each);
  const fn = g.r.pick(behind.length ? behind : FUNCTIONS);
  const t = tally[fn];
  const want = t.ok < each && t.refused < each ? g.r.chance(60) : t.ok < each || (t.refused >= each && g.r.chance(50));
  const op = await g[fn](want);
  if (op) return op;
  for (;;) {
    const other = await g[g.r.pick(OTHERWISE)](true);
    if (other) return other;
  }
}

const done = (w) => w.ops >= least && FUNCTIONS.every((fn) => tally[fn].ok >= each && tally[fn].refused >= each);

async function play(w) {
  const g = new Generator(w, seed);
  await g.setScene();
  while (!done(w) && w.ops < MOST + least && w.mismatches.length < 20) {
    const op = await next(g);
    count(op, await w.run(op));
    if (op.after) await op.after();
    if (w.ops % SWEEP === 0) await w.sweep();
    if (w.ops % (5 * SWEEP) === 0) console.log(`# ${w.ops} operations`);
  }
  await w.sweep();
}

function report(w) {
  if (broken) {
    console.log(`${w.mismatches.length ? "ok" : "not ok"} differential: a model with another clock is noticed`);
    console.log(`${w.misshown.length ? "ok" : "not ok"} differential: a node with another clock is noticed`);
    return w.mismatches.length > 0 && w.misshown.length > 0;
  }
  for (const fn of FUNCTIONS) {
    const { ok, refused, reasons } = tally[fn];
    const why = Object.entries(reasons).sort().map(([r, n]) => `${r} ${n}`).join(", ");
    console.log(`differential: ${fn} ok=${ok} refused=${refused} (${why})`);
  }
  console.log(`differential: seed=${seed} ops=${w.ops} mismatches=${w.mismatches.length}`);
  w.misencoded.slice(0, 5).forEach((m) => console.log(`# ${m}`));
  console.log(`${w.misencoded.length ? "not ok" : "ok"} differential: the adapter encodes calls as ethers does (${w.encoded} equal)`);
  const gas = w.gas.sort((a, b) => a.ratio - b.ratio), least = gas[0], most = gas[gas.length - 1];
  const near = least.ratio > 0.5 && most.ratio < 2;
  console.log(`# the node's gas is ${least.ratio.toFixed(2)} (${least.fn}) to ${most.ratio.toFixed(2)} (${most.fn}) of the contract's`);
  console.log(`${near ? "ok" : "not ok"} differential: the chain node in memory takes about the contract's gas`);
  w.misshown.slice(0, 20).forEach((m) => console.log(`# ${m}`));
  console.log(`${w.misshown.length ? "not ok" : "ok"} differential: the chain node in memory shows what anvil shows`);
  w.mismatches.forEach((m) => console.log(`# ${m}`));
  console.log(`${w.mismatches.length ? "not ok" : "ok"} differential: model and contract agree`);
  console.log(`${done(w) ? "ok" : "not ok"} differential: each function succeeded and was refused ${each} times`);
  return w.mismatches.length === 0 && w.misencoded.length === 0 && w.misshown.length === 0 && near && done(w);
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "differential-"));
  const w = await World.start(model, node, folder);
  w.modelAhead = broken ? 1n : 0n;
  const end = () => {
    w.close();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  try {
    await play(w);
    process.exitCode = report(w) ? 0 : 1;
  } catch (error) {
    console.log(`not ok differential: seed=${seed} ops=${w.ops}: ${error.stack}`);
    process.exitCode = 1;
  } finally {
    end();
  }
}

main();
