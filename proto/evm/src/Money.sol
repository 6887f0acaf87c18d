// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import "./Reverts.sol";

// Money that comes and goes. A payout never reverts, so that nobody can hold up another's: its call has a fixed amount of
// gas, copies at most one word of what it returns, and if it fails the money is credited to its payee for `claim`.
// Everything here runs under the guard, and after all other changes of the call.
abstract contract Money is ReentrancyGuardTransient {
    event Credited(address indexed payee, address indexed asset, uint256 amount);
    event Claimed(address indexed payee, address indexed asset, address to, uint256 amount);

    mapping(address payee => mapping(address asset => uint256)) public credit;

    // What a payout's call may use: plenty for a contract wallet, and little enough for any block.
    uint256 private constant COIN_GAS = 100_000;
    uint256 private constant TOKEN_GAS = 300_000;
    // The most that the EVM takes for the call itself (new account, value, cold address, memory), rounded up.
    uint256 private constant CALL_COST = 40_000;

    // Pays what was credited to `payee`: at its own call to any address, at anybody's to itself, should it be a contract
    // that cannot call. With all the gas there is.
    function claim(address payee, address asset, address to) external nonReentrant {
        require(msg.sender == payee || to == payee, NotParticipant());
        uint256 amount = credit[payee][asset];
        require(amount > 0, ZeroAmount());
        credit[payee][asset] = 0;
        emit Claimed(payee, asset, to, amount);
        require(_send(asset, to, amount, gasleft()), TransferFailed());
    }

    function _pay(address asset, address to, uint256 amount) internal {
        if (amount == 0) return;
        uint256 cap = asset == address(0) ? COIN_GAS : TOKEN_GAS;
        _requireGas(cap);
        if (!_send(asset, to, amount, cap)) {
            credit[to][asset] += amount;
            emit Credited(to, asset, amount);
        }
    }

    // A call keeps back a 64th of the gas that is left. Without this check a sender could choose a limit with which an inner
    // call fails and the rest of the transaction does not.
    function _requireGas(uint256 cap) internal view {
        unchecked {
            require(gasleft() >= cap + cap / 63 + CALL_COST, NotEnoughGas());
        }
    }

    function _send(address asset, address to, uint256 amount, uint256 cap) private returns (bool ok) {
        if (asset != address(0)) {
            return _callToken(asset, cap, abi.encodeCall(IERC20.transfer, (to, amount)));
        }
        assembly ("memory-safe") {
            ok := call(cap, to, amount, 0, 0, 0, 0)
        }
    }

    // True if the call succeeded and returned true, or returned nothing from a contract, as some tokens do.
    function _callToken(address asset, uint256 cap, bytes memory data) private returns (bool ok) {
        assembly ("memory-safe") {
            ok := call(cap, asset, 0, add(data, 0x20), mload(data), 0, 0x20)
            switch returndatasize()
            case 0 { ok := and(ok, iszero(iszero(extcodesize(asset)))) }
            default { ok := and(ok, and(gt(returndatasize(), 0x1f), eq(mload(0), 1))) }
        }
    }

    // Pulls tokens from the sender, and nobody else. Returns what really came, which may be less than was asked for.
    function _pull(address asset, uint256 amount) internal returns (uint256) {
        uint256 before = _balance(asset);
        _callPulled(asset, abi.encodeCall(IERC20.transferFrom, (msg.sender, address(this), amount)));
        return _arrived(asset, before);
    }

    // What the token answers is of no interest: what has arrived counts.
    function _callPulled(address asset, bytes memory data) internal {
        bool ok;
        assembly ("memory-safe") {
            ok := call(gas(), asset, 0, add(data, 0x20), mload(data), 0, 0)
        }
        require(ok, TransferFailed());
    }

    function _arrived(address asset, uint256 before) internal view returns (uint256) {
        uint256 now_ = _balance(asset);
        require(now_ >= before, TransferFailed());
        unchecked {
            return now_ - before;
        }
    }

    function _balance(address asset) internal view returns (uint256 held) {
        bytes4 selector = IERC20.balanceOf.selector;
        bool ok;
        assembly ("memory-safe") {
            mstore(0, selector)
            mstore(4, address())
            ok := staticcall(gas(), asset, 0, 0x24, 0, 0x20)
            ok := and(ok, gt(returndatasize(), 0x1f))
            held := mload(0)
        }
        require(ok, BadToken());
    }
}
