// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Deposits} from "./Deposits.sol";
import {ChannelWords, Ledger, eventWord, load, store} from "./Words.sol";
import "./Reverts.sol";

// Money out of a channel that goes on: to its side's payout address, or into another channel. The number (withdrawSeq)
// makes each of them happen once, and in the agreed order. A dispute does not stand in the way: what is taken out, the
// settlement no longer has to divide. `what` = seq << 112 | amount.
abstract contract Withdrawals is Deposits {
    using ChannelWords for uint256[6];
    using Ledger for uint256;

    event Withdrawn(bytes32 indexed id, uint256 w); // amount, -, epoch, side
    event Moved(bytes32 indexed id, uint256 w, bytes32 toId); // the same; then Deposited of `toId`

    bytes32 private constant WITHDRAW =
        keccak256("Withdraw(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil)");
    bytes32 private constant MOVE = keccak256(
        "Move(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil,bytes32 toId,uint16 toEpoch,uint8 toSide)"
    );

    function withdraw(uint256[6] calldata channel, uint256 what, bytes32[4] calldata sigs) external nonReentrant {
        _withdraw(channel, what, _at(sigs), _at(sigs) + 64);
    }

    // By one of the payees: only the other side's signature is looked at.
    function withdrawByPayee(uint256[6] calldata channel, uint256 what, bytes32[2] calldata sig) external nonReentrant {
        _withdraw(channel, what, _at(sig), _at(sig));
    }

    function move(
        uint256[6] calldata channel,
        uint256 what,
        bytes32 toParamsHash,
        uint256 toWhere,
        bytes32[4] calldata sigs
    ) external nonReentrant {
        (uint256 id, uint256 slot) = _checkTaking(channel, what);
        uint256 toId = _idOf(toParamsHash, channel.asset());
        require(toId != id, SameChannel());
        _checkOpenForMoney(load(toId), toWhere >> 1);
        bytes32 digest = _digest(_moveHash(channel, what, id, toId, toWhere));
        require(_consent(channel, digest, _at(sigs), _at(sigs) + 64), BadSignature());
        uint256 amount = uint112(what);
        store(id, _taken(slot, channel.side(), amount));
        emit Moved(bytes32(id), eventWord(amount, 0, channel.epoch(), channel.side()), bytes32(toId));
        _deposit(toId, toWhere, amount);
    }

    function _withdraw(uint256[6] calldata channel, uint256 what, uint256 sig0, uint256 sig1) private {
        (uint256 id, uint256 slot) = _checkTaking(channel, what);
        (uint256 side, uint256 amount) = (channel.side(), uint112(what));
        bytes32 digest = _digest(
            keccak256(abi.encode(WITHDRAW, id, channel.epoch(), what >> 112, side, amount, channel.validUntil()))
        );
        require(_consent(channel, digest, sig0, sig1), BadSignature());
        store(id, _taken(slot, side, amount));
        emit Withdrawn(bytes32(id), eventWord(amount, 0, channel.epoch(), side));
        _pay(channel.asset(), channel.payout(side), amount);
    }

    // What both have in common up to the signatures.
    function _checkTaking(uint256[6] calldata channel, uint256 what) private view returns (uint256 id, uint256 slot) {
        require(channel.side() < 2, BadSide());
        id = _idOf(channel, channel[5]);
        slot = load(id);
        // An id that is not the parties' has no money: its epoch is 0, its total too little.
        require(slot.epoch() == channel.epoch(), WrongEpoch());
        require(block.timestamp <= channel.validUntil(), Expired());
        require(slot.withdrawSeq() < Ledger.SEQ_LAST, LastSeq());
        require(slot.withdrawSeq() == what >> 112, WrongSeq());
        uint256 amount = uint112(what);
        require(amount > 0, ZeroAmount());
        require(int256(amount) <= slot.total(), TooMuch());
    }

    function _moveHash(uint256[6] calldata channel, uint256 what, uint256 id, uint256 toId, uint256 toWhere)
        private
        pure
        returns (bytes32)
    {
        uint256 amount = uint112(what);
        return keccak256(
            abi.encode(
                MOVE,
                id,
                channel.epoch(),
                what >> 112,
                channel.side(),
                amount,
                channel.validUntil(),
                toId,
                toWhere >> 1,
                toWhere & 1
            )
        );
    }

    function _taken(uint256 slot, uint256 side, uint256 amount) private pure returns (uint256) {
        unchecked {
            int256 contribution = slot.contribution(side) - int256(amount);
            require(contribution >= -Ledger.MONEY_MAX, Overflow());
            return slot.withContribution(side, contribution).withNextSeq();
        }
    }
}
