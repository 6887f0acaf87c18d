// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Identity} from "./Identity.sol";
import {Money} from "./Money.sol";
import {Ledger, eventWord, load, store} from "./Words.sol";
import "./Reverts.sol";

// Money in. Anyone may deposit for either side. `where` = epoch << 1 | side: a late deposit must not land in another life
// of the channel, nor in one whose money an old state may already be dividing; hence it reverts in another epoch and in
// a dispute.
abstract contract Deposits is Identity, Money {
    using Ledger for uint256;

    event Deposited(bytes32 indexed id, uint256 w); // amount, -, epoch, side
    event Funded(bytes32 indexed id, uint256 w); // amount 0, amount 1, epoch

    function depositNative(bytes32 paramsHash, uint256 where) external payable nonReentrantView {
        _deposit(_idOf(paramsHash, address(0)), where, msg.value);
    }

    function deposit(bytes32 paramsHash, address asset, uint256 where, uint256 amount) external nonReentrant {
        _depositToken(paramsHash, asset, where, amount);
    }

    // With an EIP-2612 permit of the sender. It may have been used already (anyone can), so its failure says nothing.
    function depositPermit(
        bytes32 paramsHash,
        address asset,
        uint256 where,
        uint256 amount,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant {
        require(asset.code.length > 0, BadToken());
        try IERC20Permit(asset).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _depositToken(paramsHash, asset, where, amount);
    }

    // With an EIP-3009 authorization of `from`, sent by anyone. Its nonce binds it to this channel, epoch and side.
    function depositAuthorized(
        bytes32 paramsHash,
        address asset,
        uint256 where,
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 n,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant {
        uint256 id = _idOf(paramsHash, asset);
        _checkOpenForMoney(load(id), where >> 1);
        uint256 before = _balance(asset);
        bytes32 nonce = keccak256(abi.encode(id, where, n));
        IERC3009(asset).receiveWithAuthorization(from, address(this), amount, validAfter, validBefore, nonce, v, r, s);
        _deposit(id, where, _arrived(asset, before));
    }

    // For both sides at once. amounts = epoch << 224 | amount1 << 112 | amount0.
    function fundNative(bytes32 paramsHash, uint256 amounts) external payable nonReentrantView {
        require(msg.value == _sum(amounts), WrongValue());
        _fund(_idOf(paramsHash, address(0)), amounts);
    }

    function fund(bytes32 paramsHash, address asset, uint256 amounts) external nonReentrant {
        _fund(_idOf(paramsHash, asset), amounts);
        uint256 sum = _sum(amounts);
        require(_pull(asset, sum) == sum, ShortDelivery());
    }

    // Many channels of one asset (zero: the native coin). An item = (paramsHash, where << 112 | amount).
    function depositBatch(address asset, uint256[2][] calldata items) external payable nonReentrant {
        uint256 sum = 0;
        for (uint256 i = 0; i < items.length; i++) {
            uint256 amount = uint112(items[i][1]);
            sum += amount;
            _deposit(_idOf(bytes32(items[i][0]), asset), items[i][1] >> 112, amount);
        }
        if (asset == address(0)) {
            require(msg.value == sum, WrongValue());
        } else {
            require(msg.value == 0, WrongValue());
            require(_pull(asset, sum) == sum, ShortDelivery());
        }
    }

    function _depositToken(bytes32 paramsHash, address asset, uint256 where, uint256 amount) private {
        uint256 id = _idOf(paramsHash, asset);
        _checked(load(id), where, amount);
        _deposit(id, where, _pull(asset, amount));
    }

    function _deposit(uint256 id, uint256 where, uint256 amount) internal {
        store(id, _checked(load(id), where, amount));
        emit Deposited(bytes32(id), eventWord(amount, 0, where >> 1, where & 1));
    }

    // `slot` after a deposit, if that is allowed.
    function _checked(uint256 slot, uint256 where, uint256 amount) internal pure returns (uint256) {
        _checkOpenForMoney(slot, where >> 1);
        require(amount > 0, ZeroAmount());
        return _added(slot, where & 1, amount);
    }

    function _fund(uint256 id, uint256 amounts) private {
        uint256 slot = load(id);
        _checkOpenForMoney(slot, amounts >> 224);
        require(uint112(amounts) > 0 && uint112(amounts >> 112) > 0, ZeroAmount());
        slot = _added(slot, 0, uint112(amounts));
        slot = _added(slot, 1, uint112(amounts >> 112));
        store(id, slot);
        emit Funded(bytes32(id), amounts);
    }

    function _sum(uint256 amounts) private pure returns (uint256) {
        unchecked {
            return uint256(uint112(amounts)) + uint112(amounts >> 112);
        }
    }

    // The last epoch takes no money, so that a channel can end in it for ever.
    function _checkOpenForMoney(uint256 slot, uint256 epoch) internal pure {
        if (slot.quietEpoch() != epoch || epoch == Ledger.EPOCH_LAST) {
            require(slot.epoch() == epoch, WrongEpoch());
            require(epoch != Ledger.EPOCH_LAST, LastEpoch());
            revert DisputeOpen();
        }
    }

    // `slot` with more money of `side`. What a channel holds, too, stays within 111 bits.
    function _added(uint256 slot, uint256 side, uint256 amount) private pure returns (uint256) {
        unchecked {
            require(amount <= uint256(Ledger.MONEY_MAX), Overflow());
            int256 contribution = slot.contribution(side) + int256(amount);
            require(contribution <= Ledger.MONEY_MAX, Overflow());
            require(contribution + slot.contribution(side ^ 1) <= Ledger.MONEY_MAX, Overflow());
            return slot.withContribution(side, contribution);
        }
    }
}
