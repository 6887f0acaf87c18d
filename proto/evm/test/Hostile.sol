// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// Payees and conditions that want to do harm.

library Work {
    // Fails if it does not get that much.
    function burn(uint256 gasNeeded) internal view {
        uint256 start = gasleft();
        while (start - gasleft() < gasNeeded) {}
    }
}

// A payee that does what it was told with incoming money: 0 takes it, 1 reverts, 2 burns all gas, 3 returns a megabyte,
// 4 reverts with one, 5 calls `target`; 6 is honest, but takes nothing if it does not get the gas of its call: it gives the
// rest back, so that a sender with a chosen limit could go on without it.
contract Payee {
    uint256 public mode;
    address public target;
    bytes public data;
    bool public succeeded;
    bytes public result;

    function set(uint256 mode_) external {
        mode = mode_;
    }

    function onReceive(address target_, bytes calldata data_) external {
        (mode, target, data) = (5, target_, data_);
    }

    function call(address to, bytes calldata what) external {
        (bool ok,) = to.call(what);
        require(ok);
    }

    receive() external payable {
        uint256 m = mode;
        if (m == 1) revert();
        while (m == 2) {}
        if (m == 3) {
            assembly {
                return(0, 1000000)
            }
        }
        if (m == 4) {
            assembly {
                revert(0, 1000000)
            }
        }
        if (m == 6) require(gasleft() > 100_000);
        if (m == 5) (succeeded, result) = target.call(data);
    }
}

// A condition that answers `answer` in mode 0; the others are a payee's of the same number. Mode 6: too short an answer; 7:
// an honest one that takes 8,000,000 gas.
contract Condition {
    uint256 public immutable MODE;
    uint256 public immutable ANSWER;

    constructor(uint256 mode, uint256 answer) {
        (MODE, ANSWER) = (mode, answer);
    }

    fallback(bytes calldata) external returns (bytes memory) {
        uint256 m = MODE;
        if (m == 1) revert();
        while (m == 2) {}
        if (m == 7) Work.burn(8_000_000);
        assembly {
            if eq(m, 3) { return(0, 1000000) }
            if eq(m, 4) { revert(0, 1000000) }
            if eq(m, 6) { return(0, 31) }
        }
        return abi.encode(ANSWER);
    }
}
