// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ICondition} from "../src/Locks.sol";

// A condition for contract locks: the revenue of a sale, split among several payees.
//
// The seller has a channel with each payee, and in it a lock whose amount is the most that this payee can get. When the
// sale is over and they agree on the accounts, the seller releases the lock, or the payee gives it back and is paid its
// share; if one of them falls silent, the other settles the channel, and what came in here decides.
//
// A buyer's coin goes on to the seller at once: nothing lies here. The seller cannot understate what was paid, and to
// overstate it costs a payee more than its share. After `until` a sale takes nothing more, so its figure is constant:
// who signs a lock looks that it does not expire before `until`, and that the channel is in the chain's own coin.
contract RevenueSplit is ICondition {
    error SaleIsOver();
    error SellerRefuses();

    event Sold(address indexed seller, uint40 indexed until, address buyer, uint256 price);

    uint256 private constant WHOLE = 1_000_000;

    mapping(address seller => mapping(uint40 until => uint256 amount)) public revenue;

    function buy(address seller, uint40 until) external payable {
        require(block.timestamp <= until, SaleIsOver());
        revenue[seller][until] += msg.value;
        emit Sold(seller, until, msg.sender, msg.value);
        (bool taken,) = seller.call{value: msg.value}("");
        require(taken, SellerRefuses());
    }

    // payload: seller : 20 bytes | until : 5 | share in millionths : 4. Another one, or a share above the whole: nothing.
    function owed(bytes calldata payload, uint256) external view returns (uint256) {
        if (payload.length != 29) return 0;
        uint256 share = uint32(bytes4(payload[25:]));
        if (share > WHOLE) return 0;
        return revenue[address(bytes20(payload[:20]))][uint40(bytes5(payload[20:25]))] * share / WHOLE;
    }
}
