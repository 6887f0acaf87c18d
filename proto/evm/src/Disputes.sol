// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Identity} from "./Identity.sol";
import {Channel, Signature, Dispute, Ledger, load, store} from "./Words.sol";
import "./Reverts.sol";

// Challenge and refutation. Slots 1 and 2 of a channel hold the standing state, slot 3 who is to have a forfeited bond.
// A refutation depends on the version it shows only, never on what it replaces, so that nobody can make it fail.
abstract contract Disputes is Identity, ReentrancyGuardTransient {
    using Dispute for uint256;
    using Ledger for uint256;

    event Challenged(bytes32 indexed id, uint256 w, bytes32 salt); // version, deadline, epoch, side
    event Refuted(bytes32 indexed id, uint256 w); // version, deadline, epoch, forfeited
    event RefutedFor(bytes32 indexed id, uint256 w, address beneficiary); // the same

    bytes32 private constant CHALLENGE =
        keccak256("Challenge(bytes32 id,uint16 epoch,uint8 side,uint64 version,bytes32 outcomeHash,uint40 validUntil)");
    bytes32 private constant BOUNTY = keccak256("Bounty(bytes32 id,uint16 epoch,address beneficiary)");

    // Above the challenged version by more than this, a state holds one that the challenger had adopted ...
    uint256 private constant HONEST_REACH = 3;
    // ... unless it is a bare resume: one of the first versions above a multiple of 2^32.
    uint256 private constant RESUME_LOW_MAX = 2;
    // A refutation within this many seconds of the deadline, or half of the period if that is less, extends it by as much.
    uint256 private constant EXTENSION = 3600;

    // By the side's signer or payout. Word 5 holds the salt, version 0 needs no state.
    function challenge(uint256[6] calldata channel, bytes32 outcomeHash, Signature[2] calldata sigs)
        external
        payable
        nonReentrantView
    {
        (Channel c, uint256 slot) = _checkChallenge(channel);
        require(_isParticipant(c), NotParticipant());
        _open(c, slot, channel[5], outcomeHash, sigs);
    }

    // By anyone, with the side's signature on Challenge.
    function challengeFor(
        uint256[6] calldata channel,
        bytes32 outcomeHash,
        Signature[2] calldata sigs,
        Signature calldata challengeSig
    ) external payable nonReentrantView {
        (Channel c, uint256 slot) = _checkChallenge(channel);
        if (!_isParticipant(c)) {
            bytes32 digest =
                _digest(abi.encode(CHALLENGE, c.id(), c.epoch(), c.side(), c.version(), outcomeHash, c.validUntil()));
            require(_signed(digest, _place(challengeSig), c.signer(c.side())), NotParticipant());
            require(block.timestamp <= c.validUntil(), Expired());
        }
        _open(c, slot, channel[5], outcomeHash, sigs);
    }

    function refute(uint256[6] calldata channel, bytes32 outcomeHash, Signature[2] calldata sigs)
        external
        nonReentrantView
    {
        (Channel c, uint256 dispute) = _checkRefutation(channel);
        require(c.version() > dispute.version(), NotNewer());
        require(_stateSigned(c, outcomeHash, sigs), BadSignature());
        dispute = _replace(c, dispute, outcomeHash);
        store(c.slot(1), dispute);
        emit Refuted(bytes32(c.id()), _refutedWord(c, dispute));
    }

    // The same, and a forfeited bond goes to the one whom the challenged side's Bounty names. At the standing version it
    // adds that only, if nobody is named yet: so copying a tower's refutation without its Bounty takes nothing from it.
    function refuteFor(
        uint256[6] calldata channel,
        bytes32 outcomeHash,
        Signature[2] calldata sigs,
        address beneficiary,
        Signature calldata bountySig
    ) external nonReentrantView {
        (Channel c, uint256 dispute) = _checkRefutation(channel);
        bool newer = c.version() > dispute.version();
        require(newer || (c.version() == dispute.version() && !dispute.rewarded()), NotNewer());
        require(_stateSigned(c, outcomeHash, sigs), BadSignature());
        bytes32 bounty = _digest(abi.encode(BOUNTY, c.id(), c.epoch(), beneficiary));
        require(_signed(bounty, _place(bountySig), c.signer(dispute.challenger() ^ 1)), BadSignature());
        if (newer) {
            dispute = _replace(c, dispute, outcomeHash);
        }
        dispute = dispute.withReward();
        store(c.slot(1), dispute);
        store(c.slot(3), uint160(beneficiary));
        emit RefutedFor(bytes32(c.id()), _refutedWord(c, dispute), beneficiary);
    }

    // An empty channel may be challenged, too: a check could be passed with one unit, and the exit should depend on nothing.
    function _checkChallenge(uint256[6] calldata channel) private view returns (Channel c, uint256 slot) {
        c = _read(channel, uint256(keccak256(abi.encode(channel[5]))));
        require(c.side() < 2, BadSide());
        require(msg.value == c.bond(), WrongValue());
        slot = load(c.id());
        require(slot.epoch() == c.epoch(), WrongEpoch());
        require(!slot.disputed(), DisputeOpen());
    }

    function _isParticipant(Channel c) private view returns (bool) {
        uint256 sender = uint160(msg.sender);
        return sender == c.signer(c.side()) || sender == c.payout(c.side());
    }

    function _open(Channel c, uint256 slot, uint256 salt, bytes32 outcomeHash, Signature[2] calldata sigs) private {
        if (c.version() == 0) {
            require(outcomeHash == 0, WrongOutcome());
        } else {
            require(_stateSigned(c, outcomeHash, sigs), BadSignature());
            store(c.slot(2), uint256(outcomeHash));
        }
        uint256 deadline = block.timestamp + c.challengePeriod();
        store(c.id(), slot.withDispute());
        store(c.slot(1), Dispute.create(c.version(), deadline, c.side()));
        emit Challenged(bytes32(c.id()), _word(c, deadline, c.side()), bytes32(salt));
    }

    // The deadline itself still belongs to the refuters.
    function _checkRefutation(uint256[6] calldata channel) private view returns (Channel c, uint256 dispute) {
        c = _read(channel);
        uint256 slot = load(c.id());
        require(slot.epoch() == c.epoch(), WrongEpoch());
        require(slot.disputed(), NoDispute());
        dispute = load(c.slot(1));
        require(block.timestamp <= dispute.deadline(), TooLate());
    }

    // The dispute with the newer state standing. A refutation close to the deadline leaves the others time to answer it.
    function _replace(Channel c, uint256 dispute, bytes32 outcomeHash) private returns (uint256) {
        store(c.slot(2), uint256(outcomeHash));
        if (_provesLie(dispute, c.version())) {
            dispute = dispute.withForfeit();
        }
        uint256 window = c.challengePeriod() / 2;
        if (window > EXTENSION) window = EXTENSION;
        if (dispute.deadline() - block.timestamp < window && dispute.extendable()) {
            dispute = dispute.extended(window);
        }
        return dispute.withVersion(c.version());
    }

    // True if the challenger must have held a newer state than its own when `version` is shown: it countersigned the other
    // side's version, or what an honest signer may have given away lies within reach.
    function _provesLie(uint256 dispute, uint256 version) private pure returns (bool) {
        unchecked {
            bool countersigned = version & 1 != dispute.challenger();
            bool beyondReach = version - dispute.challengedVersion() > HONEST_REACH && uint32(version) > RESUME_LOW_MAX;
            return countersigned || beyondReach;
        }
    }

    function _refutedWord(Channel c, uint256 dispute) private pure returns (uint256) {
        return _word(c, dispute.deadline(), dispute.forfeited() ? 1 : 0);
    }

    function _word(Channel c, uint256 deadline, uint256 flag) private pure returns (uint256) {
        return c.version() | (deadline << 64) | (c.epoch() << 224) | (flag << 240);
    }
}
