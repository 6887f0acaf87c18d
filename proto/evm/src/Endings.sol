// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Identity} from "./Identity.sol";
import {Locks} from "./Locks.sol";
import {ChannelWords, Dispute, Ledger, eventWord, load, store} from "./Words.sol";
import "./Reverts.sol";

// The ends of an epoch: together (close), or by the standing state of a dispute that is over (settle). An ending checks,
// then cleans the slots, and pays last: side 0, side 1, the bond. An item of a batch that fails its checks is skipped.
abstract contract Endings is Identity, Locks {
    using ChannelWords for uint256[6];
    using Dispute for uint256;
    using Ledger for uint256;

    // w: paid to 0, to 1, epoch, bond forfeited; x: net : 112 | version : 64 | deadline of the dispute : 40.
    event Closed(bytes32 indexed id, uint256 w, uint256 x);
    event Settled(bytes32 indexed id, uint256 w, uint256 x);
    event Skipped(bytes32 indexed id, uint256 index, bytes4 reason);

    bytes32 private constant CLOSE = keccak256("Close(bytes32 id,uint16 epoch,int112 net,uint40 validUntil)");

    struct CloseItem {
        uint256[6] channel;
        int112 net;
        bytes32[4] sigs;
    }

    struct SettleItem {
        uint256[6] channel;
        int112 net;
        bytes32 blind;
        bytes locks;
    }

    // What an ending pays.
    struct Due {
        uint256 amount0;
        uint256 amount1;
        uint256 bond;
        address bondTo;
    }

    function close(uint256[6] calldata channel, int112 net, bytes32[4] calldata sigs) external nonReentrant {
        _close(channel, net, _at(sigs), _at(sigs) + 64);
    }

    // By one of the payees: only the other side's signature is looked at.
    function closeByPayee(uint256[6] calldata channel, int112 net, bytes32[2] calldata sig) external nonReentrant {
        _close(channel, net, _at(sig), _at(sig));
    }

    function closeBatch(CloseItem[] calldata items) external nonReentrant {
        Purse memory purse;
        for (uint256 i = 0; i < items.length; i++) {
            CloseItem calldata item = items[i];
            uint256 sig = _at(item.sigs);
            (uint256 id, uint256 slot, bytes4 reason) = _checkClose(item.channel, item.net, sig, sig + 64);
            if (reason == OK) {
                _payAll(item.channel, _endClosed(item.channel, id, slot, item.net), purse);
            } else {
                emit Skipped(bytes32(id), i, reason);
            }
        }
        _empty(purse);
    }

    function settle(uint256[6] calldata channel, int112 net, bytes32 blind, bytes calldata locks)
        external
        nonReentrant
    {
        (uint256 id, uint256 slot, int256 result, bytes4 reason) = _checkSettle(channel, net, blind, locks);
        check(reason);
        _payAll(channel, _endSettled(channel, id, slot, result));
    }

    function settleBatch(SettleItem[] calldata items) external nonReentrant {
        Purse memory purse;
        for (uint256 i = 0; i < items.length; i++) {
            SettleItem calldata item = items[i];
            (uint256 id, uint256 slot, int256 result, bytes4 reason) =
                _checkSettle(item.channel, item.net, item.blind, item.locks);
            if (reason == OK) {
                _payAll(item.channel, _endSettled(item.channel, id, slot, result), purse);
            } else {
                emit Skipped(bytes32(id), i, reason);
            }
        }
        _empty(purse);
    }

    function revealBatch(bytes32[] calldata preimages) external {
        for (uint256 i = 0; i < preimages.length; i++) {
            (bool fresh, bytes32 hash) = _reveal(preimages[i]);
            if (!fresh) {
                emit Skipped(hash, i, AlreadyRevealed.selector);
            }
        }
    }

    function _close(uint256[6] calldata channel, int256 net, uint256 sig0, uint256 sig1) private {
        (uint256 id, uint256 slot, bytes4 reason) = _checkClose(channel, net, sig0, sig1);
        check(reason);
        _payAll(channel, _endClosed(channel, id, slot, net));
    }

    function _checkClose(uint256[6] calldata channel, int256 net, uint256 sig0, uint256 sig1)
        private
        view
        returns (uint256 id, uint256 slot, bytes4 reason)
    {
        id = _idOf(channel, channel[5]);
        slot = load(id);
        if (slot.epoch() != channel.epoch()) {
            reason = WrongEpoch.selector;
        } else if (block.timestamp > channel.validUntil()) {
            reason = Expired.selector;
        } else {
            bytes32 digest = _digest(keccak256(abi.encode(CLOSE, id, channel.epoch(), net, channel.validUntil())));
            if (!_consent(channel, digest, sig0, sig1)) reason = BadSignature.selector;
        }
    }

    // The deadline itself still belongs to the refuters.
    function _checkSettle(uint256[6] calldata channel, int256 net, bytes32 blind, bytes calldata locks)
        private
        view
        returns (uint256 id, uint256 slot, int256 result, bytes4 reason)
    {
        id = _idOf(channel, channel[5]);
        slot = load(id);
        if (slot.epoch() != channel.epoch()) return (id, slot, 0, WrongEpoch.selector);
        if (!slot.disputed()) return (id, slot, 0, NoDispute.selector);
        uint256 dispute = load(id + 1);
        if (block.timestamp <= dispute.deadline()) return (id, slot, 0, TooEarly.selector);
        if (dispute.version() == 0) return (id, slot, 0, OK);
        bytes32 locksHash = locks.length == 0 ? bytes32(0) : keccak256(locks);
        if (keccak256(abi.encode(net, locksHash, blind)) != bytes32(load(id + 2))) {
            return (id, slot, 0, WrongOutcome.selector);
        }
        (result, reason) = locks.length == 0 ? (net, OK) : _resolve(locks, net);
    }

    function _endClosed(uint256[6] calldata channel, uint256 id, uint256 slot, int256 net)
        private
        returns (Due memory due)
    {
        uint256 dispute = slot.disputed() ? load(id + 1) : 0;
        due = _end(channel, id, slot, dispute, net);
        emit Closed(bytes32(id), _endedWord(slot, dispute, due), _detail(net, 0, dispute));
    }

    function _endSettled(uint256[6] calldata channel, uint256 id, uint256 slot, int256 net)
        private
        returns (Due memory due)
    {
        uint256 dispute = load(id + 1);
        due = _end(channel, id, slot, dispute, net);
        emit Settled(bytes32(id), _endedWord(slot, dispute, due), _detail(net, dispute.version(), dispute));
    }

    // Cleans the slots. p0 = clamp(contribution0 - net, 0, total), p1 = total - p0: never more than the channel holds.
    function _end(uint256[6] calldata channel, uint256 id, uint256 slot, uint256 dispute, int256 net)
        private
        returns (Due memory due)
    {
        unchecked {
            int256 total = slot.total();
            int256 p0 = slot.contribution(0) - net;
            if (p0 < 0) p0 = 0;
            if (p0 > total) p0 = total;
            (due.amount0, due.amount1) = (uint256(p0), uint256(total - p0));
        }
        store(id, slot.ended());
        if (slot.disputed()) {
            (due.bond, due.bondTo) = (channel.bond(), _bondTo(channel, id, dispute));
            store(id + 1, 0);
            store(id + 2, 0);
        }
    }

    // Whose the bond is. Takes the attached beneficiary out of slot 3.
    function _bondTo(uint256[6] calldata channel, uint256 id, uint256 dispute) private returns (address to) {
        to = channel.payout(dispute.challenger() ^ (dispute.forfeited() ? 1 : 0));
        if (dispute.rewarded()) {
            if (dispute.forfeited()) to = address(uint160(load(id + 3)));
            store(id + 3, 0);
        }
    }

    // A bond for a payee of the native coin goes with its share.
    function _merge(uint256[6] calldata channel, Due memory due) private pure {
        if (due.bond == 0 || channel.asset() != address(0)) return;
        if (due.bondTo == channel.payout(0)) {
            (due.amount0, due.bond) = (due.amount0 + due.bond, 0);
        } else if (due.bondTo == channel.payout(1)) {
            (due.amount1, due.bond) = (due.amount1 + due.bond, 0);
        }
    }

    function _payAll(uint256[6] calldata channel, Due memory due) private {
        _merge(channel, due);
        address asset = channel.asset();
        _pay(asset, channel.payout(0), due.amount0);
        _pay(asset, channel.payout(1), due.amount1);
        _pay(address(0), due.bondTo, due.bond);
    }

    function _payAll(uint256[6] calldata channel, Due memory due, Purse memory purse) private {
        _merge(channel, due);
        address asset = channel.asset();
        _pay(asset, channel.payout(0), due.amount0, purse);
        _pay(asset, channel.payout(1), due.amount1, purse);
        _pay(address(0), due.bondTo, due.bond, purse);
    }

    function _endedWord(uint256 slot, uint256 dispute, Due memory due) private pure returns (uint256) {
        return eventWord(due.amount0, due.amount1, slot.epoch(), dispute.forfeited() ? 1 : 0);
    }

    function _detail(int256 net, uint256 version, uint256 dispute) private pure returns (uint256) {
        return uint112(uint256(net)) | (version << 112) | (dispute.deadline() << 176);
    }
}
