package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/lightningnetwork/lnd/zpay32"
	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node/api"
)

func (a *app) payCommand() *cobra.Command {
	var r api.PayRequest
	cmd := &cobra.Command{
		Use:   "pay INVOICE",
		Short: "Pay a BOLT 11 invoice",
		Long: "Pay an invoice, and wait until it is settled or has failed.\n" +
			"In a terminal it shows the invoice and asks first, unless --yes is given.",
		Args: cobra.ExactArgs(1),
	}
	amount := msatFlag(cmd, "amount-msat", "what to pay, for an invoice without an amount")
	maxFee := msatFlag(cmd, "max-fee-msat", "largest routing fee (default: the node's)")
	cmd.Flags().Uint32Var(&r.TimeoutSeconds, "timeout-seconds", api.DefaultPaySeconds,
		"how long to try")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r.Bolt11 = strings.TrimPrefix(strings.ToLower(args[0]), "lightning:")
		r.AmountMsat, r.MaxFeeMsat = amount(), maxFee()
		return a.pay(cmd.Context(), r)
	}
	return a.addYes(cmd)
}

// msatFlag adds a flag for an amount that may be left out; the function that it returns gives
// nil then. Zero is an amount: a largest fee of 0 is a limit.
func msatFlag(cmd *cobra.Command, name, usage string) func() *api.Msat {
	value := cmd.Flags().Uint64(name, 0, usage)
	return func() *api.Msat {
		if !cmd.Flags().Changed(name) {
			return nil
		}
		return api.SomeMsat(api.Msat(*value))
	}
}

func (a *app) pay(ctx context.Context, r api.PayRequest) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	if err := a.confirm("%s\nPay it?", invoiceText(r, config.Network)); err != nil {
		return err
	}
	answer, err := ask(a, func(c *api.Client) (*api.Payment, error) { return c.Pay(ctx, r) })
	if err != nil {
		return err
	}
	if err := show(a, answer, paymentText); err != nil {
		return err
	}
	if answer.Status != api.PaymentSettled {
		return errReported // a script must not take it for paid
	}
	return nil
}

// invoiceText tells what an invoice asks for. The node decides whether it can be paid; this is
// only for the eyes of who says yes.
func invoiceText(r api.PayRequest, network string) string {
	invoice, err := zpay32.Decode(r.Bolt11, chainParams(network))
	if err != nil {
		return "The invoice can't be read: " + err.Error()
	}
	var s sheet
	switch {
	case invoice.MilliSat != nil:
		s.add("amount", msat(api.Msat(*invoice.MilliSat)))
	case r.AmountMsat != nil:
		s.add("amount", msat(*r.AmountMsat)+" (your choice)")
	default:
		s.add("amount", "none: give --amount-msat")
	}
	s.add("to", fmt.Sprintf("%x", invoice.Destination.SerializeCompressed()))
	if invoice.Description != nil {
		s.add("for", *invoice.Description)
	}
	s.add("expires", clock(api.At(invoice.Timestamp.Add(invoice.Expiry()))))
	return strings.TrimSuffix(s.String(), "\n")
}

func paymentText(p *api.Payment) string {
	var s sheet
	s.add("status", string(p.Status))
	s.add("amount", msat(p.AmountMsat))
	s.add("fee", msat(p.FeeMsat))
	s.add("parts", strconv.Itoa(p.Parts))
	s.add("payment hash", p.PaymentHash)
	switch p.Status {
	case api.PaymentSettled:
		s.add("preimage", p.Preimage)
	case api.PaymentFailed:
		s.add("failure", p.Failure)
	case api.PaymentPending:
		s.add("note", "parts are under way: it may still be settled. See inlet payments; "+
			"paying the same invoice again is safe")
	}
	return s.String()
}

func (a *app) paymentsCommand() *cobra.Command {
	var r api.ListRequest
	cmd := &cobra.Command{
		Use: "payments", Short: "Show what was paid, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.PaymentList, error) {
				return c.Payments(cmd.Context(), r)
			})
			if err != nil {
				return err
			}
			return show(a, answer, paymentsText)
		},
	}
	addPages(cmd, &r.Limit, &r.Offset)
	return cmd
}

// addPages adds the flags of a list that may be long.
func addPages(cmd *cobra.Command, limit, offset *int) {
	cmd.Flags().IntVar(limit, "limit", 100, "show at most so many")
	cmd.Flags().IntVar(offset, "offset", 0, "leave out so many of the newest")
}

func paymentsText(l *api.PaymentList) string {
	if len(l.Payments) == 0 {
		return "Nothing was paid.\n"
	}
	t := newTable("TIME", "STATUS", "AMOUNT>", "FEE>", "PARTS>", "PAYEE", "FAILURE",
		"PAYMENT HASH")
	for _, p := range l.Payments {
		t.add(clock(p.CreatedAt), string(p.Status), msat(p.AmountMsat), msat(p.FeeMsat),
			strconv.Itoa(p.Parts), short(p.Payee), p.Failure, p.PaymentHash)
	}
	return t.String()
}
