// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// Tokens as they should not be, but are.

// Every transfer loses a hundredth on its way.
contract FeeToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) public virtual returns (bool) {
        return _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public virtual returns (bool) {
        return _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) internal returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += amount - amount / 100;
        return true;
    }
}

// Transfers answer nothing. It can be paused, and addresses can be blocked.
contract OldToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => bool) public blocked;
    bool public paused;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function setPaused(bool to) external {
        paused = to;
    }

    function setBlocked(address who, bool to) external {
        blocked[who] = to;
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        _move(from, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        require(!paused && !blocked[from] && !blocked[to]);
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

// Answers false instead of reverting when told to, or with a word that is neither.
contract LyingToken is FeeToken {
    uint256 public answer = 1;

    function setAnswer(uint256 to) external {
        answer = to;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        uint256 a = answer;
        if (a != 1) {
            assembly {
                mstore(0, a)
                return(0, 0x20)
            }
        }
        return super.transfer(to, amount);
    }
}

// Calls back into the contract in the middle of a transfer.
contract HookToken is FeeToken {
    address public target;
    bytes public data;
    bool public succeeded;
    bytes public result;

    function onTransfer(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        _hook();
        return super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _hook();
        return super.transferFrom(from, to, amount);
    }

    function _hook() private {
        if (target != address(0)) (succeeded, result) = target.call(data);
    }
}
