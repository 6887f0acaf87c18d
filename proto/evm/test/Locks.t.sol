// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import "../src/Reverts.sol";
import {Base, Pair} from "./Base.sol";
import {Condition} from "./Hostile.sol";

contract LocksTest is Base {
    function hashLock(uint256 amount, uint8 payer, uint256 expiry, bytes32 preimage)
        private
        pure
        returns (bytes memory)
    {
        bytes32 hash = sha256(abi.encode(preimage));
        return abi.encodePacked(uint112(amount), payer, uint40(expiry), address(0), uint32(0), uint16(32), hash);
    }

    function lockOn(Condition c, uint256 amount, uint8 payer, uint256 expiry, uint32 gasCap)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(uint112(amount), payer, uint40(expiry), address(c), gasCap, uint16(3), "abc");
    }

    // A channel of 1000 and 1000 whose challenge window is over, with these locks and a net of 0.
    function disputed(bytes memory locks) private returns (Pair memory p) {
        p = newPair(address(0));
        deposit(p, 0, 1000);
        deposit(p, 1, 1000);
        challenge(p, 0, 2, outcomeOf(0, locks));
        vm.warp(deadlineOf(p) + 1);
    }

    function paid(bytes memory locks) private returns (uint256 p1) {
        Pair memory p = disputed(locks);
        settle(p, 0, locks);
        eq(p.payout[0].balance + p.payout[1].balance, 2000 + p.bond, "all of it, and no more");
        return p.payout[1].balance;
    }

    function test_revealed_once_at_the_first_time() public {
        bytes32 preimage = keccak256("x");
        adj.reveal(preimage);
        uint256 first = block.timestamp;
        vm.warp(first + 5);
        vm.expectRevert(AlreadyRevealed.selector);
        adj.reveal(preimage);
        bytes32[] memory list = new bytes32[](2);
        (list[0], list[1]) = (preimage, keccak256("y"));
        adj.revealBatch(list);
        eq(adj.revealedAt(sha256(abi.encode(preimage))), first, "the first time stays");
        eq(adj.revealedAt(sha256(abi.encode(list[1]))), first + 5, "and the others are recorded");
    }

    function testFuzz_paid_if_revealed_at_or_before_expiry(uint256 at, uint256 expiry, bool payer) public {
        uint256 start = block.timestamp;
        (at, expiry) = (start + at % 1000, start + expiry % 1000);
        bytes32 preimage = keccak256(abi.encode(at, expiry));
        vm.warp(at);
        adj.reveal(preimage);
        uint256 p1 = paid(hashLock(300, payer ? 1 : 0, expiry, preimage));
        eq(p1, at > expiry ? 1000 : payer ? 700 : 1300, "payee");
    }

    function test_pending_until_revealed_or_strictly_past_expiry() public {
        uint256 expiry = block.timestamp + 10 days;
        bytes memory lock = hashLock(300, 0, expiry, keccak256("z"));
        Pair memory p = disputed(lock);
        uint256[6] memory w = words(p);
        vm.warp(expiry);
        vm.expectRevert(LockPending.selector);
        adj.settle(w, 0, 7, lock);
        vm.warp(expiry + 1);
        adj.settle(w, 0, 7, lock);
        eq(p.payout[1].balance, 1000, "unpaid");
    }

    function test_a_reveal_ends_the_wait() public {
        bytes memory lock = hashLock(300, 0, block.timestamp + 10 days, keccak256("z"));
        Pair memory p = disputed(lock);
        adj.reveal(keccak256("z"));
        settle(p, 0, lock);
        eq(p.payout[1].balance, 1300, "paid");
    }

    // Locks both ways that together exceed what there is: wide arithmetic, clamped once, at the end.
    function testFuzz_clamped_once_at_the_end(uint104 a, uint104 b, uint8 n) public {
        bytes memory locks;
        int256 net = 0;
        uint256 expiry = block.timestamp + 1 days;
        for (uint256 i = 0; i < 1 + n % 6; i++) {
            bytes32 preimage = keccak256(abi.encode(a, b, i));
            adj.reveal(preimage);
            locks = bytes.concat(locks, hashLock(i % 2 == 0 ? a : b, uint8(i % 2), expiry, preimage));
            net += i % 2 == 0 ? int256(uint256(a)) : -int256(uint256(b));
        }
        int256 p1 = 1000 + net;
        p1 = p1 < 0 ? int256(0) : p1 > 2000 ? int256(2000) : p1;
        eq(paid(locks), uint256(p1), "clamped");
    }

    function test_condition_says_how_much_clamped() public {
        eq(paid(lockOn(new Condition(0, 250), 300, 0, 0, 50_000)), 1250, "part");
        eq(paid(lockOn(new Condition(0, type(uint256).max), 300, 0, 0, 50_000)), 1300, "clamped");
        eq(paid(lockOn(new Condition(0, 250), 300, 1, 0, 50_000)), 750, "the other way");
        eq(paid(lockOn(Condition(address(0xdead)), 300, 0, 0, 50_000)), 1000, "no code");
    }

    function testFuzz_a_hostile_condition_pays_nothing_and_blocks_nothing(uint8 mode, uint32 gasCap) public {
        uint8[5] memory modes = [1, 2, 3, 4, 6];
        bytes memory lock = lockOn(new Condition(modes[mode % 5], 300), 300, 0, 0, gasCap % 1_000_000);
        adj.reveal(keccak256("z"));
        bytes memory good = hashLock(200, 0, block.timestamp, keccak256("z"));
        eq(paid(bytes.concat(lock, good)), 1200, "the rest goes its way");
    }

    // A condition never gets less than its gas (so much of it that the 64th kept back would do for the rest): the sender's limit decides whether all happens, not what.
    function testFuzz_a_gas_limit_starves_no_condition(uint256 limit) public {
        bytes memory lock = lockOn(new Condition(7, 300), 300, 0, 0, 8_200_000);
        Pair memory p = disputed(lock);
        bytes memory data = abi.encodeCall(adj.settle, (words(p), 0, 7, lock));
        (bool ok,) = address(adj).call{gas: 6_400_000 + limit % 2_400_000}(data);
        eq(p.payout[1].balance, ok ? 1300 : 0, "all or nothing");
    }

    function testFuzz_too_little_gas_for_a_condition(uint256 limit) public {
        bytes memory lock = lockOn(new Condition(0, 300), 300, 0, 0, 8_000_000);
        Pair memory p = disputed(lock);
        uint256[6] memory w = words(p);
        vm.expectRevert(NotEnoughGas.selector);
        adj.settle{gas: 200_000 + limit % 7_900_000}(w, 0, 7, lock);
        eq(epochOf(p), 0, "nothing has happened");
        adj.settle{gas: 8_500_000}(w, 0, 7, lock);
        eq(p.payout[1].balance, 1300, "with more it does");
    }

    function refused(bytes memory locks) private {
        Pair memory p = disputed(locks);
        uint256[6] memory w = words(p);
        vm.expectRevert(BadLocks.selector);
        adj.settle(w, 0, 7, locks);
        close(p, 0); // together, both can still leave
        eq(p.payout[0].balance, 1000 + p.bond, "closed");
    }

    function testFuzz_malformed(uint8 how, uint8 cut) public {
        bytes memory good = hashLock(300, 0, 0, keccak256("z"));
        if (how % 6 == 0) {
            // Cut short or with bytes behind it.
            bytes memory part = new bytes(1 + cut % 77);
            for (uint256 i = 0; i < part.length; i++) {
                part[i] = good[i];
            }
            return refused(part);
        }
        if (how % 6 == 1) return refused(bytes.concat(good, hex"00"));
        if (how % 6 == 2) good[14] = bytes1(2 + cut % 254);
        if (how % 6 == 3) good[43] = 0x01;
        if (how % 6 == 4) good[0] |= 0x80;
        if (how % 6 == 5) {
            good[45] = bytes1(cut % 32); // a hash of fewer bytes
        }
        refused(good);
    }
}
