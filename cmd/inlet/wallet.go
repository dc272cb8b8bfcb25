package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node/api"
)

func (a *app) walletCommand() *cobra.Command {
	return group("wallet", "Show and send on-chain coins",
		a.addressCommand(), a.balanceCommand(), a.sendCommand(), a.utxosCommand(),
		a.bumpCommand())
}

func (a *app) addressCommand() *cobra.Command {
	return &cobra.Command{
		Use: "address", Short: "Show a new address", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.Address, error) {
				return c.NewAddress(cmd.Context())
			})
			if err != nil {
				return err
			}
			return show(a, answer, func(r *api.Address) string { return r.Address + "\n" })
		},
	}
}

func (a *app) balanceCommand() *cobra.Command {
	return &cobra.Command{
		Use: "balance", Short: "Show the on-chain balance", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.Balance, error) {
				return c.Balance(cmd.Context())
			})
			if err != nil {
				return err
			}
			return show(a, answer, balanceText)
		},
	}
}

func balanceText(b *api.Balance) string {
	t := newTable("", "AMOUNT>", "")
	for _, row := range []struct {
		name   string
		amount api.Sat
		about  string
	}{
		{"confirmed", b.ConfirmedSat, "in blocks"},
		{"unconfirmed", b.UnconfirmedSat, "not yet in a block"},
		{"leased", b.LeasedSat, "locked for channel openings under way"},
		{"reserved", b.ReservedSat, "kept back to close channels"},
		{"spendable", b.SpendableSat, "can be sent now"},
	} {
		t.add(row.name, sat(row.amount), row.about)
	}
	return t.body()
}

func (a *app) utxosCommand() *cobra.Command {
	return &cobra.Command{
		Use: "utxos", Short: "Show the coins", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.Utxos, error) {
				return c.Utxos(cmd.Context())
			})
			if err != nil {
				return err
			}
			return show(a, answer, utxosText)
		},
	}
}

func utxosText(l *api.Utxos) string {
	if len(l.Utxos) == 0 {
		return "The wallet has no coins; inlet wallet address shows where to send some.\n"
	}
	t := newTable("AMOUNT>", "CONFIRMATIONS>", "LEASED", "READY", "ADDRESS", "OUTPOINT")
	for _, u := range l.Utxos {
		t.add(sat(u.AmountSat), grouped(strconv.Itoa(u.Confirmations)), yesNo(u.Leased),
			yesNo(u.Ready), u.Address, u.Outpoint)
	}
	return t.String()
}

func (a *app) sendCommand() *cobra.Command {
	var r api.SendRequest
	var amount uint64
	cmd := &cobra.Command{
		Use: "send ADDRESS [AMOUNT_SAT]", Short: "Send coins to an address",
		Long: "Send AMOUNT_SAT satoshi, or with --all everything less the fee.\n" +
			"In a terminal it asks before it sends, unless --yes is given.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Address = args[0]
			var err error
			if r.AmountSat, err = amountSat(args[1:], amount); err != nil {
				return err
			}
			if r.All == (r.AmountSat != 0) {
				return usageError{errors.New("give either AMOUNT_SAT or --all")}
			}
			return a.send(cmd, r)
		},
	}
	cmd.Flags().Uint64Var(&amount, "amount-sat", 0, "the same as AMOUNT_SAT")
	cmd.Flags().BoolVar(&r.All, "all", false, "send every spendable coin, less the fee")
	addFeeRate(cmd, &r.FeeRateSatPerVb)
	return a.addYes(cmd)
}

// amountSat takes an amount that may stand behind the other arguments or in a flag.
func amountSat(args []string, flag uint64) (api.Sat, error) {
	amount := flag
	if len(args) > 0 {
		if flag != 0 {
			return 0, usageError{errors.New("the amount is given twice")}
		}
		var err error
		if amount, err = strconv.ParseUint(args[0], 10, 63); err != nil || amount == 0 {
			return 0, usageError{fmt.Errorf("%q is not an amount in whole satoshi", args[0])}
		}
	}
	if amount > 1<<63-1 {
		return 0, usageError{fmt.Errorf("%d sat are more than there are", amount)}
	}
	return api.Sat(amount), nil
}

func addFeeRate(cmd *cobra.Command, rate *uint64) {
	cmd.Flags().Uint64Var(rate, "fee-rate-sat-per-vb", 0, "fee rate (default: estimated)")
}

func (a *app) send(cmd *cobra.Command, r api.SendRequest) error {
	what := sat(r.AmountSat)
	if r.All {
		what = "all spendable coins"
	}
	if err := a.confirm("Send %s to %s?", what, r.Address); err != nil {
		return err
	}
	answer, err := ask(a, func(c *api.Client) (*api.Transaction, error) {
		return c.Send(cmd.Context(), r)
	})
	if err != nil {
		return err
	}
	return show(a, answer, transactionText)
}

func transactionText(t *api.Transaction) string {
	return "Sent in transaction " + clean(t.Txid) + "\n"
}

func (a *app) bumpCommand() *cobra.Command {
	var r api.BumpRequest
	cmd := &cobra.Command{
		Use: "bump TXID", Short: "Make a transaction of ours confirm sooner, by a higher fee",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.Txid = args[0]
			err := a.confirm("Pay a higher fee, so that %s confirms sooner?", r.Txid)
			if err != nil {
				return err
			}
			answer, err := ask(a, func(c *api.Client) (*api.Transaction, error) {
				return c.Bump(cmd.Context(), r)
			})
			if err != nil {
				return err
			}
			return show(a, answer, transactionText)
		},
	}
	addFeeRate(cmd, &r.FeeRateSatPerVb)
	return a.addYes(cmd)
}
