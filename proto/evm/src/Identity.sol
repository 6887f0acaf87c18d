// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Channel, Signature} from "./Words.sol";

// Which channel a call is about, and who signed what. Source: protocol.md, sections 2 and 3; EIP-712; EIP-2098.
abstract contract Identity {
    // Fixed at deployment, so that channels stay within reach should the chain split and change its id.
    uint256 private immutable CHAIN_ID = block.chainid;
    bytes32 private immutable DOMAIN = keccak256(
        abi.encode(
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
            keccak256("StateChannel"),
            keccak256("1"),
            block.chainid,
            address(this)
        )
    );
    bytes32 private constant STATE = keccak256("State(bytes32 id,uint16 epoch,uint64 version,bytes32 outcomeHash)");
    // The largest s of a signature that has only one form.
    uint256 private constant LOW_S_MAX = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;

    function domainSeparator() external view returns (bytes32) {
        return DOMAIN;
    }

    // keccak256(paramsHash || asset): 52 bytes, so that no id equals the slot of a mapping.
    function _idOf(bytes32 paramsHash, address asset) internal pure returns (uint256 id) {
        assembly ("memory-safe") {
            mstore(0, paramsHash)
            mstore(0x20, shl(96, asset))
            id := keccak256(0, 52)
        }
    }

    function _read(uint256[6] calldata words) internal view returns (Channel c) {
        return _read(words, words[5]);
    }

    // The channel that the parameters in `words` with this tag make. Unclean bits make another id.
    function _read(uint256[6] calldata words, uint256 tag) internal view returns (Channel c) {
        c = _allocate(words[4]);
        assembly ("memory-safe") {
            calldatacopy(add(c, 0x80), add(words, 0x40), 0x40)
        }
        _identify(c, words[0], words[1], tag);
    }

    // Memory for a channel, with what all channels of this asset have in common.
    function _allocate(uint256 assetVersion) internal view returns (Channel c) {
        uint256 chainId = CHAIN_ID;
        assembly ("memory-safe") {
            c := mload(0x40)
            mstore(0x40, add(c, 0x1a0))
            mstore(c, chainId)
            mstore(add(c, 0x20), address())
            mstore(add(c, 0x120), shr(96, assetVersion))
            mstore(add(c, 0x160), assetVersion)
        }
    }

    // Adds what makes a channel this one, but for the payouts, which are there already.
    function _identify(Channel c, uint256 signer0Bond, uint256 signer1Terms, uint256 tag) internal pure {
        assembly ("memory-safe") {
            mstore(add(c, 0x40), shr(96, signer0Bond))
            mstore(add(c, 0x60), shr(96, signer1Terms))
            mstore(add(c, 0xc0), and(shr(64, signer1Terms), 0xffffffff))
            mstore(add(c, 0xe0), and(signer0Bond, 0xffffffffffffffffffffffff))
            mstore(add(c, 0x100), tag)
            mstore(add(c, 0x140), signer1Terms)
            mstore(0, keccak256(c, 0x120))
            mstore(0x20, shl(96, mload(add(c, 0x120))))
            mstore(add(c, 0x180), keccak256(0, 52))
        }
    }

    // EIP-712 digests of structs with four fields, and with any number.
    function _digest(bytes32 kind, uint256 a, uint256 b, uint256 c, uint256 d) internal view returns (bytes32 digest) {
        bytes32 domain = DOMAIN;
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, kind)
            mstore(add(m, 0x20), a)
            mstore(add(m, 0x40), b)
            mstore(add(m, 0x60), c)
            mstore(add(m, 0x80), d)
            mstore(add(m, 0x22), keccak256(m, 0xa0))
            mstore(m, shl(240, 0x1901))
            mstore(add(m, 0x02), domain)
            digest := keccak256(m, 0x42)
        }
    }

    function _digest(bytes memory fields) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", DOMAIN, keccak256(fields)));
    }

    // True if the 64 bytes of calldata at `sig` are `signer`'s signature on `digest`. Nobody is the zero address.
    function _signed(bytes32 digest, uint256 sig, uint256 signer) internal view returns (bool ok) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            let vs := calldataload(add(sig, 0x20))
            let s := shr(1, shl(1, vs))
            mstore(m, digest)
            mstore(add(m, 0x20), add(27, shr(255, vs)))
            mstore(add(m, 0x40), calldataload(sig))
            mstore(add(m, 0x60), s)
            mstore(0, 0) // what stays there if nothing can be recovered
            pop(staticcall(gas(), 1, m, 0x80, 0, 0x20))
            ok := and(and(eq(mload(0), signer), iszero(iszero(signer))), iszero(gt(s, LOW_S_MAX)))
        }
    }

    // Both parties signed `digest`. A payee that sends the call consents by sending it.
    function _consent(Channel c, bytes32 digest, uint256 sig0, uint256 sig1) internal view returns (bool) {
        uint256 sender = uint160(msg.sender);
        return (sender == c.payout(0) || _signed(digest, sig0, c.signer(0)))
            && (sender == c.payout(1) || _signed(digest, sig1, c.signer(1)));
    }

    function _stateSigned(Channel c, bytes32 outcomeHash, Signature[2] calldata sigs) internal view returns (bool) {
        bytes32 digest = _digest(STATE, c.id(), c.epoch(), c.version(), uint256(outcomeHash));
        (uint256 sig0, uint256 sig1) = _places(sigs);
        return _signed(digest, sig0, c.signer(0)) && _signed(digest, sig1, c.signer(1));
    }

    // Where in calldata the signatures of side 0 and side 1 are, or a single one.
    function _places(Signature[2] calldata sigs) internal pure returns (uint256 sig0, uint256 sig1) {
        assembly {
            sig0 := sigs
            sig1 := add(sigs, 0x40)
        }
    }

    function _place(Signature calldata sig) internal pure returns (uint256 offset) {
        assembly {
            offset := sig
        }
    }
}
