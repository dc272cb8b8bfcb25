package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node/api"
)

func (a *app) quoteCommand() *cobra.Command {
	var r api.QuoteRequest
	cmd := &cobra.Command{
		Use: "quote --amount-msat N", Short: "Explain what a channel for a payment costs",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.Quote, error) {
				return c.Quote(cmd.Context(), r)
			})
			if err != nil {
				return err
			}
			return show(a, answer, quoteText)
		},
	}
	f := cmd.Flags()
	f.Uint64Var((*uint64)(&r.AmountMsat), "amount-msat", 0, "size of the payment")
	f.Uint64Var(&r.FeerateSatPerVb, "feerate-sat-per-vb", 0, "of the funding (default: now)")
	f.IntVar(&r.Parts, "parts", 1, "in how many the payment comes")
	f.StringVar(&r.Token, "token", "", "NAME of a token, for its menu")
	return cmd
}

func quoteText(q *api.Quote) string {
	var s sheet
	parts := "one part"
	if q.Parts != 1 {
		parts = blocks(uint32(q.Parts), " parts")
	}
	s.add("payment", msat(q.AmountMsat)+" in "+parts)
	p, fee := q.OpeningFeeParams, q.Fee
	s.add("offer", fmt.Sprintf("at least %s, %s ppm, for payments from %s to %s", msat(p.MinFeeMsat),
		blocks(p.Proportional, ""), msat(p.MinPaymentSizeMsat), msat(p.MaxPaymentSizeMsat)))
	s.add("opening fee", msat(fee.OpeningFeeMsat)+", the larger of")
	s.add("  minimum", msat(fee.MinFeeMsat))
	s.add("    configured", msat(fee.ConfiguredMinFeeMsat))
	s.add("    chain", msat(fee.ChainMinFeeMsat)+" = "+chainText(fee))
	s.add("  proportional", msat(fee.ProportionalMsat))
	s.add("client receives", msat(q.ClientReceivesMsat))
	c := q.Channel
	s.add("channel", sat(c.CapacitySat)+", the sum of")
	s.add("  to forward", sat(c.ForwardSat))
	s.add("  client's reserve", sat(c.ReserveSat))
	s.add("  anchors", sat(c.AnchorsSat))
	s.add("  commitment fee", sat(c.CommitmentFeeSat))
	s.add("  for later", sat(c.SpareSat))
	s.add("funding fee", fmt.Sprintf("%s at %s", sat(q.FundingFeeSat), rateText(fee.FeerateSatPerKw)))
	s.add("coins at risk", sat(q.AtRiskSat))
	if q.LossMsat != 0 {
		s.add("loss", msat(q.LossMsat))
	} else {
		s.add("profit", msat(q.ProfitMsat))
	}
	if q.Refusal != nil {
		s.add("not sold now", fmt.Sprintf("%s (error %d)", q.Refusal.Message, q.Refusal.Code))
	}
	return s.String()
}

// chainText is how the chain's part of the minimum comes about.
func chainText(fee api.QuoteFee) string {
	text := fmt.Sprintf("%d weight at %s, times %s", fee.ChainWeight, rateText(fee.FeerateSatPerKw),
		decimals(uint64(fee.MarginPpm), 6))
	if !fee.FollowsChain {
		text += "; not counted: min_fee_follows_chain is off"
	}
	return text
}

// rateText writes sat per 1000 weight as people do.
func rateText(satPerKw uint64) string { return decimals(satPerKw*4, 3) + " sat/vB" }

// decimals writes n with so many of its digits behind a point, less the zeros at the end.
func decimals(n uint64, places int) string {
	digits := fmt.Sprintf("%0*d", places+1, n)
	whole, rest := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if w, err := strconv.ParseUint(whole, 10, 64); err == nil {
		whole = grouped(strconv.FormatUint(w, 10))
	}
	if rest == "" {
		return whole
	}
	return whole + "." + rest
}
