// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger} from "./Words.sol";
import {Money} from "./Money.sol";
import "./Reverts.sol";

// What a contract condition answers: how much of `amount` goes to the payee. Constant after the lock's expiry.
interface ICondition {
    function owed(bytes calldata payload, uint256 amount) external view returns (uint256);
}

// Conditional transfers, resolved at settlement. One lock, packed:
//   amount : 14 bytes | payer's side : 1 | expiry : 5 | condition : 20 | gas : 4 | length of payload : 2 | payload
// condition 0: a hash lock; its payload is a sha256 hash, its gas 0. Honest parties sign no other encoding; should both
// sign a malformed one, only `close` ends the channel.
abstract contract Locks is Money {
    event Revealed(bytes32 indexed hash, bytes32 preimage);

    // The block time at which the preimage of a sha256 hash became public, 0 if it has not.
    mapping(bytes32 hash => uint256 time) public revealedAt;

    uint256 private constant HEAD = 46;

    function reveal(bytes32 preimage) external {
        (bool fresh,) = _reveal(preimage);
        require(fresh, AlreadyRevealed());
    }

    function _reveal(bytes32 preimage) internal returns (bool fresh, bytes32 hash) {
        hash = sha256(abi.encode(preimage));
        fresh = revealedAt[hash] == 0;
        if (fresh) {
            revealedAt[hash] = block.timestamp;
            emit Revealed(hash, preimage);
        }
    }

    // `net` after all locks, saturated at what a channel can hold: what is beyond it makes no other payout.
    function _resolve(bytes calldata locks, int256 net) internal view returns (int256, bytes4) {
        uint256 pos = 0;
        while (pos < locks.length) {
            (uint256 size, bytes4 reason) = _sizeOf(locks[pos:]);
            if (reason != OK) return (0, reason);
            bytes calldata lock = locks[pos:pos + size];
            uint256 paid;
            (paid, reason) = _owed(lock);
            if (reason != OK) return (0, reason);
            net = uint8(lock[14]) == 0 ? net + int256(paid) : net - int256(paid);
            pos += size;
        }
        if (net > Ledger.MONEY_MAX) net = Ledger.MONEY_MAX;
        if (net < -Ledger.MONEY_MAX) net = -Ledger.MONEY_MAX;
        return (net, OK);
    }

    // The length of the first lock in `rest`, if it is well formed.
    function _sizeOf(bytes calldata rest) private pure returns (uint256 size, bytes4 reason) {
        if (rest.length < HEAD) return (0, BadLocks.selector);
        uint256 payload = uint16(bytes2(rest[44:]));
        size = HEAD + payload;
        bool hashLock = address(bytes20(rest[20:])) == address(0);
        bool bad = rest.length < size || uint8(rest[14]) > 1 || uint112(bytes14(rest)) > uint256(Ledger.MONEY_MAX)
            || (hashLock && (payload != 32 || bytes4(rest[40:]) != 0));
        return (size, bad ? BadLocks.selector : OK);
    }

    // How much of a lock goes to its payee. A hash lock counts if revealed at or before its expiry, and as unpaid only after.
    function _owed(bytes calldata lock) private view returns (uint256, bytes4) {
        uint256 amount = uint112(bytes14(lock));
        uint256 expiry = uint40(bytes5(lock[15:]));
        if (address(bytes20(lock[20:])) == address(0)) {
            uint256 time = revealedAt[bytes32(lock[HEAD:])];
            if (time != 0 && time <= expiry) return (amount, OK);
            return (0, block.timestamp > expiry ? OK : LockPending.selector);
        }
        if (block.timestamp <= expiry) return (0, LockPending.selector);
        uint256 answer = _ask(lock, amount);
        return (answer < amount ? answer : amount, OK);
    }

    // Asks a contract condition. No answer of it can revert or be longer than a word.
    function _ask(bytes calldata lock, uint256 amount) private view returns (uint256 answer) {
        address condition = address(bytes20(lock[20:]));
        uint256 cap = uint32(bytes4(lock[40:]));
        bytes memory data = abi.encodeCall(ICondition.owed, (lock[HEAD:], amount));
        _requireGas(cap);
        assembly ("memory-safe") {
            mstore(0, 0)
            let ok := staticcall(cap, condition, add(data, 0x20), mload(data), 0, 0x20)
            if and(ok, gt(returndatasize(), 0x1f)) { answer := mload(0) }
        }
    }
}
