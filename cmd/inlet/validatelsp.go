package main

import (
	"errors"
	"fmt"
)

// What clients need, as far as is known of those in use.
const (
	leastToSelfDelay         = 144 // what LDK and lnd ask of the other side at least
	leastCloseUnpaidAfter    = 3600
	leastCloseIdleAfter      = 144
	leastOutgoingExpiryDelta = 44 // LDK refuses a payment with less, to the block
)

// checkLSP checks how the numbers of the service go together.
func (c Config) checkLSP() error {
	var errs []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("lsp."+format, args...))
		}
	}
	s, l := c.LSP.LSPS2, c.LSP.Limits
	fault(s.MinPaymentSizeMsat > s.MaxPaymentSizeMsat,
		"lsps2.min_payment_size_msat: %d is more than max_payment_size_msat (%d): lower one or "+
			"raise the other", s.MinPaymentSizeMsat, s.MaxPaymentSizeMsat)
	fault(s.MinFeeMsat >= s.MaxPaymentSizeMsat,
		"lsps2.min_fee_msat: %d is not less than max_payment_size_msat (%d), so that nothing "+
			"could ever be sold", s.MinFeeMsat, s.MaxPaymentSizeMsat)
	fault(s.OpenAttemptSeconds > s.HoldSeconds,
		"lsps2.open_attempt_seconds: %d is more than hold_seconds (%d): no attempt could end",
		s.OpenAttemptSeconds, s.HoldSeconds)
	fault(s.HoldSeconds > s.ValidForSeconds,
		"lsps2.hold_seconds: %d is more than valid_for_seconds (%d)", s.HoldSeconds,
		s.ValidForSeconds)
	fault(c.Channels.CltvExpiryDeltaBlocks > s.LSPCltvExpiryDeltaBlocks,
		"lsps2.lsp_cltv_expiry_delta_blocks: %d is less than channels.cltv_expiry_delta_blocks "+
			"(%d): forwards to clients would be refused", s.LSPCltvExpiryDeltaBlocks,
		c.Channels.CltvExpiryDeltaBlocks)
	fault(l.OpenOrdersPerClient > l.OpenOrders,
		"limits.open_orders_per_client: %d is more than open_orders (%d)", l.OpenOrdersPerClient,
		l.OpenOrders)
	fault(l.HeldPartsPerPayment > l.HeldPartsPerClient,
		"limits.held_parts_per_payment: %d is more than held_parts_per_client (%d)",
		l.HeldPartsPerPayment, l.HeldPartsPerClient)
	fault(l.HeldPartsPerClient > l.HeldParts,
		"limits.held_parts_per_client: %d is more than held_parts (%d)", l.HeldPartsPerClient,
		l.HeldParts)
	fault(l.RequestsPerSecondClient > l.RequestsPerSecond,
		"limits.requests_per_second_per_client: %d is more than requests_per_second (%d)",
		l.RequestsPerSecondClient, l.RequestsPerSecond)
	fault(s.CloseUnpaidAfterSeconds != 0 && s.CloseUnpaidAfterSeconds < leastCloseUnpaidAfter,
		"lsps2.close_unpaid_after_seconds: %d is less than %d, and a payment may still be held: "+
			"raise it, or set 0 for never", s.CloseUnpaidAfterSeconds, leastCloseUnpaidAfter)
	fault(s.CloseIdleAfterBlocks != 0 && s.CloseIdleAfterBlocks < leastCloseIdleAfter,
		"lsps2.close_idle_after_blocks: %d is less than %d, about a day, and a client may be away for "+
			"that long: raise it, or set 0 for never", s.CloseIdleAfterBlocks, leastCloseIdleAfter)
	fault(l.UnpaidChannels != 0 && s.ClientTrustsLSPAfterUnpaid > l.UnpaidChannels,
		"lsps2.client_trusts_lsp_after_unpaid: %d is more than limits.unpaid_channels (%d): it "+
			"would never be reached", s.ClientTrustsLSPAfterUnpaid, l.UnpaidChannels)
	ordered := func(name string, client, token, all uint64) {
		fault(all != 0 && (client > all || token > all), "limits.%s: what one client (%d) or one "+
			"token (%d) may have is more than all may (%d)", name, client, token, all)
	}
	ordered("unpaid_channels", uint64(l.UnpaidChannelsPerClient), uint64(l.UnpaidChannelsPerToken),
		uint64(l.UnpaidChannels))
	ordered("at_risk_sat", l.AtRiskPerClientSat, l.AtRiskPerTokenSat, l.AtRiskSat)
	ordered("opens_per_day", uint64(l.OpensPerDayPerClient), uint64(l.OpensPerDayPerToken),
		uint64(l.OpensPerDay))
	fault(s.MinChannelSizeSat > s.MaxChannelSizeSat,
		"lsps2.min_channel_size_sat: %d is more than max_channel_size_sat (%d)",
		s.MinChannelSizeSat, s.MaxChannelSizeSat)
	if len(errs) == 0 {
		errs = append(errs, c.checkMenus())
	}
	return errors.Join(errs...)
}

// warnings are about settings that are allowed and rarely meant.
func (c Config) warnings() []string {
	var warnings []string
	warn := func(odd bool, format string, args ...any) {
		if odd {
			warnings = append(warnings, fmt.Sprintf("lsp.lsps2."+format, args...))
		}
	}
	s := c.LSP.LSPS2
	warn(s.MinOutgoingExpiryDeltaBlocks < leastOutgoingExpiryDelta,
		"min_outgoing_expiry_delta_blocks: LDK clients refuse payments with less than %d, and %d "+
			"is set", leastOutgoingExpiryDelta, s.MinOutgoingExpiryDeltaBlocks)
	warn(s.MinFeeMsat >= s.MinPaymentSizeMsat,
		"min_payment_size_msat: payments up to %d are refused all the same, since min_fee_msat "+
			"eats them up", s.MinFeeMsat)
	return warnings
}
