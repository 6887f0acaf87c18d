// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// A compact signature (EIP-2098).
struct Signature {
    bytes32 r;
    bytes32 vs;
}

struct Funding {
    bytes32 paramsHash;
    uint256 amounts;
}

struct CloseItem {
    uint256 signer0Bond;
    uint256 signer1Terms;
    bytes32 otherPayoutNet;
    bytes32 tag;
    Signature otherSig;
}

struct SettleItem {
    uint256[6] channel;
    int256 net;
    uint256 blind;
    bytes locks;
}

// The contract as its callers see it. The tests run the committed artifact, compiled with the settings of a release, and
// are themselves compiled the quick way.
interface IAdjudicator {
    error ReentrancyGuardReentrantCall();

    function depositNative(bytes32 paramsHash, bytes32 where) external payable;
    function deposit(bytes32 paramsHash, address asset, bytes32 where, uint256 amount) external;
    function depositPermit(bytes32, address, bytes32, uint256, uint256, Signature calldata) external;
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
    ) external;
    function fundNative(Funding calldata f) external payable;
    function fund(bytes32 paramsHash, address asset, bytes32 amounts) external;
    function depositBatch(address asset, bytes32[2][] calldata items) external payable;
    function close(uint256[6] calldata channel, int256 net, Signature[2] calldata sigs) external;
    function closeByPayee(uint256[6] calldata channel, int256 net, Signature calldata sig) external;
    function closeBatch(address asset, CloseItem[] calldata items) external;
    function withdraw(uint256[6] calldata channel, bytes32 what, Signature[2] calldata sigs) external;
    function withdrawByPayee(uint256[6] calldata channel, bytes32 what, Signature calldata sig) external;
    function move(uint256[6] calldata, bytes32 what, bytes32 toParamsHash, bytes32 toWhere, Signature[2] calldata)
        external;
    function challenge(uint256[6] calldata channel, bytes32 outcomeHash, Signature[2] calldata sigs) external payable;
    function challengeFor(uint256[6] calldata, bytes32 outcomeHash, Signature[2] calldata, Signature calldata)
        external
        payable;
    function refute(uint256[6] calldata channel, bytes32 outcomeHash, Signature[2] calldata sigs) external;
    function refuteFor(uint256[6] calldata, bytes32 outcomeHash, Signature[2] calldata, address, Signature calldata)
        external;
    function settle(uint256[6] calldata channel, int256 net, uint256 blind, bytes calldata locks) external;
    function settleBatch(SettleItem[] calldata items) external;
    function reveal(bytes32 preimage) external;
    function revealBatch(bytes32[] calldata preimages) external;
    function claim(address payee, address asset, address to) external;
    function credit(address payee, address asset) external view returns (uint256);
    function revealedAt(bytes32 hash) external view returns (uint256);
    function domainSeparator() external view returns (bytes32);
}
