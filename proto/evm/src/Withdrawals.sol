// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Deposits} from "./Deposits.sol";
import {Channel, Signature, Ledger, eventWord, load, store} from "./Words.sol";
import "./Reverts.sol";

// Money out of a channel that goes on: to its side's payout address, or into another channel. The number (withdrawSeq)
// makes each of them happen once, and in the agreed order. A dispute does not stand in the way: what is taken out, the
// settlement no longer has to divide. `what` = seq << 112 | amount.
abstract contract Withdrawals is Deposits {
    using Ledger for uint256;

    event Withdrawn(bytes32 indexed id, uint256 w); // amount, -, epoch, side
    event Moved(bytes32 indexed id, uint256 w, bytes32 toId); // the same; then Deposited of `toId`

    bytes32 private constant WITHDRAW =
        keccak256("Withdraw(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil)");
    bytes32 private constant MOVE = keccak256(
        "Move(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil,bytes32 toId,uint16 toEpoch,uint8 toSide)"
    );

    function withdraw(uint256[6] calldata channel, bytes32 what, Signature[2] calldata sigs) external nonReentrant {
        (uint256 sig0, uint256 sig1) = _places(sigs);
        _withdraw(channel, uint256(what), sig0, sig1);
    }

    // By one of the payees: only the other side's signature is looked at.
    function withdrawByPayee(uint256[6] calldata channel, bytes32 what, Signature calldata sig) external nonReentrant {
        _withdraw(channel, uint256(what), _place(sig), _place(sig));
    }

    function move(
        uint256[6] calldata channel,
        bytes32 what,
        bytes32 toParamsHash,
        bytes32 toWhere,
        Signature[2] calldata sigs
    ) external nonReentrant {
        (Channel c, uint256 slot) = _checkTaking(channel, uint256(what));
        uint256 toId = _idOf(toParamsHash, c.asset());
        require(toId != c.id(), SameChannel());
        _checkOpenForMoney(load(toId), uint256(toWhere) >> 1);
        bytes32 digest = _moveDigest(c, uint256(what), toId, uint256(toWhere));
        (uint256 sig0, uint256 sig1) = _places(sigs);
        require(_consent(c, digest, sig0, sig1), BadSignature());
        uint256 amount = uint112(uint256(what));
        store(c.id(), _taken(slot, c.side(), amount));
        emit Moved(bytes32(c.id()), eventWord(amount, 0, c.epoch(), c.side()), bytes32(toId));
        _deposit(toId, uint256(toWhere), amount);
    }

    function _withdraw(uint256[6] calldata channel, uint256 what, uint256 sig0, uint256 sig1) private {
        (Channel c, uint256 slot) = _checkTaking(channel, what);
        (uint256 side, uint256 amount) = (c.side(), uint112(what));
        bytes32 digest = _digest(abi.encode(WITHDRAW, c.id(), c.epoch(), what >> 112, side, amount, c.validUntil()));
        require(_consent(c, digest, sig0, sig1), BadSignature());
        store(c.id(), _taken(slot, side, amount));
        emit Withdrawn(bytes32(c.id()), eventWord(amount, 0, c.epoch(), side));
        _pay(c.asset(), address(uint160(c.payout(side))), amount);
    }

    // What both have in common up to the signatures.
    function _checkTaking(uint256[6] calldata channel, uint256 what) private view returns (Channel c, uint256 slot) {
        c = _read(channel);
        require(c.side() < 2, BadSide());
        slot = load(c.id());
        require(slot.epoch() == c.epoch(), WrongEpoch());
        require(block.timestamp <= c.validUntil(), Expired());
        require(slot.withdrawSeq() < Ledger.SEQ_LAST, LastSeq());
        require(slot.withdrawSeq() == what >> 112, WrongSeq());
        uint256 amount = uint112(what);
        require(amount > 0, ZeroAmount());
        require(int256(amount) <= slot.total(), TooMuch());
    }

    function _moveDigest(Channel c, uint256 what, uint256 toId, uint256 toWhere) private view returns (bytes32) {
        (uint256 seq, uint256 amount) = (what >> 112, uint112(what));
        (uint256 toEpoch, uint256 toSide) = (toWhere >> 1, toWhere & 1);
        return
            _digest(abi.encode(MOVE, c.id(), c.epoch(), seq, c.side(), amount, c.validUntil(), toId, toEpoch, toSide));
    }

    function _taken(uint256 slot, uint256 side, uint256 amount) private pure returns (uint256) {
        unchecked {
            int256 contribution = slot.contribution(side) - int256(amount);
            require(contribution >= -Ledger.MONEY_MAX, Overflow());
            return slot.withContribution(side, contribution).withNextSeq();
        }
    }
}
