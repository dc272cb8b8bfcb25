package main

import (
	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node/api"
)

func (a *app) invoicesCommand() *cobra.Command {
	return group("invoices", "Make and show invoices", a.createInvoiceCommand(),
		a.listInvoicesCommand())
}

func (a *app) createInvoiceCommand() *cobra.Command {
	var r api.InvoiceRequest
	cmd := &cobra.Command{Use: "create", Short: "Make an invoice", Args: cobra.NoArgs}
	amount := msatFlag(cmd, "amount-msat", "what to ask for (default: the payer chooses)")
	cmd.Flags().StringVar(&r.Description, "description", "", "what it is for; the payer sees it")
	cmd.Flags().Uint32Var(&r.ExpirySeconds, "expiry-seconds", 3600, "how long it can be paid")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r.AmountMsat = amount()
		answer, err := ask(a, func(c *api.Client) (*api.Invoice, error) {
			return c.CreateInvoice(cmd.Context(), r)
		})
		if err != nil {
			return err
		}
		return show(a, answer, newInvoiceText)
	}
	return cmd
}

func newInvoiceText(i *api.Invoice) string {
	var s sheet
	addInvoice(&s, *i)
	return s.String()
}

func addInvoice(s *sheet, i api.Invoice) {
	s.add("amount", someMsat(i.AmountMsat, "the payer chooses"))
	s.add("expires", clock(i.ExpiresAt))
	s.add("payment hash", i.PaymentHash)
	s.add("invoice", i.Bolt11)
}

func (a *app) listInvoicesCommand() *cobra.Command {
	var r api.ListRequest
	cmd := &cobra.Command{
		Use: "list", Short: "Show the invoices, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.InvoiceList, error) {
				return c.Invoices(cmd.Context(), r)
			})
			if err != nil {
				return err
			}
			return show(a, answer, invoicesText)
		},
	}
	addPages(cmd, &r.Limit, &r.Offset)
	return cmd
}

func invoicesText(l *api.InvoiceList) string {
	if len(l.Invoices) == 0 {
		return "There are no invoices.\n"
	}
	t := newTable("CREATED", "STATE", "AMOUNT>", "RECEIVED>", "DESCRIPTION", "PAYMENT HASH")
	for _, i := range l.Invoices {
		received := ""
		if i.State == api.InvoiceSettled {
			received = msat(i.ReceivedMsat)
		}
		t.add(clock(i.CreatedAt), string(i.State), someMsat(i.AmountMsat, "any"), received,
			i.Description, i.PaymentHash)
	}
	return t.String()
}

func (a *app) jitCommand() *cobra.Command {
	var r api.JITRequest
	cmd := &cobra.Command{
		Use:   "invoice --lsp PUBKEY@HOST:PORT",
		Short: "Make an invoice whose payment opens a channel",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().StringVar(&r.LSP, "lsp", "", "the LSP to buy from, PUBKEY@HOST:PORT")
	amount := msatFlag(cmd, "amount-msat", "what to ask for (default: the payer chooses)")
	maxFee := msatFlag(cmd, "max-fee-msat", "largest fee for the channel (default: any)")
	cmd.Flags().StringVar(&r.Description, "description", "", "what it is for; the payer sees it")
	cmd.Flags().StringVar(&r.Token, "token", "", "token that the LSP gave you, for its menu")
	cmd.Flags().BoolVar(&r.ClientTrustsLSP, "client-trusts-lsp", false,
		"take an LSP that funds the channel after it was paid")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if r.LSP == "" {
			return usageError{errNoLSP}
		}
		r.AmountMsat, r.MaxFeeMsat = amount(), maxFee()
		answer, err := ask(a, func(c *api.Client) (*api.JITInvoice, error) {
			return c.JITInvoice(cmd.Context(), r)
		})
		if err != nil {
			return err
		}
		return show(a, answer, jitText)
	}
	return group("jit", "Buy a channel from an LSP, paid out of the first payment", cmd)
}

func jitText(i *api.JITInvoice) string {
	var s sheet
	addInvoice(&s, i.Invoice)
	s.add("opening fee", someMsat(i.OpeningFeeMsat, "depends on the amount"))
	s.add("scid", i.JitChannelScid)
	return s.String()
}
