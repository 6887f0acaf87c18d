// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAdjudicator, Signature} from "./IAdjudicator.sol";
import {TestToken} from "./tokens/TestToken.sol";

// forge's cheat codes, as far as the tests need them.
interface Vm {
    function addr(uint256 key) external pure returns (address);
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function deal(address who, uint256 amount) external;
    function expectRevert() external;
    function expectRevert(bytes4 reason) external;
    function load(address target, bytes32 slot) external view returns (bytes32);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function prank(address sender) external;
    function readFile(string calldata path) external view returns (string memory);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function store(address target, bytes32 slot, bytes32 value) external;
    function warp(uint256 time) external;
}

// A channel as its parties know it. Ids, digests and calldata are built here from protocol.md, not with the contract's code.
struct Pair {
    uint256[2] key;
    address[2] payout;
    address asset;
    uint256 period;
    uint256 bond;
    bytes32 salt;
    uint256 epoch;
}

abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant UNTIL = 2 ** 40 - 1;
    int256 internal constant MAX = 2 ** 111 - 1;
    IAdjudicator internal adj;
    TestToken internal token;
    uint256 private serial;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        adj = deploy();
        token = new TestToken();
        vm.deal(address(this), 2 ** 120);
        token.mint(address(this), 2 ** 120);
        token.approve(address(adj), type(uint256).max);
    }

    function deploy() internal returns (IAdjudicator made) {
        bytes memory code = vm.parseJsonBytes(vm.readFile("artifact/Adjudicator.json"), ".bytecode");
        assembly {
            made := create(0, add(code, 0x20), mload(code))
        }
        require(address(made) != address(0), "deployed");
    }

    // --- Channels ---

    function newPair(address asset) internal returns (Pair memory p) {
        uint256 n = ++serial;
        p.key = [uint256(keccak256(abi.encode("a", n))), uint256(keccak256(abi.encode("b", n)))];
        for (uint256 i = 0; i < 2; i++) {
            p.key[i] = (p.key[i] >> 1) + 1;
            p.payout[i] = address(uint160(uint256(keccak256(abi.encode("payout", n, i)))));
        }
        (p.asset, p.period, p.bond, p.salt) = (asset, 86400, 1 ether, keccak256(abi.encode("salt", n)));
    }

    // Key 0 is nobody's: the zero address, and a signature of zeros.
    function signer(Pair memory p, uint256 side) internal pure returns (address) {
        return p.key[side] == 0 ? address(0) : vm.addr(p.key[side]);
    }

    function paramsHash(Pair memory p) internal view returns (bytes32) {
        (address s0, address s1) = (signer(p, 0), signer(p, 1));
        bytes32 tag = keccak256(abi.encode(p.salt));
        return
            keccak256(abi.encode(block.chainid, address(adj), s0, s1, p.payout[0], p.payout[1], p.period, p.bond, tag));
    }

    function idOf(Pair memory p) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(paramsHash(p), p.asset));
    }

    function words(Pair memory p, uint256 side, uint256 version) internal view returns (uint256[6] memory w) {
        uint256 terms = (p.period << 64) | (p.epoch << 48) | (UNTIL << 8) | side;
        w[0] = (uint256(uint160(signer(p, 0))) << 96) | p.bond;
        w[1] = (uint256(uint160(signer(p, 1))) << 96) | terms;
        (w[2], w[3]) = (uint160(p.payout[0]), uint160(p.payout[1]));
        w[4] = (uint256(uint160(p.asset)) << 96) | version;
        w[5] = uint256(keccak256(abi.encode(p.salt)));
    }

    function words(Pair memory p) internal view returns (uint256[6] memory) {
        return words(p, 0, 0);
    }

    function salted(Pair memory p, uint256 side, uint256 version) internal view returns (uint256[6] memory w) {
        w = words(p, side, version);
        w[5] = uint256(p.salt);
    }

    function where(Pair memory p, uint256 side) internal pure returns (bytes32) {
        return bytes32((p.epoch << 1) | side);
    }

    // --- Signatures ---

    function digest(bytes memory fields) internal view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("StateChannel"),
                keccak256("1"),
                block.chainid,
                address(adj)
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, keccak256(fields)));
    }

    function signed(uint256 key, bytes32 what) internal pure returns (Signature memory) {
        if (key == 0) return Signature(0, 0);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, what);
        return Signature(r, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    function both(Pair memory p, bytes memory fields) internal view returns (Signature[2] memory) {
        return [signed(p.key[0], digest(fields)), signed(p.key[1], digest(fields))];
    }

    function stateFields(Pair memory p, uint256 version, bytes32 outcome) internal view returns (bytes memory) {
        bytes32 kind = keccak256("State(bytes32 id,uint16 epoch,uint64 version,bytes32 outcomeHash)");
        return abi.encode(kind, idOf(p), p.epoch, version, outcome);
    }

    function closeFields(Pair memory p, int256 net) internal view returns (bytes memory) {
        bytes32 kind = keccak256("Close(bytes32 id,uint16 epoch,int112 net,uint40 validUntil)");
        return abi.encode(kind, idOf(p), p.epoch, net, UNTIL);
    }

    function withdrawFields(Pair memory p, uint256 seq, uint256 side, uint256 amount)
        internal
        view
        returns (bytes memory)
    {
        bytes32 kind =
            keccak256("Withdraw(bytes32 id,uint16 epoch,uint16 seq,uint8 side,uint112 amount,uint40 validUntil)");
        return abi.encode(kind, idOf(p), p.epoch, seq, side, amount, UNTIL);
    }

    function outcomeOf(int256 net, bytes memory locks) internal pure returns (bytes32) {
        return keccak256(abi.encode(net, locks.length == 0 ? bytes32(0) : keccak256(locks), uint256(7)));
    }

    // --- Calls ---

    function deposit(Pair memory p, uint256 side, uint256 amount) internal {
        if (p.asset == address(0)) {
            adj.depositNative{value: amount}(paramsHash(p), where(p, side));
        } else {
            adj.deposit(paramsHash(p), p.asset, where(p, side), amount);
        }
    }

    function close(Pair memory p, int256 net) internal {
        adj.close(words(p), net, both(p, closeFields(p, net)));
    }

    function withdraw(Pair memory p, uint256 seq, uint256 side, uint256 amount) internal {
        bytes32 what = bytes32((seq << 112) | amount);
        adj.withdraw(words(p, side, 0), what, both(p, withdrawFields(p, seq, side, amount)));
    }

    function challenge(Pair memory p, uint256 side, uint256 version, bytes32 outcome) internal {
        Signature[2] memory sigs = both(p, stateFields(p, version, outcome));
        uint256[6] memory w = salted(p, side, version);
        vm.deal(p.payout[side], p.payout[side].balance + p.bond);
        vm.prank(p.payout[side]);
        adj.challenge{value: p.bond}(w, version == 0 ? bytes32(0) : outcome, sigs);
    }

    function refute(Pair memory p, uint256 version, bytes32 outcome) internal {
        adj.refute(words(p, 0, version), outcome, both(p, stateFields(p, version, outcome)));
    }

    function bountyFor(Pair memory p, uint256 side, address to) internal view returns (Signature memory) {
        bytes32 kind = keccak256("Bounty(bytes32 id,uint16 epoch,address beneficiary)");
        return signed(p.key[side], digest(abi.encode(kind, idOf(p), p.epoch, to)));
    }

    function refuteFor(Pair memory p, uint256 version, bytes32 outcome, uint256 victim, address to) internal {
        Signature[2] memory sigs = both(p, stateFields(p, version, outcome));
        adj.refuteFor(words(p, 0, version), outcome, sigs, to, bountyFor(p, victim, to));
    }

    function settle(Pair memory p, int256 net, bytes memory locks) internal {
        adj.settle(words(p), net, 7, locks);
    }

    // --- What the contract holds ---

    function slot(Pair memory p, uint256 k) internal view returns (uint256) {
        return uint256(vm.load(address(adj), bytes32(uint256(idOf(p)) + k)));
    }

    function contribution(Pair memory p, uint256 side) internal view returns (int256) {
        return int112(uint112(slot(p, 0) >> (112 * side)));
    }

    function epochOf(Pair memory p) internal view returns (uint256) {
        return uint16(slot(p, 0) >> 239);
    }

    function deadlineOf(Pair memory p) internal view returns (uint256) {
        return uint40(slot(p, 1) >> 128);
    }

    function forfeited(Pair memory p) internal view returns (bool) {
        return (slot(p, 1) >> 169) & 1 == 1;
    }

    function balance(address asset, address who) internal view returns (uint256) {
        return asset == address(0) ? who.balance : token.balanceOf(who);
    }

    function eq(uint256 a, uint256 b, string memory what) internal pure {
        require(a == b, what);
    }

    receive() external payable {}
}
