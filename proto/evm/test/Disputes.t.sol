// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SettleItem, Signature} from "./IAdjudicator.sol";
import "../src/Reverts.sol";
import {Base, Pair} from "./Base.sol";

contract DisputesTest is Base {
    bytes32 private constant OUT = keccak256(abi.encode(int256(30), bytes32(0), uint256(7)));

    function opened(uint256 side, uint256 version) private returns (Pair memory p) {
        p = newPair(address(0));
        deposit(p, 0, 100);
        challenge(p, side, version, OUT);
    }

    function over(Pair memory p) private {
        vm.warp(deadlineOf(p) + 1);
    }

    function test_challenge_refute_settle() public {
        Pair memory p = opened(0, 4);
        eq(deadlineOf(p), block.timestamp + p.period, "deadline");
        refute(p, 7, outcomeOf(60, ""));
        require(forfeited(p), "side 1's version: side 0 had countersigned it");
        over(p);
        settle(p, 60, "");
        eq(p.payout[0].balance, 40, "side 0");
        eq(p.payout[1].balance, 60 + p.bond, "side 1, and the bond");
        for (uint256 k = 1; k < 4; k++) {
            eq(slot(p, k), 0, "clean");
        }
    }

    // Bond: forfeited if the version is the other side's, or beyond what an honest challenger can have signed.
    function testFuzz_bond(bool side, uint64 challenged, uint64 v) public {
        vm.assume(challenged > 0 && v > challenged);
        uint256 own = side ? 1 : 0;
        Pair memory p = opened(own, challenged);
        refute(p, v, outcomeOf(0, ""));
        bool lie = v % 2 != own || (v - challenged > 3 && uint32(v) > 2);
        require(forfeited(p) == lie, "rule");
        over(p);
        settle(p, 0, "");
        eq(p.payout[own].balance, (own == 0 ? 100 : 0) + (lie ? 0 : p.bond), "challenger");
        eq(p.payout[1 - own].balance, (own == 0 ? 0 : 100) + (lie ? p.bond : 0), "other side");
    }

    function test_forfeiture_is_sticky() public {
        Pair memory p = opened(0, 2);
        refute(p, 3, OUT);
        refute(p, 4, OUT); // alone, it would not forfeit
        require(forfeited(p), "still");
    }

    // What replaces does not depend on what it replaces; an older one never does.
    function testFuzz_only_newer_refutes(uint64 a, uint64 b) public {
        vm.assume(a > 1 && b > 1);
        Pair memory p = opened(0, 1);
        refute(p, a, OUT);
        uint256[6] memory w = words(p, 0, b);
        Signature[2] memory sigs = both(p, stateFields(p, b, OUT));
        if (b <= a) vm.expectRevert(NotNewer.selector);
        adj.refute(w, OUT, sigs);
    }

    function test_refute_until_and_settle_after_the_deadline() public {
        Pair memory p = opened(0, 1);
        p.period = 86400;
        vm.warp(deadlineOf(p));
        uint256[6] memory w = words(p);
        vm.expectRevert(TooEarly.selector);
        adj.settle(w, 30, 7, "");
        refute(p, 2, OUT); // extends
        vm.warp(deadlineOf(p) + 1);
        w = words(p, 0, 3);
        Signature[2] memory sigs = both(p, stateFields(p, 3, OUT));
        vm.expectRevert(TooLate.selector);
        adj.refute(w, OUT, sigs);
        vm.expectRevert(WrongOutcome.selector);
        adj.settle(w, 31, 7, "");
        adj.settle(w, 30, 7, "");
    }

    function testFuzz_at_most_two_extensions(uint32 period, uint8 n) public {
        Pair memory p = newPair(address(0));
        p.period = period;
        challenge(p, 0, 1, OUT);
        uint256 first = deadlineOf(p);
        uint256 window = period / 2 < 3600 ? period / 2 : 3600;
        n = n % 6;
        for (uint256 i = 0; i < n; i++) {
            vm.warp(deadlineOf(p));
            refute(p, i + 2, OUT);
        }
        eq(deadlineOf(p), first + window * (n < 2 ? n : 2), "bounded");
    }

    function test_who_may_challenge() public {
        Pair memory p = newPair(address(0));
        uint256[6] memory w = salted(p, 0, 0);
        Signature[2] memory none;
        vm.deal(address(0xbad), 10 ether);
        vm.prank(address(0xbad));
        vm.expectRevert(NotParticipant.selector);
        adj.challenge{value: p.bond}(w, 0, none);
        vm.expectRevert(WrongValue.selector);
        adj.challenge{value: p.bond - 1}(w, 0, none);
        bytes32 kind = keccak256(
            "Challenge(bytes32 id,uint16 epoch,uint8 side,uint64 version,bytes32 outcomeHash,uint40 validUntil)"
        );
        bytes memory fields = abi.encode(kind, idOf(p), 0, 0, 0, bytes32(0), UNTIL);
        Signature memory wrong = signed(p.key[1], digest(fields));
        vm.expectRevert(NotParticipant.selector);
        adj.challengeFor{value: p.bond}(w, 0, none, wrong);
        Signature memory right = signed(p.key[0], digest(fields));
        vm.warp(UNTIL + 1);
        vm.expectRevert(Expired.selector);
        adj.challengeFor{value: p.bond}(w, 0, none, right);
        vm.warp(1_800_000_000);
        adj.challengeFor{value: p.bond}(w, 0, none, right);
        vm.expectRevert(DisputeOpen.selector);
        adj.challengeFor{value: p.bond}(w, 0, none, right);
    }

    function test_version_0_carries_nothing() public {
        Pair memory p = newPair(address(0));
        uint256[6] memory w = salted(p, 0, 0);
        Signature[2] memory none;
        vm.deal(vm.addr(p.key[0]), 1 ether);
        vm.prank(vm.addr(p.key[0]));
        vm.expectRevert(WrongOutcome.selector);
        adj.challenge{value: 1 ether}(w, OUT, none);
    }

    // --- Bounties ---

    function test_copying_without_the_bounty_takes_nothing_from_a_tower() public {
        Pair memory p = opened(0, 2);
        refute(p, 7, outcomeOf(60, "")); // a copy of the tower's, first
        refuteFor(p, 7, outcomeOf(60, ""), 1, address(0x70)); // is taken all the same
        eq(slot(p, 3), 0x70, "attached");
        over(p);
        settle(p, 60, "");
        eq(address(0x70).balance, p.bond, "paid");
        eq(p.payout[1].balance, 60, "the victim keeps its money");
        eq(slot(p, 3), 0, "clean");
    }

    function test_a_newer_bounty_replaces_and_a_newer_refutation_keeps() public {
        Pair memory p = opened(0, 2);
        refuteFor(p, 5, OUT, 1, address(0x70));
        uint256[6] memory w = words(p, 0, 5);
        Signature[2] memory sigs = both(p, stateFields(p, 5, OUT));
        Signature memory bounty = bountyFor(p, 1, address(0x71));
        vm.expectRevert(NotNewer.selector);
        adj.refuteFor(w, OUT, sigs, address(0x71), bounty);
        refute(p, 7, OUT);
        eq(slot(p, 3), 0x70, "kept");
        refuteFor(p, 9, OUT, 1, address(0x71));
        eq(slot(p, 3), 0x71, "replaced");
    }

    // The challenger cannot name itself, nor make its own challenge forfeit by showing it again.
    function test_refuting_oneself_earns_nothing() public {
        Pair memory p = opened(0, 5); // side 1's version, rightly held by side 0
        uint256[6] memory w = words(p, 0, 7);
        Signature[2] memory sigs = both(p, stateFields(p, 7, OUT));
        Signature memory own = bountyFor(p, 0, address(0x70));
        vm.expectRevert(BadSignature.selector);
        adj.refuteFor(w, OUT, sigs, address(0x70), own);
        refuteFor(p, 5, OUT, 1, address(0x70));
        require(!forfeited(p), "the standing version is no refutation");
        over(p);
        settle(p, 30, "");
        eq(p.payout[0].balance, 70 + p.bond, "the bond came back");
    }

    function test_a_close_in_a_dispute_sends_the_bond_as_settle_would() public {
        Pair memory p = opened(0, 2);
        refuteFor(p, 7, OUT, 1, address(0x70));
        close(p, 10);
        eq(address(0x70).balance, p.bond, "bond");
        eq(p.payout[1].balance, 10, "as agreed");
        eq(slot(p, 1) + slot(p, 2) + slot(p, 3), 0, "clean");
    }

    function test_withdrawal_in_a_dispute() public {
        Pair memory p = opened(0, 2);
        withdraw(p, 0, 0, 80);
        over(p);
        settle(p, 30, "");
        eq(p.payout[0].balance, 80 + p.bond, "withdrawn, and nothing more: p0 = clamp(20 - 30)");
        eq(p.payout[1].balance, 20, "what was left");
    }

    function test_batch_of_settlements_skips_what_is_stale() public {
        Pair[3] memory p = [opened(0, 2), opened(1, 3), opened(0, 4)];
        SettleItem[] memory items = new SettleItem[](3);
        for (uint256 i = 0; i < 3; i++) {
            items[i] = SettleItem(words(p[i]), i == 1 ? int256(31) : int256(30), 7, "");
        }
        over(p[0]);
        adj.settleBatch(items);
        for (uint256 i = 0; i < 3; i++) {
            eq(epochOf(p[i]), i == 1 ? 0 : 1, "all but the one with a wrong outcome");
        }
        eq(address(adj).balance, 100 + p[1].bond, "the rest was paid");
    }

    function testFuzz_signatures_of_a_state(uint256 bit, uint64 v) public {
        vm.assume(v > 2);
        Pair memory p = opened(0, 2);
        uint256[6] memory w = words(p, 0, v);
        Signature[2] memory sigs = both(p, stateFields(p, v, OUT));
        bytes32 mask = bytes32(uint256(1) << (bit % 256));
        if (bit % 7 < 2) sigs[bit % 2].r ^= mask;
        else if (bit % 7 < 4) sigs[bit % 2].vs ^= mask;
        else if (bit % 7 == 4) w[4] ^= 1 << (bit % 64);
        else if (bit % 7 == 5) (sigs[0], sigs[1]) = (sigs[1], sigs[0]);
        else sigs[0] = sigs[1];
        vm.expectRevert();
        adj.refute(w, OUT, sigs);
    }
}
