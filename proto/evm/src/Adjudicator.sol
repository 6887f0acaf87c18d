// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Disputes} from "./Disputes.sol";
import {Endings} from "./Endings.sol";
import {Withdrawals} from "./Withdrawals.sol";

// Holds the deposits of two-party state channels and believes the newest state that both parties signed. Source:
// protocol.md, sections 2, 3, 5 and 6. No owner, no upgrade, no pause, no fee.
//
// A channel's slots: Words.sol. Whose signature counts: Identity.sol. What leaves the contract: Money.sol.
contract Adjudicator is Withdrawals, Disputes, Endings {}
