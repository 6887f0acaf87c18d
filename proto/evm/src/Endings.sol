// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Identity} from "./Identity.sol";
import {Locks} from "./Locks.sol";
import {Channel, Signature, Dispute, Ledger, eventWord, load, store} from "./Words.sol";
import "./Reverts.sol";

// The ends of an epoch: together (close), or by the standing state of a dispute that is over (settle). An ending checks,
// then cleans the slots, and pays last. An item of a batch that fails its checks is skipped.
abstract contract Endings is Identity, Locks {
    using Dispute for uint256;
    using Ledger for uint256;

    // w: paid to 0, to 1, epoch, bond forfeited; x: net : 112 | version : 64 | deadline of the dispute : 40.
    event Closed(bytes32 indexed id, uint256 w, uint256 x);
    event Settled(bytes32 indexed id, uint256 w, uint256 x);
    event Skipped(bytes32 indexed id, uint256 index, bytes4 reason);

    bytes32 private constant CLOSE = keccak256("Close(bytes32 id,uint16 epoch,int112 net,uint40 validUntil)");

    // A close by one of the payees, who is named by `side` in the second word; its address is the sender's, its signature
    // not needed. The words are those of a channel in calldata, without what all items have in common. (Where net needs more
    // than 96 bits, `close` does.)
    struct CloseItem {
        uint256 signer0Bond;
        uint256 signer1Terms;
        bytes32 otherPayoutNet; // payout : 160 | net : 96, two's complement
        bytes32 tag;
        Signature otherSig;
    }

    struct SettleItem {
        uint256[6] channel;
        int256 net;
        uint256 blind;
        bytes locks;
    }

    function close(uint256[6] calldata channel, int256 net, Signature[2] calldata sigs) external nonReentrant {
        (uint256 sig0, uint256 sig1) = _places(sigs);
        _close(_read(channel), net, sig0, sig1);
    }

    // By one of the payees: only the other side's signature is looked at.
    function closeByPayee(uint256[6] calldata channel, int256 net, Signature calldata sig) external nonReentrant {
        _close(_read(channel), net, _place(sig), _place(sig));
    }

    // Many closes of one asset by a payee of all of them. Its own money comes in one transfer, at the end.
    function closeBatch(address asset, CloseItem[] calldata items) external nonReentrant {
        Channel c = _allocate(uint256(uint160(asset)) << 96);
        CloseItem calldata item;
        assembly {
            item := items.offset
        }
        uint256 own = 0;
        unchecked {
            for (uint256 i = 0; i < items.length; i++) {
                own += _closeItem(c, item, i);
                assembly {
                    item := add(item, 0xc0)
                }
            }
        }
        _pay(asset, msg.sender, own);
    }

    function settle(uint256[6] calldata channel, int256 net, uint256 blind, bytes calldata locks)
        external
        nonReentrant
    {
        Channel c = _read(channel);
        (uint256 slot, int256 result, Reason reason) = _checkSettle(c, net, blind, locks);
        check(reason);
        _payShares(c, slot, result, true);
    }

    function settleBatch(SettleItem[] calldata items) external nonReentrant {
        for (uint256 i = 0; i < items.length; i++) {
            SettleItem calldata item = items[i];
            Channel c = _read(item.channel);
            (uint256 slot, int256 result, Reason reason) = _checkSettle(c, item.net, item.blind, item.locks);
            if (reason.isOk()) {
                _payShares(c, slot, result, true);
            } else {
                emit Skipped(bytes32(c.id()), i, bytes4(Reason.unwrap(reason)));
            }
        }
    }

    function revealBatch(bytes32[] calldata preimages) external {
        for (uint256 i = 0; i < preimages.length; i++) {
            (bool fresh, bytes32 hash) = _reveal(preimages[i]);
            if (!fresh) {
                emit Skipped(hash, i, AlreadyRevealed.selector);
            }
        }
    }

    // Ends a batch's item, pays all but the sender's share, and returns that.
    function _closeItem(Channel c, CloseItem calldata item, uint256 i) private returns (uint256 own) {
        uint256 side = item.signer1Terms & 1;
        int256 net = int96(int256(uint256(item.otherPayoutNet)));
        c.setPayouts(side, msg.sender, uint256(item.otherPayoutNet) >> 96);
        _identify(c, item.signer0Bond, item.signer1Terms, uint256(item.tag));
        (uint256 slot, bytes32 digest, Reason reason) = _checkClose(c, net);
        if (reason.isOk() && !_signed(digest, _place(item.otherSig), c.signer(side ^ 1))) {
            reason = because(BadSignature.selector);
        }
        if (!reason.isOk()) {
            emit Skipped(bytes32(c.id()), i, bytes4(Reason.unwrap(reason)));
            return 0;
        }
        uint256 other;
        (own, other) = _end(c, slot, net, false);
        if (side != 0) (own, other) = (other, own);
        if (other != 0) _pay(c.asset(), address(uint160(c.payout(side ^ 1))), other);
    }

    function _close(Channel c, int256 net, uint256 sig0, uint256 sig1) private {
        (uint256 slot, bytes32 digest, Reason reason) = _checkClose(c, net);
        check(reason);
        require(_consent(c, digest, sig0, sig1), BadSignature());
        _payShares(c, slot, net, false);
    }

    // All but the signatures, which are to be on `digest`.
    function _checkClose(Channel c, int256 net) private view returns (uint256 slot, bytes32 digest, Reason reason) {
        slot = load(c.id());
        (uint256 epoch, uint256 validUntil) = (c.epoch(), c.validUntil());
        if (slot.epoch() != epoch) return (slot, 0, because(WrongEpoch.selector));
        if (block.timestamp > validUntil) return (slot, 0, because(Expired.selector));
        digest = _digest(CLOSE, c.id(), epoch, uint256(net), validUntil);
    }

    // The deadline itself still belongs to the refuters.
    function _checkSettle(Channel c, int256 net, uint256 blind, bytes calldata locks)
        private
        view
        returns (uint256 slot, int256 result, Reason reason)
    {
        slot = load(c.id());
        if (slot.epoch() != c.epoch()) return (slot, 0, because(WrongEpoch.selector));
        if (!slot.disputed()) return (slot, 0, because(NoDispute.selector));
        uint256 dispute = load(c.slot(1));
        if (block.timestamp <= dispute.deadline()) return (slot, 0, because(TooEarly.selector));
        if (dispute.version() == 0) return (slot, 0, OK);
        bytes32 locksHash = locks.length == 0 ? bytes32(0) : keccak256(locks);
        if (keccak256(abi.encode(net, locksHash, blind)) != bytes32(load(c.slot(2)))) {
            return (slot, 0, because(WrongOutcome.selector));
        }
        (result, reason) = locks.length == 0 ? (net, OK) : _resolve(locks, net);
    }

    function _payShares(Channel c, uint256 slot, int256 net, bool settled) private {
        (uint256 p0, uint256 p1) = _end(c, slot, net, settled);
        _pay(c.asset(), address(uint160(c.payout(0))), p0);
        _pay(c.asset(), address(uint160(c.payout(1))), p1);
    }

    // Ends the epoch, pays the bond of a dispute, and returns what is left to pay to each side:
    // p0 = clamp(contribution0 - net, 0, total), p1 = total - p0, which is never more than the channel holds.
    function _end(Channel c, uint256 slot, int256 net, bool settled) private returns (uint256 p0, uint256 p1) {
        unchecked {
            int256 total = slot.total();
            int256 share = slot.contribution(0) - net;
            if (share < 0) share = 0;
            if (share > total) share = total;
            (p0, p1) = (uint256(share), uint256(total - share));
        }
        store(c.id(), slot.ended());
        if (slot.disputed()) return _endDispute(c, net, p0, p1, settled);
        emit Closed(bytes32(c.id()), eventWord(p0, p1, slot.epoch(), 0), _detail(net, 0, 0));
    }

    // Cleans the slots of a dispute and pays its bond: with a share of the native coin, if it goes to the same payee.
    function _endDispute(Channel c, int256 net, uint256 p0, uint256 p1, bool settled)
        private
        returns (uint256, uint256)
    {
        uint256 dispute = load(c.slot(1));
        uint256 to = _bondTo(c, dispute);
        store(c.slot(1), 0);
        store(c.slot(2), 0);
        uint256 w = eventWord(p0, p1, c.epoch(), dispute.forfeited() ? 1 : 0);
        if (settled) {
            emit Settled(bytes32(c.id()), w, _detail(net, dispute.version(), dispute.deadline()));
        } else {
            emit Closed(bytes32(c.id()), w, _detail(net, 0, dispute.deadline()));
        }
        if (c.asset() == address(0) && to == c.payout(0)) return (p0 + c.bond(), p1);
        if (c.asset() == address(0) && to == c.payout(1)) return (p0, p1 + c.bond());
        _pay(address(0), address(uint160(to)), c.bond());
        return (p0, p1);
    }

    // Whose the bond is. Takes the attached beneficiary out of slot 3.
    function _bondTo(Channel c, uint256 dispute) private returns (uint256 to) {
        to = c.payout(dispute.challenger() ^ (dispute.forfeited() ? 1 : 0));
        if (dispute.rewarded()) {
            if (dispute.forfeited()) to = load(c.slot(3));
            store(c.slot(3), 0);
        }
    }

    function _detail(int256 net, uint256 version, uint256 deadline) private pure returns (uint256) {
        return uint112(uint256(net)) | (version << 112) | (deadline << 176);
    }
}
