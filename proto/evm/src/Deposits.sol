// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Identity} from "./Identity.sol";
import {Money} from "./Money.sol";
import {Ledger, Signature, load, store} from "./Words.sol";
import "./Reverts.sol";

// Money in. Anyone may deposit for either side. `where` = epoch << 1 | side: a late deposit must not land in another life
// of the channel, nor in one whose money an old state may already be dividing; hence it reverts in another epoch and in
// a dispute.
abstract contract Deposits is Identity, Money {
    using Ledger for uint256;

    // In place, as if it were two arguments; so depositNative has a decoder of its own.
    struct Funding {
        bytes32 paramsHash;
        uint256 amounts;
    }

    event Deposited(bytes32 indexed id, uint256 w); // amount, -, epoch; side in bit 223
    event Funded(bytes32 indexed id, uint256 w); // amount 0, amount 1, epoch

    // The most frequent call, so that it has a short way of its own if there is nothing to object to; otherwise the common
    // one finds out what there is, and reverts.
    function depositNative(bytes32 paramsHash, bytes32 where) external payable {
        bytes32 entered = _reentrancyGuardStorageSlot();
        uint256 id = _idOf(paramsHash, address(0));
        (uint256 slot, bool fits) = load(id).addedQuick(uint256(where), msg.value);
        assembly {
            fits := gt(fits, tload(entered))
        }
        if (!fits) _refuse(id, uint256(where));
        store(id, slot);
        emit Deposited(bytes32(id), msg.value | uint256(where) << 223);
    }

    function _refuse(uint256 id, uint256 where) private nonReentrantView {
        _deposit(id, where, msg.value);
        assert(false);
    }

    function deposit(bytes32 paramsHash, address asset, bytes32 where, uint256 amount) external nonReentrant {
        _depositToken(paramsHash, asset, uint256(where), amount);
    }

    // With an EIP-2612 permit of the sender. It may have been used already (anyone can), so its failure says nothing.
    function depositPermit(
        bytes32 paramsHash,
        address asset,
        bytes32 where,
        uint256 amount,
        uint256 deadline,
        Signature calldata sig
    ) external nonReentrant {
        require(asset.code.length > 0, BadToken());
        (uint8 v, bytes32 r, bytes32 s) = _expanded(sig);
        try IERC20Permit(asset).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _depositToken(paramsHash, asset, uint256(where), amount);
    }

    // With an EIP-3009 authorization of `from`, sent by anyone. Its nonce binds it to this channel, epoch and side.
    function depositAuthorized(
        bytes32 paramsHash,
        address asset,
        bytes32 where,
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        uint256 n,
        Signature calldata sig
    ) external nonReentrant {
        uint256 id = _idOf(paramsHash, asset);
        uint256 before = _balance(asset);
        bytes32 nonce = keccak256(abi.encode(id, where, n));
        (uint8 v, bytes32 r, bytes32 s) = _expanded(sig);
        _callPulled(
            asset,
            abi.encodeCall(
                IERC3009.receiveWithAuthorization,
                (from, address(this), amount, validAfter, validBefore, nonce, v, r, s)
            )
        );
        _deposit(id, uint256(where), _arrived(asset, before));
    }

    // For both sides at once. amounts = epoch << 224 | amount1 << 112 | amount0.
    function fundNative(Funding calldata f) external payable nonReentrantView {
        require(msg.value == _sum(f.amounts), WrongValue());
        _fund(_idOf(f.paramsHash, address(0)), f.amounts);
    }

    function fund(bytes32 paramsHash, address asset, bytes32 amounts) external nonReentrant {
        _fund(_idOf(paramsHash, asset), uint256(amounts));
        uint256 sum = _sum(uint256(amounts));
        require(_pull(asset, sum) == sum, ShortDelivery());
    }

    // Many channels of one asset (zero: the native coin). An item = (paramsHash, where << 112 | amount).
    function depositBatch(address asset, bytes32[2][] calldata items) external payable nonReentrant {
        uint256 sum = 0;
        for (uint256 i = 0; i < items.length; i++) {
            (bytes32 paramsHash, uint256 what) = (items[i][0], uint256(items[i][1]));
            sum += uint112(what);
            _deposit(_idOf(paramsHash, asset), what >> 112, uint112(what));
        }
        if (asset == address(0)) {
            require(msg.value == sum, WrongValue());
        } else {
            require(msg.value == 0, WrongValue());
            require(_pull(asset, sum) == sum, ShortDelivery());
        }
    }

    function _expanded(Signature calldata sig) private pure returns (uint8 v, bytes32 r, bytes32 s) {
        return (uint8(27 + (uint256(sig.vs) >> 255)), sig.r, (sig.vs << 1) >> 1);
    }

    function _depositToken(bytes32 paramsHash, address asset, uint256 where, uint256 amount) private {
        uint256 id = _idOf(paramsHash, asset);
        _deposited(load(id), where, amount);
        _deposit(id, where, _pull(asset, amount));
    }

    function _deposit(uint256 id, uint256 where, uint256 amount) internal {
        store(id, _deposited(load(id), where, amount));
        emit Deposited(bytes32(id), amount | where << 223);
    }

    // `slot` after a deposit, if that is allowed.
    function _deposited(uint256 slot, uint256 where, uint256 amount) private pure returns (uint256 result) {
        _checkOpenForMoney(slot, where >> 1);
        bool fits;
        (result, fits) = slot.added(where & 1, amount);
        if (!fits) check(because(amount == 0 ? ZeroAmount.selector : Overflow.selector));
    }

    function _fund(uint256 id, uint256 amounts) private {
        uint256 slot = load(id);
        _checkOpenForMoney(slot, amounts >> 224);
        (uint256 amount0, uint256 amount1) = (uint112(amounts), uint112(amounts >> 112));
        require(amount0 > 0 && amount1 > 0, ZeroAmount());
        bool fits0;
        bool fits1;
        (slot, fits0) = slot.added(0, amount0);
        (slot, fits1) = slot.added(1, amount1);
        require(fits0 && fits1, Overflow());
        store(id, slot);
        emit Funded(bytes32(id), amounts);
    }

    function _sum(uint256 amounts) private pure returns (uint256) {
        unchecked {
            return uint256(uint112(amounts)) + uint112(amounts >> 112);
        }
    }

    function _checkOpenForMoney(uint256 slot, uint256 epoch) internal pure {
        if (slot.takesMoney(epoch)) return;
        require(slot.epoch() == epoch, WrongEpoch());
        require(epoch != Ledger.EPOCH_LAST, LastEpoch());
        revert DisputeOpen();
    }
}
