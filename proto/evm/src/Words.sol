// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// How calldata, storage and events pack their fields. Bits are counted from the lowest.

// A compact signature (EIP-2098).
struct Signature {
    bytes32 r;
    bytes32 vs;
}

// A channel in calldata: what its id is made of, and the small arguments that most calls have, in six words.
//   0  signer 0 : 160 | bond : 96
//   1  signer 1 : 160 | challengePeriod : 32 | epoch : 16 | validUntil : 40 | side : 8
//   2  payout 0                          (right-aligned, as an address)
//   3  payout 1
//   4  asset : 160 | 32 unused bits | version : 64
//   5  tag, or the salt that it is the hash of
//
// The same in memory, where Identity.sol unpacks it: a pointer to these words. The first nine are what paramsHash is the
// hash of: chain id, contract, signers, payouts, challengePeriod, bond, tag. Then asset, words 1 and 4 of the calldata, id.
type Channel is uint256;

using ChannelWords for Channel global;

library ChannelWords {
    uint256 internal constant SIZE = 13 * 32;

    function word(Channel c, uint256 offset) private pure returns (uint256 w) {
        assembly ("memory-safe") {
            w := mload(add(c, offset))
        }
    }

    function signer(Channel c, uint256 who) internal pure returns (uint256) {
        unchecked {
            return word(c, 0x40 + (who << 5));
        }
    }

    function payout(Channel c, uint256 who) internal pure returns (uint256) {
        unchecked {
            return word(c, 0x80 + (who << 5));
        }
    }

    function setPayouts(Channel c, uint256 who, address own, uint256 other) internal pure {
        assembly ("memory-safe") {
            mstore(add(add(c, 0x80), shl(5, who)), own)
            mstore(sub(add(c, 0xa0), shl(5, who)), other)
        }
    }

    function challengePeriod(Channel c) internal pure returns (uint256) {
        return word(c, 0xc0);
    }

    function bond(Channel c) internal pure returns (uint256) {
        return word(c, 0xe0);
    }

    function asset(Channel c) internal pure returns (address) {
        return address(uint160(word(c, 0x120)));
    }

    function epoch(Channel c) internal pure returns (uint256) {
        return uint16(word(c, 0x140) >> 48);
    }

    function validUntil(Channel c) internal pure returns (uint256) {
        return uint40(word(c, 0x140) >> 8);
    }

    function side(Channel c) internal pure returns (uint256) {
        return uint8(word(c, 0x140));
    }

    function version(Channel c) internal pure returns (uint256) {
        return uint64(word(c, 0x160));
    }

    function id(Channel c) internal pure returns (uint256) {
        return word(c, 0x180);
    }

    // The number of one of its storage slots: they begin at the id itself.
    function slot(Channel c, uint256 k) internal pure returns (uint256) {
        unchecked {
            return id(c) + k;
        }
    }
}

