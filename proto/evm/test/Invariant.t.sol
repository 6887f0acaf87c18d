// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Signature} from "./IAdjudicator.sol";
import {Base, Pair} from "./Base.sol";
import {Payee} from "./Hostile.sol";

// Does anything that two colluding parties, honest ones and strangers can do, in any order, on six channels.
contract Handler is Base {
    Pair[] private pairs;
    bytes32[6] private ids;
    mapping(uint256 => int256) private nets; // of the state that stands in the channel's dispute
    uint256 public succeeded;

    constructor() {
        setUp();
        for (uint256 i = 0; i < 6; i++) {
            Pair memory p = newPair(i % 2 == 0 ? address(0) : address(token));
            if (i % 3 == 0) {
                Payee bad = new Payee();
                bad.set(1 + i % 2);
                p.payout[1] = address(bad);
            }
            pairs.push(p);
            ids[i] = idOf(p);
        }
    }

    function pair(uint256 i) public view returns (Pair memory) {
        return pairs[i % 6];
    }

    // Everything is tried through this, so that a refusal does not end the sequence.
    function attempt(bytes memory data) private {
        (bool ok,) = address(this).call(data);
        if (ok) succeeded++;
    }

    modifier own() {
        require(msg.sender == address(this));
        _;
    }

    function tryDeposit(uint256 i, uint256 side, uint96 amount) external {
        attempt(abi.encodeCall(this.doDeposit, (i, side % 2, amount)));
    }

    function doDeposit(uint256 i, uint256 side, uint256 amount) external own {
        deposit(pair(i), side, amount);
    }

    function tryClose(uint256 i, int96 net) external {
        attempt(abi.encodeCall(this.doClose, (i, net)));
    }

    function doClose(uint256 i, int256 net) external own {
        close(pair(i), net);
        pairs[i % 6].epoch++;
    }

    function tryWithdraw(uint256 i, uint256 side, uint96 amount) external {
        attempt(abi.encodeCall(this.doWithdraw, (i, side % 2, amount)));
    }

    function doWithdraw(uint256 i, uint256 side, uint256 amount) external own {
        Pair memory p = pair(i);
        withdraw(p, (slot(p, 0) >> 224) & 0x7fff, side, amount);
    }

    function tryChallenge(uint256 i, uint256 side, uint32 version, int96 net) external {
        attempt(abi.encodeCall(this.doChallenge, (i, side % 2, version % 8, net)));
    }

    function doChallenge(uint256 i, uint256 side, uint256 version, int256 net) external own {
        challenge(pair(i), side, version, outcomeOf(net, ""));
        nets[i % 6] = version == 0 ? int256(0) : net;
    }

    function tryRefute(uint256 i, uint8 above, int96 net, bool bounty) external {
        attempt(abi.encodeCall(this.doRefute, (i, above, net, bounty)));
    }

    function doRefute(uint256 i, uint256 above, int256 net, bool bounty) external own {
        Pair memory p = pair(i);
        uint256 version = uint64(slot(p, 1)) + above % 6;
        uint256 victim = 1 - ((slot(p, 1) >> 168) & 1);
        if (bounty) refuteFor(p, version, outcomeOf(net, ""), victim, address(0x70));
        else refute(p, version, outcomeOf(net, ""));
        if (above % 6 != 0) nets[i % 6] = net;
    }

    function trySettle(uint256 i) external {
        attempt(abi.encodeCall(this.doSettle, (i)));
    }

    function doSettle(uint256 i) external own {
        settle(pair(i), nets[i % 6], "");
        pairs[i % 6].epoch++;
    }

    function tryClaim(uint256 i, uint256 to) external {
        attempt(abi.encodeCall(this.doClaim, (i, to)));
    }

    function doClaim(uint256 i, uint256 to) external own {
        Pair memory p = pair(i);
        vm.prank(p.payout[1]);
        adj.claim(p.payout[1], p.asset, address(uint160(0x1000 + to % 8)));
    }

    // A stranger with both signatures of another channel, or its own keys.
    function tryMix(uint256 i, uint256 j, int96 net) external {
        Pair memory p = pair(i);
        Signature[2] memory sigs = both(pair(j), closeFields(pair(j), net));
        if (i % 6 == j % 6) return;
        (bool ok,) = address(adj).call(abi.encodeCall(adj.close, (words(p), net, sigs)));
        require(!ok, "another channel's signatures");
    }

    function pause(uint32 time) external {
        vm.warp(block.timestamp + time % 200_000);
    }

    // What the channels hold together, by the contract's own storage.
    function owed(address asset) public view returns (uint256 sum) {
        for (uint256 i = 0; i < 6; i++) {
            Pair memory p = pairs[i];
            uint256 s = uint256(vm.load(address(adj), ids[i]));
            int256 total = int256(int112(uint112(s))) + int256(int112(uint112(s >> 112)));
            if (p.asset == asset) sum += uint256(total);
            if (asset == address(0) && s >> 255 == 1) sum += p.bond;
            if (i % 3 == 0) sum += adj.credit(p.payout[1], asset);
        }
    }

    function held(address asset) external view returns (uint256) {
        return balance(asset, address(adj));
    }

    function tokenAddress() external view returns (address) {
        return address(token);
    }

    // Ends every channel, with nobody's help where a dispute is open, and claims what was credited.
    function leave() external {
        for (uint256 i = 0; i < 6; i++) {
            Pair memory p = pairs[i];
            if (slot(p, 0) >> 255 == 0) challenge(p, 0, 0, 0);
            else continue;
            nets[i] = 0;
        }
        vm.warp(block.timestamp + 10 days);
        for (uint256 i = 0; i < 6; i++) {
            settle(pairs[i], nets[i], "");
            pairs[i].epoch++;
        }
        for (uint256 i = 0; i < 6; i += 3) {
            address payee = pairs[i].payout[1];
            for (uint256 k = 0; k < 2; k++) {
                address asset = k == 0 ? address(0) : address(token);
                if (adj.credit(payee, asset) == 0) continue;
                vm.prank(payee);
                adj.claim(payee, asset, address(0xcafe));
            }
        }
    }
}

contract InvariantTest {
    Handler private handler;

    function setUp() public {
        handler = new Handler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory s = new bytes4[](9);
        s[0] = Handler.tryDeposit.selector;
        s[1] = Handler.tryClose.selector;
        s[2] = Handler.tryWithdraw.selector;
        s[3] = Handler.tryChallenge.selector;
        s[4] = Handler.tryRefute.selector;
        s[5] = Handler.trySettle.selector;
        s[6] = Handler.tryClaim.selector;
        s[7] = Handler.tryMix.selector;
        s[8] = Handler.pause.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), s);
    }

    // Not a unit too much, so that nobody is paid another's money, and not one too little, so that none is lost.
    function invariant_the_contract_holds_exactly_what_it_owes() external view {
        require(handler.held(address(0)) == handler.owed(address(0)), "coins");
        address token = handler.tokenAddress();
        require(handler.held(token) == handler.owed(token), "tokens");
    }

    // Nothing is locked for ever: from wherever a sequence ended, everything comes out.
    function afterInvariant() external {
        handler.leave();
        require(handler.held(address(0)) == 0, "coins left");
        require(handler.held(handler.tokenAddress()) == 0, "tokens left");
    }
}
