// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ChannelWords} from "./Words.sol";

// Which channel a call is about, and who signed what. Source: protocol.md, sections 2 and 3; EIP-712; EIP-2098.
abstract contract Identity {
    using ChannelWords for uint256[6];

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

    // The id of the channel that the parameters in `channel` with this tag make. Unclean bits make another id.
    function _idOf(uint256[6] calldata channel, uint256 tag) internal view returns (uint256 id) {
        uint256 chainId = CHAIN_ID;
        assembly ("memory-safe") {
            let m := mload(0x40)
            let signer0Bond := calldataload(channel)
            let signer1Terms := calldataload(add(channel, 0x20))
            mstore(m, chainId)
            mstore(add(m, 0x20), address())
            mstore(add(m, 0x40), shr(96, signer0Bond))
            mstore(add(m, 0x60), shr(96, signer1Terms))
            mstore(add(m, 0x80), calldataload(add(channel, 0x40)))
            mstore(add(m, 0xa0), calldataload(add(channel, 0x60)))
            mstore(add(m, 0xc0), and(shr(64, signer1Terms), 0xffffffff))
            mstore(add(m, 0xe0), and(signer0Bond, 0xffffffffffffffffffffffff))
            mstore(add(m, 0x100), tag)
            mstore(0, keccak256(m, 0x120))
            mstore(0x20, calldataload(add(channel, 0x80)))
            id := keccak256(0, 52)
        }
    }

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(DOMAIN, structHash);
    }

    // True if the 64 bytes of calldata at `sig` are `signer`'s signature on `digest`. Nobody is the zero address.
    function _signed(bytes32 digest, uint256 sig, address signer) internal view returns (bool ok) {
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
            ok := and(iszero(gt(s, LOW_S_MAX)), and(iszero(iszero(signer)), eq(mload(0), signer)))
        }
    }

    // Both parties signed `digest`. A payee that sends the call consents by sending it.
    function _consent(uint256[6] calldata channel, bytes32 digest, uint256 sig0, uint256 sig1)
        internal
        view
        returns (bool)
    {
        return (msg.sender == channel.payout(0) || _signed(digest, sig0, channel.signer(0)))
            && (msg.sender == channel.payout(1) || _signed(digest, sig1, channel.signer(1)));
    }

    function _stateSigned(uint256[6] calldata channel, uint256 id, bytes32 outcomeHash, bytes32[4] calldata sigs)
        internal
        view
        returns (bool)
    {
        bytes32 digest = _digest(keccak256(abi.encode(STATE, id, channel.epoch(), channel.version(), outcomeHash)));
        return _signed(digest, _at(sigs), channel.signer(0)) && _signed(digest, _at(sigs) + 64, channel.signer(1));
    }

    // Where in calldata two signatures, or one, begin.
    function _at(bytes32[4] calldata sigs) internal pure returns (uint256 offset) {
        assembly {
            offset := sigs
        }
    }

    function _at(bytes32[2] calldata sig) internal pure returns (uint256 offset) {
        assembly {
            offset := sig
        }
    }
}
