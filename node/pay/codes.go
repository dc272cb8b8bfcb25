package pay

import "github.com/lightningnetwork/lnd/lnwire"

// codeNames are the names that BOLT 4 gives its failures.
var codeNames = map[lnwire.FailCode]string{
	lnwire.CodeInvalidRealm:                     "invalid_realm",
	lnwire.CodeTemporaryNodeFailure:             "temporary_node_failure",
	lnwire.CodePermanentNodeFailure:             "permanent_node_failure",
	lnwire.CodeRequiredNodeFeatureMissing:       "required_node_feature_missing",
	lnwire.CodeInvalidOnionVersion:              "invalid_onion_version",
	lnwire.CodeInvalidOnionHmac:                 "invalid_onion_hmac",
	lnwire.CodeInvalidOnionKey:                  "invalid_onion_key",
	lnwire.CodeTemporaryChannelFailure:          "temporary_channel_failure",
	lnwire.CodePermanentChannelFailure:          "permanent_channel_failure",
	lnwire.CodeRequiredChannelFeatureMissing:    "required_channel_feature_missing",
	lnwire.CodeUnknownNextPeer:                  "unknown_next_peer",
	lnwire.CodeAmountBelowMinimum:               "amount_below_minimum",
	lnwire.CodeFeeInsufficient:                  "fee_insufficient",
	lnwire.CodeIncorrectCltvExpiry:              "incorrect_cltv_expiry",
	lnwire.CodeExpiryTooSoon:                    "expiry_too_soon",
	lnwire.CodeChannelDisabled:                  "channel_disabled",
	lnwire.CodeIncorrectOrUnknownPaymentDetails: "incorrect_or_unknown_payment_details",
	lnwire.CodeIncorrectPaymentAmount:           "incorrect_payment_amount",
	lnwire.CodeFinalExpiryTooSoon:               "final_expiry_too_soon",
	lnwire.CodeFinalIncorrectCltvExpiry:         "final_incorrect_cltv_expiry",
	lnwire.CodeFinalIncorrectHtlcAmount:         "final_incorrect_htlc_amount",
	lnwire.CodeExpiryTooFar:                     "expiry_too_far",
	lnwire.CodeInvalidOnionPayload:              "invalid_onion_payload",
	lnwire.CodeMPPTimeout:                       "mpp_timeout",
	lnwire.CodeInvalidBlinding:                  "invalid_onion_blinding",
}

// codeText says what a failure means to a person; its subject is the node that gave it.
func codeText(code lnwire.FailCode) string {
	if text, ok := codeTexts[code]; ok {
		return text
	}
	return "it gave no reason that this node knows"
}

var codeTexts = map[lnwire.FailCode]string{
	lnwire.CodeInvalidRealm:               "it could not read the payment",
	lnwire.CodeInvalidOnionVersion:        "it could not read the payment",
	lnwire.CodeInvalidOnionHmac:           "it could not read the payment",
	lnwire.CodeInvalidOnionKey:            "it could not read the payment",
	lnwire.CodeInvalidOnionPayload:        "it could not read the payment",
	lnwire.CodeInvalidBlinding:            "it could not read the payment",
	lnwire.CodeTemporaryNodeFailure:       "it has a problem: try later",
	lnwire.CodePermanentNodeFailure:       "it has a lasting problem",
	lnwire.CodeRequiredNodeFeatureMissing: "it needs a feature that this node does not have",
	lnwire.CodeTemporaryChannelFailure: "its next channel cannot carry the payment now: try later or " +
		"a smaller amount",
	lnwire.CodePermanentChannelFailure: "its next channel is closed",
	lnwire.CodeRequiredChannelFeatureMissing: "its next channel needs a feature that this node does not " +
		"have",
	lnwire.CodeUnknownNextPeer: "it does not know the next node, or that is offline: ask for " +
		"a new invoice",
	lnwire.CodeAmountBelowMinimum:  "the amount is too small for its next channel",
	lnwire.CodeFeeInsufficient:     "it asks for a larger fee than the invoice says",
	lnwire.CodeIncorrectCltvExpiry: "it asks for a longer time lock than the invoice says",
	lnwire.CodeExpiryTooSoon:       "the time lock has become too short: try again",
	lnwire.CodeFinalExpiryTooSoon:  "the time lock has become too short: try again",
	lnwire.CodeChannelDisabled:     "its next channel is disabled: try later",
	lnwire.CodeIncorrectOrUnknownPaymentDetails: "the invoice is not known there, is paid or expired, or the " +
		"amount is wrong: ask for a new invoice",
	lnwire.CodeIncorrectPaymentAmount:   "the amount is wrong: ask for a new invoice",
	lnwire.CodeFinalIncorrectCltvExpiry: "the time lock was changed on the way",
	lnwire.CodeFinalIncorrectHtlcAmount: "the amount was changed on the way",
	lnwire.CodeExpiryTooFar:             "the time lock is too long",
	lnwire.CodeMPPTimeout:               "the other parts did not arrive in time: try again",
}
