// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Funding, IAdjudicator, Signature} from "./IAdjudicator.sol";
import "../src/Reverts.sol";
import {Base, Pair} from "./Base.sol";
import {FeeToken, HookToken, OldToken} from "./tokens/Hostile.sol";

contract DepositsTest is Base {
    function testFuzz_credits_the_side(uint112 amount, bool side, bool native) public {
        vm.assume(amount > 0 && int256(uint256(amount)) <= MAX);
        Pair memory p = newPair(native ? address(0) : address(token));
        deposit(p, side ? 1 : 0, amount);
        eq(uint256(contribution(p, side ? 1 : 0)), amount, "credited");
        eq(uint256(contribution(p, side ? 0 : 1)), 0, "other side");
        eq(balance(p.asset, address(adj)), amount, "held");
    }

    // After a withdrawal a side's contribution may be negative: the fields must not run into each other.
    function testFuzz_adds_to_a_negative_contribution(uint64 a, uint64 b, uint64 taken, uint64 more) public {
        vm.assume(a > 0 && b > 0 && more > 0 && taken > 0 && taken <= uint256(a) + b);
        Pair memory p = newPair(address(0));
        deposit(p, 0, a);
        deposit(p, 1, b);
        withdraw(p, 0, 0, taken);
        deposit(p, 0, more);
        require(contribution(p, 0) == int256(uint256(a)) - int256(uint256(taken)) + int256(uint256(more)), "side 0");
        require(contribution(p, 1) == int256(uint256(b)), "side 1");
    }

    function test_refusals_in_order() public {
        Pair memory p = newPair(address(0));
        bytes32 hash = paramsHash(p);
        vm.expectRevert(WrongEpoch.selector);
        adj.depositNative{value: 1}(hash, bytes32(uint256(2)));
        vm.expectRevert(WrongEpoch.selector);
        adj.depositNative{value: 1}(hash, bytes32(uint256(1) << 200));
        vm.expectRevert(ZeroAmount.selector);
        adj.depositNative(hash, 0);
        vm.expectRevert(Overflow.selector);
        adj.depositNative{value: 2 ** 111}(hash, 0);
        deposit(p, 0, uint256(MAX));
        vm.expectRevert(Overflow.selector);
        adj.depositNative{value: 1}(hash, bytes32(uint256(1)));
        challenge(p, 0, 0, 0);
        vm.expectRevert(DisputeOpen.selector);
        adj.depositNative{value: 1}(hash, 0);
        vm.expectRevert(WrongEpoch.selector);
        adj.depositNative{value: 1}(hash, bytes32(uint256(2)));
    }

    function test_the_last_epoch_takes_no_money_and_ends_for_ever() public {
        Pair memory p = newPair(address(0));
        vm.store(address(adj), idOf(p), bytes32(uint256(0xffff) << 239));
        p.epoch = 0xffff;
        bytes32 hash = paramsHash(p);
        vm.expectRevert(LastEpoch.selector);
        adj.depositNative{value: 1}(hash, where(p, 0));
        challenge(p, 1, 0, 0);
        vm.warp(block.timestamp + p.period + 1);
        settle(p, 0, "");
        eq(epochOf(p), 0xffff, "stays");
        eq(p.payout[1].balance, p.bond, "bond is back");
    }

    function testFuzz_both_sides_at_once(uint96 a, uint96 b, bool native) public {
        Pair memory p = newPair(native ? address(0) : address(token));
        bytes32 hash = paramsHash(p);
        uint256 amounts = (uint256(b) << 112) | a;
        if (a == 0 || b == 0) vm.expectRevert(ZeroAmount.selector);
        if (native) adj.fundNative{value: uint256(a) + b}(Funding(hash, amounts));
        else adj.fund(hash, p.asset, bytes32(amounts));
        if (a == 0 || b == 0) return;
        eq(uint256(contribution(p, 0)), a, "side 0");
        eq(uint256(contribution(p, 1)), b, "side 1");
    }

    function test_both_sides_need_exactly_the_sum() public {
        Funding memory f = Funding(paramsHash(newPair(address(0))), (3 << 112) | 2);
        vm.expectRevert(WrongValue.selector);
        adj.fundNative{value: 4}(f);
        vm.expectRevert(WrongValue.selector);
        adj.fundNative{value: 6}(f);
    }

    function test_batch() public {
        Pair memory p = newPair(address(0));
        Pair memory q = newPair(address(0));
        bytes32[2][] memory items = new bytes32[2][](2);
        items[0] = [paramsHash(p), bytes32(uint256(5))];
        items[1] = [paramsHash(q), bytes32((uint256(1) << 112) | 6)];
        vm.expectRevert(WrongValue.selector);
        adj.depositBatch{value: 10}(address(0), items);
        adj.depositBatch{value: 11}(address(0), items);
        eq(uint256(contribution(p, 0)), 5, "first");
        eq(uint256(contribution(q, 1)), 6, "second");
        vm.expectRevert(WrongValue.selector);
        adj.depositBatch{value: 11}(address(token), items);
        adj.depositBatch(address(token), items);
        eq(token.balanceOf(address(adj)), 11, "tokens");
    }

    // --- Tokens as they are ---

    function test_credits_what_a_token_delivered() public {
        FeeToken fee = new FeeToken();
        fee.mint(address(this), 1000);
        Pair memory p = newPair(address(fee));
        deposit(p, 0, 500);
        eq(uint256(contribution(p, 0)), 495, "less its fee");
        bytes32 hash = paramsHash(p);
        vm.expectRevert(ShortDelivery.selector);
        adj.fund(hash, p.asset, bytes32(uint256((100 << 112) | 100)));
        close(p, 0);
        eq(fee.balanceOf(p.payout[0]), 491, "paid, less its fee");
        eq(fee.balanceOf(address(adj)), 0, "nothing stays");
    }

    function test_a_token_that_answers_nothing() public {
        OldToken old = new OldToken();
        old.mint(address(this), 1000);
        Pair memory p = newPair(address(old));
        deposit(p, 1, 400);
        close(p, 0);
        eq(old.balanceOf(p.payout[1]), 400, "paid");
        p.epoch = 1;
        old.setPaused(true);
        bytes32 hash = paramsHash(p);
        vm.expectRevert(TransferFailed.selector);
        adj.deposit(hash, p.asset, where(p, 0), 1);
    }

    function test_no_token_at_the_address() public {
        Pair memory p = newPair(address(0xdead));
        bytes32 hash = paramsHash(p);
        vm.expectRevert(BadToken.selector);
        adj.deposit(hash, p.asset, 0, 1);
        vm.expectRevert(BadToken.selector);
        adj.deposit(hash, address(0), 0, 1);
    }

    function test_permit_and_one_that_was_used_before() public {
        (uint256 key, uint256 amount) = (77, 1000);
        address owner = vm.addr(key);
        token.mint(owner, amount);
        bytes32 kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 fields = keccak256(abi.encode(kind, owner, address(adj), amount, 0, UNTIL));
        bytes32 what = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), fields));
        Signature memory sig = signed(key, what);
        Pair memory p = newPair(address(token));
        bytes32 hash = paramsHash(p);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, what);
        token.permit(owner, address(adj), amount, UNTIL, v, r, s); // somebody was faster
        vm.prank(owner);
        adj.depositPermit(hash, address(token), 0, amount, UNTIL, sig);
        eq(uint256(contribution(p, 0)), amount, "credited");
        vm.expectRevert(TransferFailed.selector);
        vm.prank(owner);
        adj.depositPermit(hash, address(token), 0, amount, UNTIL, sig);
    }

    function authorization(Pair memory p, uint256 key, uint256 n) private view returns (Signature memory) {
        bytes32 kind = keccak256(
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
        );
        bytes32 nonce = keccak256(abi.encode(idOf(p), where(p, 0), n));
        bytes32 fields = keccak256(abi.encode(kind, vm.addr(key), address(adj), 1000, 0, UNTIL, nonce));
        return signed(key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), fields)));
    }

    // Relayed by anyone, but only into the channel, epoch and side that its owner chose, and once.
    function test_authorization_is_bound_to_its_place() public {
        address from = vm.addr(77);
        token.mint(from, 3000);
        Pair memory p = newPair(address(token));
        bytes32 hash = paramsHash(p);
        bytes32 other = paramsHash(newPair(address(token)));
        Signature memory sig = authorization(p, 77, 5);
        vm.expectRevert(TransferFailed.selector);
        adj.depositAuthorized(hash, address(token), bytes32(uint256(1)), from, 1000, 0, UNTIL, 5, sig);
        vm.expectRevert(TransferFailed.selector);
        adj.depositAuthorized(other, address(token), 0, from, 1000, 0, UNTIL, 5, sig);
        vm.prank(address(0xbeef));
        adj.depositAuthorized(hash, address(token), 0, from, 1000, 0, UNTIL, 5, sig);
        eq(uint256(contribution(p, 0)), 1000, "credited");
        vm.expectRevert(TransferFailed.selector);
        adj.depositAuthorized(hash, address(token), 0, from, 1000, 0, UNTIL, 5, sig);
    }

    // A token's hook must not get one transfer counted twice, nor money out meanwhile.
    function test_no_entry_from_a_tokens_hook() public {
        HookToken hook = new HookToken();
        hook.mint(address(this), 1000);
        hook.mint(address(hook), 1000);
        Pair memory p = newPair(address(hook));
        bytes32 hash = paramsHash(p);
        bytes[4] memory calls = [
            abi.encodeCall(adj.deposit, (hash, p.asset, where(p, 1), 10)),
            abi.encodeCall(adj.depositNative, (hash, where(p, 1))),
            abi.encodeCall(adj.claim, (address(hook), address(0), address(hook))),
            abi.encodeCall(adj.close, (words(p), 0, both(p, closeFields(p, 0))))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            hook.onTransfer(address(adj), calls[i]);
            deposit(p, 0, 100);
            require(!hook.succeeded(), "entered");
            require(bytes4(hook.result()) == IAdjudicator.ReentrancyGuardReentrantCall.selector, "by the guard");
        }
        eq(uint256(contribution(p, 0)), hook.balanceOf(address(adj)), "each counts once");
    }
}
