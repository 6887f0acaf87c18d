// Sections 2, 3 and 6 of proto/protocol.md: ids, secrets, what is signed, signatures.
"use strict";
const crypto = require("crypto");
const path = require("path");
const { createRequire } = require("module");
const { AbiCoder, SigningKey, TypedDataEncoder, computeAddress, concat, getBytes, keccak256, recoverAddress, sha256, toBeHex } =
  createRequire(path.join(__dirname, "../../../proto/evm/tools/chain.js"))("ethers");

const abi = AbiCoder.defaultAbiCoder();
const ZERO = "0x" + "00".repeat(32);
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const hex = (bytes) => "0x" + Buffer.from(bytes).toString("hex");
const lower = (address) => address.toLowerCase();

const TYPES = {
  State: "bytes32 id,uint16 epoch,uint64 version,bytes32 outcomeHash",
  Close: "bytes32 id,uint16 epoch,int112 net,uint40 validUntil",
  Withdraw: "bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil",
  Move: "bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil,bytes32 toId,uint16 toEpoch,uint8 toSide",
  Bounty: "bytes32 id,uint16 epoch,address beneficiary",
  Challenge: "bytes32 id,uint16 epoch,uint8 side,uint64 version,bytes32 outcomeHash,uint40 validUntil",
  OpenStatement: "bytes32 id,bytes32 paramsHash,uint8 side,address signer,bytes32 peerNode",
};
const FIELDS = Object.fromEntries(Object.entries(TYPES).map(([type, text]) =>
  [type, { [type]: text.split(",").map((f) => ({ type: f.split(" ")[0], name: f.split(" ")[1] })) }]));

function digestOf(chain, type, data) {
  const domain = { name: "StateChannel", version: "1", chainId: chain.chainId, verifyingContract: chain.adjudicator };
  return TypedDataEncoder.hash(domain, FIELDS[type], data);
}

// The same is asked for again and again by broken.js.
const nameOf = (arg) => JSON.stringify(arg, (_key, v) => (typeof v === "bigint" ? String(v) : v));
function remembered(f) {
  const known = new Map();
  return (...args) => {
    const name = args.map(nameOf).join();
    if (!known.has(name)) known.set(name, f(...args));
    return known.get(name);
  };
}

const digest = remembered(digestOf);

const sign = remembered((key, what) => {
  const sig = new SigningKey(key).sign(what);
  return concat([sig.r, sig.yParityAndS]);
});

// As the EVM would recover it, from a signature with low s only.
const verifies = remembered((what, signature, address) => {
  const r = BigInt(signature.slice(0, 66)), s = BigInt("0x" + signature.slice(66)) & ((1n << 255n) - 1n);
  if (r === 0n || r >= ORDER || s === 0n || s > ORDER / 2n) return false;
  try {
    return lower(recoverAddress(what, signature)) === address;
  } catch (_error) {
    return false;
  }
});

const publicKey = remembered((key) => SigningKey.computePublicKey(key, true));
const addressOf = remembered((pub) => {
  try {
    return lower(computeAddress(pub));
  } catch (_error) {
    return null;
  }
});

// sha256 of the compressed shared point, as in BOLT 8.
const ecdh = remembered((key, pub) =>
  sha256(SigningKey.computePublicKey(new SigningKey(key).computeSharedSecret(pub), true)));

function secrets(shared, nonces) {
  const derive = (info) => hex(crypto.hkdfSync("sha256", getBytes(shared), getBytes(concat(nonces)), info, 32));
  return { salt: derive("channel/salt"), blindKey: derive("channel/blind") };
}

const blind = remembered((key, epoch, version) => {
  const message = concat([Buffer.from("channel/outcome"), toBeHex(epoch, 2), toBeHex(version, 8)]);
  return hex(crypto.createHmac("sha256", getBytes(key)).update(getBytes(message)).digest());
});

function identify(chain, params) {
  const paramsHash = keccak256(abi.encode(
    ["uint256", "address", "address", "address", "address", "address", "uint32", "uint96", "bytes32"],
    [chain.chainId, chain.adjudicator, ...params.signer, ...params.payout, params.period, params.bond, params.tag]));
  return { paramsHash, id: idOf(paramsHash, params.asset) };
}

const idOf = (paramsHash, asset) => keccak256(concat([paramsHash, asset]));

const encodeLock = (l) => concat([toBeHex(l.amount, 14), toBeHex(l.payer, 1), toBeHex(l.expiry, 5), l.condition,
  toBeHex(l.gas, 4), toBeHex((l.payload.length - 2) / 2, 2), l.payload]);
const encodeLocks = (locks) => concat(locks.map(encodeLock));
const locksHash = (locks) => (locks.length ? keccak256(encodeLocks(locks)) : ZERO);
const outcomeHash = remembered((o) =>
  keccak256(abi.encode(["int112", "bytes32", "bytes32"], [o.net, o.locksHash, o.blind])));

module.exports = { ZERO, addressOf, blind, digest, ecdh, encodeLock, encodeLocks, hex, idOf, identify, keccak256, locksHash,
  outcomeHash, publicKey, secrets, sha256, sign, verifies };