// A channel's slot 0: contribution 0 : 112 | contribution 1 : 112 | withdrawSeq : 15 | epoch : 16 | disputed : 1.
// Contributions are two's complement: read with sign extension, masked on write.
library Ledger {
    uint256 internal constant EPOCH_LAST = 0xffff;
    uint256 internal constant SEQ_LAST = 0x7fff;
    int256 internal constant MONEY_MAX = 2 ** 111 - 1;
    uint256 private constant MONEY_MASK = 2 ** 112 - 1;
    uint256 private constant MONEY_BITS = 112;
    uint256 private constant SEQ_AT = 224;
    uint256 private constant EPOCH_AT = 239;
    uint256 private constant DISPUTED_AT = 255;

    function contribution(uint256 s, uint256 side) internal pure returns (int256) {
        unchecked {
            return int112(int256(s >> (MONEY_BITS * side)));
        }
    }

    function withContribution(uint256 s, uint256 side, int256 value) internal pure returns (uint256) {
        unchecked {
            uint256 shift = MONEY_BITS * side;
            return s ^ ((((s >> shift) ^ uint256(value)) & MONEY_MASK) << shift);
        }
    }

    function total(uint256 s) internal pure returns (int256) {
        unchecked {
            return contribution(s, 0) + contribution(s, 1);
        }
    }

    function withdrawSeq(uint256 s) internal pure returns (uint256) {
        return (s >> SEQ_AT) & SEQ_LAST;
    }

    function withNextSeq(uint256 s) internal pure returns (uint256) {
        unchecked {
            return s + (1 << SEQ_AT);
        }
    }

    function epoch(uint256 s) internal pure returns (uint256) {
        return (s >> EPOCH_AT) & EPOCH_LAST;
    }

    function disputed(uint256 s) internal pure returns (bool) {
        return s >> DISPUTED_AT != 0;
    }

    // True if money may come in: in this epoch, without a dispute, and not in the last one, which a channel can end in for
    // ever.
    function takesMoney(uint256 s, uint256 e) internal pure returns (bool yes) {
        assembly {
            yes := iszero(or(xor(shr(EPOCH_AT, s), e), eq(e, EPOCH_LAST)))
        }
    }

    // `s` with more money of `side`. It fits if it is not nothing, and neither the side nor the channel exceeds MONEY_MAX.
    function added(uint256 s, uint256 side, uint256 amount) internal pure returns (uint256 result, bool fits) {
        assembly {
            let shift := mul(MONEY_BITS, side)
            let own := signextend(13, shr(shift, s))
            let sum := add(signextend(13, s), signextend(13, shr(MONEY_BITS, s)))
            let room := sub(MONEY_MAX, amount)
            fits := iszero(or(or(sgt(own, room), sgt(sum, room)), iszero(lt(sub(amount, 1), MONEY_MAX))))
            result := xor(s, shl(shift, and(xor(shr(shift, s), add(own, amount)), MONEY_MASK)))
        }
    }

    // Both at once, for a deposit with `where` = epoch << 1 | side.
    function addedQuick(uint256 s, uint256 where, uint256 amount) internal pure returns (uint256 result, bool fits) {
        bool open = takesMoney(s, where >> 1);
        (result, fits) = added(s, where & 1, amount);
        assembly {
            fits := and(fits, open)
        }
    }

    function withDispute(uint256 s) internal pure returns (uint256) {
        return s | (1 << DISPUTED_AT);
    }

    // The slot after the end of `s`'s epoch. The last one stays: it holds no money, and an ending must never revert.
    function ended(uint256 s) internal pure returns (uint256) {
        unchecked {
            uint256 next = epoch(s) + 1;
            return (next - (next >> 16)) << EPOCH_AT;
        }
    }
}

// A channel's slot 1 during a dispute: version : 64 | challengedVersion : 64 | deadline : 40 | flags : 8, of which
// challenger's side : 1 | forfeited : 1 | extensions : 2 | beneficiary attached : 1.
library Dispute {
    uint256 private constant CHALLENGED_AT = 64;
    uint256 private constant DEADLINE_AT = 128;
    uint256 private constant FLAGS_AT = 168;
    uint256 private constant FORFEITED = 1 << 169;
    uint256 private constant EXTENSION = 1 << 170;
    uint256 private constant REWARDED = 1 << 172;
    uint256 private constant EXTENSIONS_MAX = 2;

    function create(uint256 v, uint256 until, uint256 side) internal pure returns (uint256) {
        return v | (v << CHALLENGED_AT) | (until << DEADLINE_AT) | (side << FLAGS_AT);
    }

    function version(uint256 d) internal pure returns (uint256) {
        return uint64(d);
    }

    function withVersion(uint256 d, uint256 v) internal pure returns (uint256) {
        return (d & ~uint256(type(uint64).max)) | v;
    }

    function challengedVersion(uint256 d) internal pure returns (uint256) {
        return uint64(d >> CHALLENGED_AT);
    }

    function deadline(uint256 d) internal pure returns (uint256) {
        return uint40(d >> DEADLINE_AT);
    }

    function challenger(uint256 d) internal pure returns (uint256) {
        return (d >> FLAGS_AT) & 1;
    }

    function forfeited(uint256 d) internal pure returns (bool) {
        return d & FORFEITED != 0;
    }

    function withForfeit(uint256 d) internal pure returns (uint256) {
        return d | FORFEITED;
    }

    function extendable(uint256 d) internal pure returns (bool) {
        return (d / EXTENSION) % 4 < EXTENSIONS_MAX;
    }

    function extended(uint256 d, uint256 by) internal pure returns (uint256) {
        unchecked {
            return d + (by << DEADLINE_AT) + EXTENSION;
        }
    }

    function rewarded(uint256 d) internal pure returns (bool) {
        return d & REWARDED != 0;
    }

    function withReward(uint256 d) internal pure returns (uint256) {
        return d | REWARDED;
    }
}

// The first data word of every event about a channel: a : 112 | b : 112 | epoch : 16 | flag : 1.
function eventWord(uint256 a, uint256 b, uint256 epoch, uint256 flag) pure returns (uint256) {
    return a | (b << 112) | (epoch << 224) | (flag << 240);
}

function load(uint256 slot) view returns (uint256 word) {
    assembly ("memory-safe") {
        word := sload(slot)
    }
}

function store(uint256 slot, uint256 word) {
    assembly ("memory-safe") {
        sstore(slot, word)
    }
}
