// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

// An honest token with permit (EIP-2612) and authorizations (EIP-3009). Anyone may mint: worth nothing, for tests and demo.
contract TestToken is ERC20Permit, ERC3009 {
    constructor() ERC20("Test Token", "TEST") ERC20Permit("Test Token") {}

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
