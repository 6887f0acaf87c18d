// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// Why a call reverts: one error for each reason of libchannel's model (channel/adjudicator.h), then those that only a
// real chain knows. The model's BAD_PARAMS is missing: the id is not given but derived, so wrong parameters mean another
// channel, one without money.

error WrongEpoch(); // the channel is in another epoch
error LastEpoch(); // the channel has reached its last epoch
error DisputeOpen(); // a dispute is open
error NoDispute(); // no dispute is open
error WrongValue(); // the coin sent along is not what this call needs
error ZeroAmount(); // the amount is zero
error Overflow(); // the amount exceeds what a channel can hold
error BadSignature(); // a signature is missing or wrong
error Expired(); // validUntil has passed
error NotParticipant(); // the sender is no participant and no signed challenge was given
error NotNewer(); // the version is not newer than the standing one
error TooEarly(); // the challenge window is still open
error TooLate(); // the challenge window is over
error WrongOutcome(); // the outcome does not hash to the standing one
error BadSide(); // the side is neither 0 nor 1
error WrongSeq(); // the withdrawal's number is not the channel's next one
error LastSeq(); // the channel has used up its withdrawals of this epoch
error TooMuch(); // the amount is more than the channel holds
error LockPending(); // a lock is neither revealed nor expired
error BadLocks(); // the locks are malformed
error SameChannel(); // money moves into another channel only
error AlreadyRevealed(); // the preimage is public already

error NotEnoughGas(); // an inner call could have been starved: send it again with a higher gas limit
error BadToken(); // there is no token at the asset's address
error TransferFailed(); // the token could not be pulled, or a claim could not be paid
error ShortDelivery(); // the token delivered another amount than the two sides' together

// A reason as a value, for checks that do not revert: the error's selector in the highest bytes.
type Reason is bytes32;

// The reason of a check that found nothing to object to.
Reason constant OK = Reason.wrap(0);

function because(bytes4 selector) pure returns (Reason) {
    return Reason.wrap(selector);
}

function isOk(Reason reason) pure returns (bool) {
    return Reason.unwrap(reason) == 0;
}

using {isOk} for Reason global;

// Reverts with `reason` as its data, unless it is OK.
function check(Reason reason) pure {
    assembly ("memory-safe") {
        if reason {
            mstore(0, reason)
            revert(0, 4)
        }
    }
}
