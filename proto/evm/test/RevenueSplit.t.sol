// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RevenueSplit} from "../example/RevenueSplit.sol";
import {Base, Pair} from "./Base.sol";
import {Payee} from "./Hostile.sol";

contract RevenueSplitTest is Base {
    RevenueSplit private split;
    address private seller = address(uint160(uint256(keccak256("seller"))));
    uint40 private until;

    function setUp() public override {
        super.setUp();
        split = new RevenueSplit();
        until = uint40(block.timestamp + 1 days);
    }

    function payloadOf(uint32 share) private view returns (bytes memory) {
        return abi.encodePacked(seller, until, share);
    }

    function buy(uint256 price) private {
        split.buy{value: price}(seller, until);
    }

    function test_a_sale_goes_to_the_seller_and_is_counted() public {
        buy(700);
        buy(50);
        eq(seller.balance, 750, "the seller has it");
        eq(address(split).balance, 0, "nothing lies here");
        eq(split.owed(payloadOf(200_000), 0), 150, "a fifth");
        eq(split.owed(payloadOf(1_000_000), 0), 750, "all");
        eq(split.owed(payloadOf(333_333), 0), 249, "rounded down");
    }

    function test_sales_are_apart() public {
        split.buy{value: 300}(seller, until + 1);
        split.buy{value: 400}(address(0xbeef), until);
        eq(split.owed(payloadOf(1_000_000), 0), 0, "another sale");
    }

    function testFuzz_constant_after_its_end(uint32 later, uint32 share) public {
        buy(1000);
        vm.warp(until);
        buy(1);
        uint256 answer = split.owed(payloadOf(share), 0);
        vm.warp(uint256(until) + 1 + later);
        vm.expectRevert(RevenueSplit.SaleIsOver.selector);
        buy(1);
        eq(split.owed(payloadOf(share), 0), answer, "constant");
    }

    function test_no_other_payload_is_owed_anything() public {
        buy(1000);
        eq(split.owed(payloadOf(1_000_001), 0), 0, "more than the whole");
        eq(split.owed("", 0), 0, "empty");
        eq(split.owed(bytes.concat(payloadOf(1), hex"00"), 0), 0, "longer");
        eq(split.owed(abi.encodePacked(seller, until, uint24(1)), 0), 0, "shorter");
    }

    // What does not reach the seller is not counted.
    function test_a_seller_who_refuses() public {
        Payee refuser = new Payee();
        refuser.set(1);
        vm.expectRevert(RevenueSplit.SellerRefuses.selector);
        split.buy{value: 5}(address(refuser), until);
        eq(split.revenue(address(refuser), until), 0, "not counted");
    }

    // Two payees, a channel with each. The revenue covers the whole amount of one lock, and a part of the other's.
    function test_settles_with_each_payee() public {
        buy(1000);
        eq(settled(200_000, 500), 1200, "a fifth of it");
        eq(settled(500_000, 300), 1300, "at most the lock's amount");
        eq(settled(0, 300), 1000, "no share");
    }

    // The balance of side 1, who had 1000, after settling with a lock in its favour.
    function settled(uint32 share, uint112 amount) private returns (uint256) {
        bytes memory payload = payloadOf(share);
        uint40 expiry = until;
        bytes memory lock = abi.encodePacked(
            amount, uint8(0), expiry, address(split), uint32(50_000), uint16(payload.length), payload
        );
        Pair memory p = newPair(address(0));
        deposit(p, 0, 1000);
        deposit(p, 1, 1000);
        challenge(p, 0, 2, outcomeOf(0, lock));
        vm.warp(deadlineOf(p) + 2 days);
        settle(p, 0, lock);
        return p.payout[1].balance;
    }
}
