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
        assembly ("memory-safe") {
            mstore(0, preimage)
            if iszero(staticcall(gas(), 2, 0, 0x20, 0x20, 0x20)) { revert(0, 0) } // sha256
            hash := mload(0x20)
        }
        fresh = revealedAt[hash] == 0;
        if (fresh) {
            revealedAt[hash] = block.timestamp;
            emit Revealed(hash, preimage);
        }
    }

    // `net` after all locks, saturated at what a channel can hold: what is beyond it makes no other payout.
    function _resolve(bytes calldata locks, int256 net) internal view returns (int256, Reason) {
        uint256 lock;
        uint256 end;
        assembly {
            lock := locks.offset
            end := add(lock, locks.length)
        }
        unchecked {
            while (lock < end) {
                uint256 next = _after(lock, end);
                if (next == 0) return (0, because(BadLocks.selector));
                (uint256 paid, Reason reason) = _owed(lock);
                if (!reason.isOk()) return (0, reason);
                net = _payer(lock) == 0 ? net + int256(paid) : net - int256(paid);
                lock = next;
            }
        }
        if (net > Ledger.MONEY_MAX) net = Ledger.MONEY_MAX;
        if (net < -Ledger.MONEY_MAX) net = -Ledger.MONEY_MAX;
        return (net, OK);
    }

    // How much of a lock goes to its payee. A hash lock counts if revealed at or before its expiry, and as unpaid only after.
    function _owed(uint256 lock) private view returns (uint256, Reason) {
        uint256 expiry = uint40(_word(lock) >> 96);
        if (_condition(lock) == 0) {
            uint256 time = revealedAt[bytes32(_word(lock + HEAD))];
            if (time != 0 && time <= expiry) return (_amount(lock), OK);
            return (0, block.timestamp > expiry ? OK : because(LockPending.selector));
        }
        if (block.timestamp <= expiry) return (0, because(LockPending.selector));
        (uint256 answer, uint256 amount) = (_ask(lock), _amount(lock));
        return (answer < amount ? answer : amount, OK);
    }

    // Asks a contract condition. No answer of it can revert or be longer than a word.
    function _ask(uint256 lock) private view returns (uint256 answer) {
        uint256 condition = _condition(lock);
        uint256 cap = _gas(lock);
        bytes calldata payload;
        uint256 length = _length(lock);
        assembly {
            payload.offset := add(lock, HEAD)
            payload.length := length
        }
        bytes memory data = abi.encodeCall(ICondition.owed, (payload, _amount(lock)));
        _requireGas(cap);
        assembly ("memory-safe") {
            let ok := staticcall(cap, condition, add(data, 0x20), mload(data), 0, 0x20)
            if and(ok, gt(returndatasize(), 0x1f)) { answer := mload(0) }
        }
    }

    // Where the lock at `lock` ends, at most at `end`; 0 if it is malformed.
    function _after(uint256 lock, uint256 end) private pure returns (uint256) {
        unchecked {
            uint256 size = HEAD + _length(lock);
            bool bad = end - lock < size || _payer(lock) > 1;
            bad = bad || _amount(lock) > uint256(Ledger.MONEY_MAX);
            if (_condition(lock) == 0) bad = bad || size != HEAD + 32 || _gas(lock) != 0;
            return bad ? 0 : lock + size;
        }
    }

    // The fields of the lock at this place of calldata.
    function _amount(uint256 lock) private pure returns (uint256) {
        return _word(lock) >> 144;
    }

    function _payer(uint256 lock) private pure returns (uint256) {
        return uint8(_word(lock) >> 136);
    }

    function _condition(uint256 lock) private pure returns (uint256) {
        return uint160(_word(lock + 8));
    }

    function _gas(uint256 lock) private pure returns (uint256) {
        return uint32(_word(lock + 12));
    }

    function _length(uint256 lock) private pure returns (uint256) {
        return uint16(_word(lock + 14));
    }

    function _word(uint256 offset) private pure returns (uint256 w) {
        assembly {
            w := calldataload(offset)
        }
    }
}
