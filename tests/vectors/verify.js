// Computes every value of proto/vectors again, from the inputs there and the text of proto/protocol.md, with ethers and
// Node's crypto. Nothing of ours is called.
"use strict";
const assert = require("assert");
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const { createRequire } = require("module");
const { AbiCoder, SigningKey, TypedDataEncoder, computeAddress, concat, getBytes, keccak256, recoverAddress, sha256, toBeHex } =
  createRequire(path.join(__dirname, "../../proto/evm/tools/chain.js"))("ethers");

const abi = AbiCoder.defaultAbiCoder();
const read = (name) => JSON.parse(fs.readFileSync(path.join(process.argv[2], `${name}.json`)));
const ZERO = "0x" + "00".repeat(32);
const TYPES = {
  State: "bytes32 id,uint16 epoch,uint64 version,bytes32 outcomeHash",
  Close: "bytes32 id,uint16 epoch,int112 net,uint40 validUntil",
  Withdraw: "bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil",
  Move: "bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil,bytes32 toId,uint16 toEpoch,uint8 toSide",
  Challenge: "bytes32 id,uint16 epoch,uint8 side,uint64 version,bytes32 outcomeHash,uint40 validUntil",
  Bounty: "bytes32 id,uint16 epoch,address beneficiary",
  OpenStatement: "bytes32 id,bytes32 paramsHash,uint8 side,address signer,bytes32 peerNode",
};
const fieldsOf = (type) => TYPES[type].split(",").map((f) => ({ type: f.split(" ")[0], name: f.split(" ")[1] }));

function ids() {
  const all = read("ids");
  for (const v of all) {
    assert.equal(keccak256(v.salt), v.tag);
    const paramsHash = keccak256(abi.encode(
      ["uint256", "address", "address", "address", "address", "address", "uint32", "uint96", "bytes32"],
      [v.chainId, v.adjudicator, v.signer0, v.signer1, v.payout0, v.payout1, v.challengePeriod, v.bond, v.tag]));
    assert.equal(paramsHash, v.paramsHash);
    assert.equal(keccak256(concat([paramsHash, v.asset])), v.id);
  }
  return all.length;
}

function secrets() {
  const all = read("secrets");
  const derive = (v, info) => "0x" + Buffer.from(
    crypto.hkdfSync("sha256", getBytes(v.ecdh), getBytes(concat([v.nonce0, v.nonce1])), info, 32)).toString("hex");
  for (const v of all) {
    assert.equal(derive(v, "channel/salt"), v.salt);
    assert.equal(derive(v, "channel/blind"), v.blindKey);
    const message = concat([Buffer.from("channel/outcome"), toBeHex(v.epoch, 2), toBeHex(v.version, 8)]);
    assert.equal("0x" + crypto.createHmac("sha256", getBytes(v.blindKey)).update(getBytes(message)).digest("hex"), v.blind);
  }
  return all.length;
}

function signed() {
  const { key0, key1, signed: all } = read("signed");
  for (const v of all) {
    const fields = fieldsOf(v.type);
    assert.deepEqual(Object.keys(v.message).sort(), fields.map((f) => f.name).sort());
    const domain = { name: "StateChannel", version: "1", chainId: v.chainId, verifyingContract: v.adjudicator };
    assert.equal(TypedDataEncoder.hash(domain, { [v.type]: fields }, v.message), v.digest);
    for (const [key, signature] of [[key0, v.signature0], [key1, v.signature1]]) {
      const sig = new SigningKey(key).sign(v.digest);
      assert.equal(concat([sig.r, sig.yParityAndS]), signature); // RFC 6979: one signature for a digest
      assert.equal(recoverAddress(v.digest, signature), computeAddress(new SigningKey(key).publicKey));
    }
  }
  assert.deepEqual([...new Set(all.map((v) => v.type))].sort(), Object.keys(TYPES).sort());
  assert(all.some((v) => v.type === "Close" && BigInt(v.message.net) < 0n));
  return all.length;
}

function outcomes() {
  const all = read("outcomes");
  for (const v of all) {
    assert.equal(sha256(v.preimage), v.preimageHash);
    const encoded = concat(v.locks.flatMap((l) => [toBeHex(l.amount, 14), toBeHex(l.payer, 1), toBeHex(l.expiry, 5), l.condition,
      toBeHex(l.gas, 4), toBeHex((l.payload.length - 2) / 2, 2), l.payload]));
    assert.equal(encoded, v.encoded);
    const locksHash = encoded === "0x" ? ZERO : keccak256(encoded);
    assert.equal(locksHash, v.locksHash);
    assert.equal(keccak256(abi.encode(["int112", "bytes32", "bytes32"], [v.net, locksHash, v.blind])), v.outcomeHash);
  }
  return all.length;
}

function payouts() {
  const all = read("payouts");
  for (const v of all) {
    const total = BigInt(v.contribution0) + BigInt(v.contribution1);
    let p0 = BigInt(v.contribution0) - BigInt(v.net);
    p0 = p0 < 0n ? 0n : p0 > total ? total : p0;
    assert.equal(v.paid0, String(p0));
    assert.equal(v.paid1, String(total - p0));
  }
  assert(all.some((v) => BigInt(v.net) < 0n));
  return all.length;
}

for (const check of [ids, secrets, signed, outcomes, payouts]) {
  try {
    console.log(`ok vectors: ${check.name}, ${check()} cases, as ethers computes them`);
  } catch (error) {
    console.log(`not ok vectors: ${check.name}\n# ${error.message.split("\n").join("\n# ")}`);
    process.exitCode = 1;
  }
}
