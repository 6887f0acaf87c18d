// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {CloseItem, IAdjudicator, Signature} from "./IAdjudicator.sol";
import "../src/Reverts.sol";
import {Base, Pair} from "./Base.sol";
import {Payee} from "./Hostile.sol";
import {LyingToken, OldToken} from "./tokens/Hostile.sol";

contract EndingsTest is Base {
    // Against the rule of protocol.md, in plain arithmetic; no more than was there is ever paid.
    function testFuzz_close_pays_what_the_rule_says(uint96 a, uint96 b, int112 net, bool native) public {
        vm.assume(a > 0 && b > 0);
        Pair memory p = newPair(native ? address(0) : address(token));
        deposit(p, 0, a);
        deposit(p, 1, b);
        close(p, net);
        int256 total = int256(uint256(a)) + int256(uint256(b));
        int256 p0 = int256(uint256(a)) - net;
        if (p0 < 0) p0 = 0;
        if (p0 > total) p0 = total;
        eq(balance(p.asset, p.payout[0]), uint256(p0), "side 0");
        eq(balance(p.asset, p.payout[1]), uint256(total - p0), "side 1");
        eq(balance(p.asset, address(adj)), 0, "nothing stays");
        eq(slot(p, 0), uint256(1) << 239, "clean slots, next epoch");
    }

    function test_close_is_not_replayed() public {
        Pair memory p = newPair(address(0));
        deposit(p, 0, 100);
        uint256[6] memory w = words(p);
        Signature[2] memory sigs = both(p, closeFields(p, 10));
        adj.close(w, 10, sigs);
        vm.expectRevert(WrongEpoch.selector);
        adj.close(w, 10, sigs);
        p.epoch = 1;
        deposit(p, 0, 100);
        w = words(p);
        vm.expectRevert(BadSignature.selector); // the same signatures under another epoch
        adj.close(w, 10, sigs);
    }

    function test_no_replay_across_type_contract_chain_and_channel() public {
        Pair memory p = newPair(address(0));
        deposit(p, 0, 100);
        uint256[6] memory w = words(p);
        Signature[2] memory sigs = both(p, stateFields(p, 0, bytes32(uint256(10))));
        vm.expectRevert(BadSignature.selector);
        adj.close(w, 10, sigs);
        sigs = both(p, closeFields(p, 10));
        Pair memory q = newPair(address(0));
        q.key = p.key;
        uint256[6] memory other = words(q);
        vm.expectRevert(BadSignature.selector);
        adj.close(other, 10, sigs);
        IAdjudicator second = deploy();
        vm.expectRevert(BadSignature.selector);
        second.close(w, 10, sigs);
        vm.chainId(block.chainid + 1);
        IAdjudicator third = deploy();
        vm.expectRevert(BadSignature.selector);
        third.close(w, 10, sigs);
        adj.close(w, 10, sigs); // the chain's own split: still in reach
    }

    function testFuzz_nobody_ends_anothers_channel(uint256 k0, uint256 k1, int112 net, uint8 what) public {
        Pair memory p = newPair(address(0));
        deposit(p, 0, 100);
        k0 = k0 % 2 ** 250 + 1;
        k1 = what % 2 == 0 ? p.key[1] : k1 % 2 ** 250 + 1; // one of them may be a real party
        vm.assume(k0 != p.key[0] && k0 != k1);
        bytes32 d = digest(closeFields(p, net));
        uint256[6] memory w = words(p);
        Signature[2] memory sigs = [signed(k0, d), signed(k1, d)];
        vm.expectRevert(BadSignature.selector);
        adj.close(w, net, sigs);
        if (what % 3 == 0) sigs[0] = signed(p.key[1], d);
        vm.expectRevert(BadSignature.selector);
        adj.close(w, net, sigs);
    }

    function test_signatures_have_one_form() public {
        Pair memory p = newPair(address(0));
        uint256[6] memory w = words(p);
        Signature[2] memory sigs = both(p, closeFields(p, 0));
        uint256 n = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        uint256 vs = uint256(sigs[0].vs);
        uint256 high = n - (vs & ((1 << 255) - 1));
        if (high < 1 << 255) {
            // otherwise EIP-2098 cannot even say it
            sigs[0].vs = bytes32(high | (~vs & (1 << 255)));
            vm.expectRevert(BadSignature.selector);
            adj.close(w, 0, sigs);
        }
    }

    // ecrecover's answer to garbage is no signer's address. All else about this close is in order.
    function test_the_zero_address_signs_nothing() public {
        Pair memory p = newPair(address(0));
        p.key[0] = 0;
        uint256[6] memory w = words(p);
        Signature[2] memory sigs = both(p, closeFields(p, 0));
        vm.expectRevert(BadSignature.selector);
        adj.close(w, 0, sigs);
    }

    function test_close_until_and_including_its_time() public {
        Pair memory p = newPair(address(0));
        uint256[6] memory w = words(p);
        Signature[2] memory sigs = both(p, closeFields(p, 0));
        vm.warp(UNTIL + 1);
        vm.expectRevert(Expired.selector);
        adj.close(w, 0, sigs);
        vm.warp(UNTIL);
        adj.close(w, 0, sigs);
    }

    function testFuzz_a_payees_call_is_its_consent(bool side, bool elided) public {
        Pair memory p = newPair(address(0));
        deposit(p, 0, 100);
        uint256 own = side ? 1 : 0;
        uint256[6] memory w = words(p);
        Signature[2] memory sigs = both(p, closeFields(p, 30));
        Signature memory other = sigs[1 - own];
        vm.expectRevert(BadSignature.selector);
        adj.closeByPayee(w, 30, other);
        vm.prank(p.payout[1 - own]);
        vm.expectRevert(BadSignature.selector); // its own signature is not the other's
        adj.closeByPayee(w, 30, other);
        sigs[own] = Signature(0, 0);
        vm.prank(p.payout[own]);
        if (elided) adj.closeByPayee(w, 30, other);
        else adj.close(w, 30, sigs);
        eq(p.payout[0].balance, 70, "side 0");
        eq(p.payout[1].balance, 30, "side 1");
    }

    function item(Pair memory p, uint256 side, int256 net) private view returns (CloseItem memory) {
        uint256[6] memory w = words(p, side, 0);
        bytes32 payoutNet = bytes32((uint256(uint160(p.payout[1 - side])) << 96) | uint96(uint256(net)));
        Signature memory sig = signed(p.key[1 - side], digest(closeFields(p, net)));
        return CloseItem(w[0], w[1], payoutNet, bytes32(w[5]), sig);
    }

    function testFuzz_batch_of_closes(bool native, int64 net0, int64 net1, uint8 stale) public {
        address hub = address(0x4ab);
        CloseItem[] memory items = new CloseItem[](3);
        Pair[] memory pairs = new Pair[](3);
        for (uint256 i = 0; i < 3; i++) {
            pairs[i] = newPair(native ? address(0) : address(token));
            pairs[i].payout[i % 2] = hub;
            deposit(pairs[i], 0, 1000);
            deposit(pairs[i], 1, 500);
            items[i] = item(pairs[i], i % 2, i == 0 ? int256(net0) : int256(net1));
        }
        if (stale % 4 < 3) items[stale % 4].otherSig.r ^= bytes32(uint256(1));
        vm.prank(hub);
        adj.closeBatch(pairs[0].asset, items);
        uint256 held = 0;
        for (uint256 i = 0; i < 3; i++) {
            eq(epochOf(pairs[i]), stale % 4 == i ? 0 : 1, "the stale one only stays open");
            held += stale % 4 == i ? 1500 : 0;
        }
        eq(balance(pairs[0].asset, address(adj)), held, "all of the others was paid");
    }

    // --- Payees that do harm ---

    function testFuzz_a_hostile_payee_harms_itself_only(uint8 mode, bool side, bool dispute) public {
        Pair memory p = newPair(address(0));
        Payee bad = new Payee();
        uint256 own = side ? 1 : 0;
        p.payout[own] = address(bad);
        bad.set(1 + mode % 4);
        deposit(p, 0, 1000);
        deposit(p, 1, 500);
        if (dispute) {
            challenge(p, 1 - own, 0, 0);
            vm.warp(block.timestamp + p.period + 1);
            settle(p, 0, "");
        } else {
            close(p, 0);
        }
        uint256 others = (own == 0 ? 500 : 1000) + (dispute ? p.bond : 0);
        eq(p.payout[1 - own].balance, others, "the other side has its money");
        uint256 credited = adj.credit(address(bad), address(0));
        eq(credited, own == 0 ? 1000 : 500, "credited");
        vm.expectRevert(NotParticipant.selector);
        adj.claim(address(bad), address(0), address(this));
        vm.expectRevert(TransferFailed.selector);
        adj.claim{gas: 1_000_000}(address(bad), address(0), address(bad));
        vm.prank(address(bad));
        adj.claim(address(bad), address(0), address(0xcafe));
        eq(address(0xcafe).balance, credited, "claimed to another address");
        vm.prank(address(bad));
        vm.expectRevert(ZeroAmount.selector);
        adj.claim(address(bad), address(0), address(0xcafe));
        eq(address(adj).balance, 0, "nothing stays");
    }

    function test_anyone_may_push_a_credit_to_its_payee() public {
        Pair memory p = newPair(address(0));
        Payee once = new Payee();
        p.payout[0] = address(once);
        once.set(1);
        deposit(p, 0, 1000);
        close(p, 0);
        once.set(0);
        vm.prank(address(0xbeef));
        adj.claim(address(once), address(0), address(once));
        eq(address(once).balance, 1000, "pushed");
    }

    function test_no_entry_while_money_goes_out() public {
        Pair memory p = newPair(address(0));
        Pair memory q = newPair(address(0));
        Payee thief = new Payee();
        p.payout[0] = address(thief);
        q.payout[0] = address(thief);
        deposit(p, 0, 1000);
        deposit(q, 0, 1000);
        bytes[4] memory calls = [
            abi.encodeCall(adj.close, (words(q), 0, both(q, closeFields(q, 0)))),
            abi.encodeCall(adj.claim, (address(thief), address(0), address(thief))),
            abi.encodeCall(adj.depositNative, (paramsHash(q), where(q, 0))),
            abi.encodeCall(adj.settle, (words(q), 0, 7, ""))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            thief.onReceive(address(adj), calls[i]);
            withdraw(p, i, 0, 100);
            require(!thief.succeeded(), "entered");
            require(bytes4(thief.result()) == IAdjudicator.ReentrancyGuardReentrantCall.selector, "by the guard");
        }
        eq(address(thief).balance, 400, "its own only");
        eq(address(adj).balance, 1600, "the rest is there");
    }

    // Whatever the sender's gas limit: all is paid, or nothing has happened. With the check of _requireGas, closing begins to
    // succeed at 187,000; without, it would pay one side only up to 153,000, and without its margin from 146,000 on.
    function testFuzz_a_gas_limit_starves_nobody(uint256 limit) public {
        limit = 130_000 + limit % 70_000;
        Pair memory p = newPair(address(0));
        Payee busy = new Payee();
        busy.set(6);
        p.payout[1] = address(busy);
        deposit(p, 0, 1000);
        deposit(p, 1, 500);
        bytes memory data = abi.encodeCall(adj.close, (words(p), 0, both(p, closeFields(p, 0))));
        (bool ok,) = address(adj).call{gas: limit}(data);
        eq(p.payout[0].balance, ok ? 1000 : 0, "side 0");
        eq(p.payout[1].balance, ok ? 500 : 0, "side 1");
        eq(adj.credit(p.payout[0], address(0)) + adj.credit(p.payout[1], address(0)), 0, "no credit");
    }

    // The check before a payout, by its name: 100,000 gas for coin, 300,000 for a token, and what the call itself takes.
    function testFuzz_too_little_gas_for_a_payout(bool native, uint256 limit) public {
        Pair memory p = newPair(native ? address(0) : address(token));
        deposit(p, 0, 1000);
        uint256[6] memory w = words(p);
        Signature[2] memory sigs = both(p, closeFields(p, 0));
        limit = native ? 100_000 + limit % 40_000 : 300_000 + limit % 40_000;
        vm.expectRevert(NotEnoughGas.selector);
        adj.close{gas: limit}(w, 0, sigs);
        eq(epochOf(p), 0, "nothing has happened");
        adj.close{gas: limit + 120_000}(w, 0, sigs);
        eq(balance(p.asset, p.payout[0]), 1000, "with more it does");
    }

    function testFuzz_a_token_out_of_order_is_credited(uint8 how) public {
        OldToken old = new OldToken();
        old.mint(address(this), 1000);
        Pair memory p = newPair(address(old));
        deposit(p, 0, 300);
        deposit(p, 1, 700);
        if (how % 2 == 0) old.setPaused(true);
        else old.setBlocked(p.payout[0], true);
        close(p, 0);
        eq(adj.credit(p.payout[0], address(old)), 300, "side 0 is credited");
        eq(how % 2 == 0 ? adj.credit(p.payout[1], address(old)) : old.balanceOf(p.payout[1]), 700, "side 1");
        old.setPaused(false);
        vm.prank(p.payout[0]);
        adj.claim(p.payout[0], address(old), address(0xcafe));
        eq(old.balanceOf(address(0xcafe)), 300, "claimed");
    }

    function testFuzz_only_true_is_a_payment(uint256 answer) public {
        vm.assume(answer != 1);
        LyingToken liar = new LyingToken();
        liar.mint(address(this), 10_000);
        Pair memory p = newPair(address(liar));
        deposit(p, 0, 10_000);
        liar.setAnswer(answer);
        close(p, 0);
        eq(adj.credit(p.payout[0], address(liar)), 9900, "credited");
        liar.setAnswer(1);
        adj.claim(p.payout[0], address(liar), p.payout[0]);
        eq(adj.credit(p.payout[0], address(liar)), 0, "claimed");
    }

    // A token that its owner destroys must not hold up the channel.
    function test_a_token_without_code() public {
        Pair memory p = newPair(address(token));
        deposit(p, 0, 300);
        challenge(p, 1, 0, 0);
        vm.warp(block.timestamp + p.period + 1);
        etchNothing(address(token));
        settle(p, 0, "");
        eq(p.payout[1].balance, p.bond, "the bond came back");
        eq(adj.credit(p.payout[0], address(token)), 300, "credited");
    }

    function etchNothing(address who) private {
        (bool ok,) = address(vm).call(abi.encodeWithSignature("etch(address,bytes)", who, ""));
        require(ok);
    }

    // --- Withdraw and move ---

    function test_withdrawals_in_order_and_once() public {
        Pair memory p = newPair(address(0));
        deposit(p, 0, 1000);
        withdraw(p, 0, 1, 300); // the other side's payee: it was paid off chain
        eq(p.payout[1].balance, 300, "paid");
        require(contribution(p, 1) == -300, "negative");
        uint256[6] memory w = words(p, 1, 0);
        bytes32 what = bytes32(uint256(300));
        Signature[2] memory sigs = both(p, withdrawFields(p, 0, 1, 300));
        vm.expectRevert(WrongSeq.selector);
        adj.withdraw(w, what, sigs);
        what = bytes32((uint256(1) << 112) | 701);
        sigs = both(p, withdrawFields(p, 1, 1, 701));
        vm.expectRevert(TooMuch.selector);
        adj.withdraw(w, what, sigs);
        w[1] |= 2;
        vm.expectRevert(BadSide.selector);
        adj.withdraw(w, what, sigs);
        close(p, 0);
        eq(p.payout[0].balance, 700, "the rest: p0 = clamp(1000 - 0, 0, 700)");
    }

    function testFuzz_a_payees_withdrawal_is_its_consent(bool sender, bool taker) public {
        Pair memory p = newPair(address(0));
        deposit(p, 0, 1000);
        (uint256 own, uint256 side) = (sender ? 1 : 0, taker ? 1 : 0);
        uint256[6] memory w = words(p, side, 0);
        bytes32 what = bytes32(uint256(300));
        Signature[2] memory sigs = both(p, withdrawFields(p, 0, side, 300));
        vm.expectRevert(BadSignature.selector); // by nobody's payee
        adj.withdrawByPayee(w, what, sigs[1 - own]);
        vm.prank(p.payout[own]);
        vm.expectRevert(BadSignature.selector); // its own signature is not the other's
        adj.withdrawByPayee(w, what, sigs[own]);
        vm.prank(p.payout[own]);
        vm.expectRevert(BadSignature.selector); // another amount than was signed
        adj.withdrawByPayee(w, bytes32(uint256(301)), sigs[1 - own]);
        vm.prank(p.payout[own]);
        adj.withdrawByPayee(w, what, sigs[1 - own]);
        eq(p.payout[side].balance, 300, "to the payee of the side that withdraws");
        eq(p.payout[1 - side].balance, 0, "to nobody else");
        require(contribution(p, side) == (taker ? -300 : int256(700)), "of its contribution");
        vm.prank(p.payout[own]);
        vm.expectRevert(WrongSeq.selector); // once
        adj.withdrawByPayee(w, what, sigs[1 - own]);
    }

    function test_the_last_number() public {
        Pair memory p = newPair(address(0));
        deposit(p, 0, 1000);
        vm.store(address(adj), idOf(p), bytes32(slot(p, 0) | (0x7ffe << 224)));
        withdraw(p, 0x7ffe, 0, 1);
        uint256[6] memory w = words(p);
        Signature[2] memory sigs = both(p, withdrawFields(p, 0x7fff, 0, 1));
        vm.expectRevert(LastSeq.selector);
        adj.withdraw(w, bytes32((uint256(0x7fff) << 112) | 1), sigs);
        close(p, 0);
        eq(p.payout[0].balance, 1000, "ends all the same");
    }

    function moveSigs(Pair memory p, Pair memory q, uint256 seq, uint256 amount)
        private
        view
        returns (Signature[2] memory)
    {
        bytes32 kind = keccak256(
            "Move(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil,bytes32 toId,uint16 toEpoch,uint8 toSide)"
        );
        return both(p, abi.encode(kind, idOf(p), p.epoch, seq, 0, amount, UNTIL, idOf(q), q.epoch, 1));
    }

    function testFuzz_move(uint64 amount, bool native) public {
        vm.assume(amount > 0);
        Pair memory p = newPair(native ? address(0) : address(token));
        Pair memory q = newPair(p.asset);
        deposit(p, 0, amount);
        Signature[2] memory sigs = moveSigs(p, q, 0, amount);
        bytes32 to = paramsHash(q);
        uint256[6] memory w = words(p);
        vm.expectRevert(BadSignature.selector);
        adj.move(w, bytes32(uint256(amount)), to, where(q, 0), sigs);
        adj.move(w, bytes32(uint256(amount)), to, where(q, 1), sigs);
        require(contribution(p, 0) == 0 && contribution(q, 1) == int256(uint256(amount)), "moved");
        vm.expectRevert(WrongSeq.selector);
        adj.move(w, bytes32(uint256(amount)), to, where(q, 1), sigs);
        close(q, 0);
        eq(balance(p.asset, q.payout[1]), amount, "out of the other one");
    }

    function test_move_stays_within_one_asset_and_away_from_disputes() public {
        Pair memory p = newPair(address(0));
        Pair memory q = newPair(address(token));
        deposit(p, 0, 100);
        Signature[2] memory sigs = moveSigs(p, q, 0, 100);
        bytes32 to = paramsHash(q);
        uint256[6] memory w = words(p);
        vm.expectRevert(BadSignature.selector); // toId is derived with the source's asset
        adj.move(w, bytes32(uint256(100)), to, where(q, 1), sigs);
        to = paramsHash(p);
        vm.expectRevert(SameChannel.selector);
        adj.move(w, bytes32(uint256(100)), to, where(p, 1), sigs);
        q = newPair(address(0));
        challenge(q, 0, 0, 0);
        to = paramsHash(q);
        vm.expectRevert(DisputeOpen.selector);
        adj.move(w, bytes32(uint256(100)), to, where(q, 1), sigs);
    }
}
