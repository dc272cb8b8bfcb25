package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node/api"
)

var errNoLSP = errors.New("which LSP? Give --lsp PUBKEY@HOST:PORT")

func (a *app) lspCommand() *cobra.Command {
	return group("lsp", "Show what the LSP sells and has sold", a.menuCommand(),
		a.quoteCommand(), a.lifetimesCommand(), a.ordersCommand(), a.orderCommand(), a.admissionCommand(),
		a.trustCommand())
}

func (a *app) menuCommand() *cobra.Command {
	return &cobra.Command{
		Use: "menu", Short: "Show the offers that clients get", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.Menu, error) {
				return c.Menu(cmd.Context())
			})
			if err != nil {
				return err
			}
			return show(a, answer, menuText)
		},
	}
}

func menuText(m *api.Menu) string {
	if len(m.OpeningFeeParamsMenu) == 0 {
		return "Nothing is for sale now.\n"
	}
	t := newTable("MIN FEE>", "PPM>", "MIN PAYMENT>", "MAX PAYMENT>", "MIN LIFETIME>",
		"TO SELF DELAY>", "VALID UNTIL")
	for _, p := range m.OpeningFeeParamsMenu {
		t.add(msat(p.MinFeeMsat), blocks(p.Proportional, ""), msat(p.MinPaymentSizeMsat),
			msat(p.MaxPaymentSizeMsat), blocks(p.MinLifetime, " blocks"),
			blocks(p.MaxClientToSelfDelay, " blocks"), p.ValidUntil)
	}
	if m.ClosedReason != "" {
		return t.String() + "\nClients get an empty menu now: " + clean(m.ClosedReason) + ".\n"
	}
	return t.String()
}

// blocks writes a whole number with its unit.
func blocks(n uint32, unit string) string {
	return grouped(strconv.FormatUint(uint64(n), 10)) + unit
}

func (a *app) ordersCommand() *cobra.Command {
	var r api.OrdersRequest
	var state string
	cmd := &cobra.Command{
		Use: "orders", Short: "Show the orders, the newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.State = api.OrderState(state)
			answer, err := ask(a, func(c *api.Client) (*api.OrderList, error) {
				return c.Orders(cmd.Context(), r)
			})
			if err != nil {
				return err
			}
			return show(a, answer, ordersText)
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only orders in this state")
	cmd.Flags().StringVar(&r.Client, "client", "", "only orders of this node")
	addPages(cmd, &r.Limit, &r.Offset)
	return cmd
}

func ordersText(l *api.OrderList) string {
	if len(l.Orders) == 0 {
		return "There are no orders.\n"
	}
	t := newTable("CREATED", "ID", "STATE", "PAYMENT>", "FEE>", "CLIENT", "SCID", "FAILURE")
	for _, o := range l.Orders {
		failure := ""
		if o.Failure != nil {
			failure = o.Failure.Code
		}
		t.add(clock(o.CreatedAt), o.ID, string(o.State), someMsat(o.PaymentSizeMsat, "any"),
			someMsat(o.OpeningFeeMsat, ""), short(o.Client), o.JitChannelScid, failure)
	}
	return t.String()
}

func (a *app) orderCommand() *cobra.Command {
	return &cobra.Command{
		Use: "order ID", Short: "Show an order from beginning to end", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.Order, error) {
				return c.Order(cmd.Context(), api.OrderRequest{ID: args[0]})
			})
			if err != nil {
				return err
			}
			return show(a, answer, orderText)
		},
	}
}

func orderText(o *api.Order) string {
	var s sheet
	s.add("order", o.ID)
	s.add("state", string(o.State))
	s.add("client", o.Client)
	s.add("scid", o.JitChannelScid)
	s.add("payment", someMsat(o.PaymentSizeMsat, "the payer chooses"))
	s.add("opening fee", someMsat(o.OpeningFeeMsat, "depends on the payment"))
	p := o.OpeningFeeParams
	s.add("offer", fmt.Sprintf("at least %s, %s ppm, valid until %s", msat(p.MinFeeMsat),
		blocks(p.Proportional, ""), p.ValidUntil))
	if o.Token != "" {
		s.add("token", o.Token)
	}
	s.add("trust", trust(o.ClientTrustsLSP))
	s.add("payment hash", o.PaymentHash)
	s.add("channel point", o.ChannelPoint)
	s.add("funding txid", o.FundingTxid)
	s.add("created", clock(o.CreatedAt))
	s.add("deadline", clock(o.Deadline))
	if o.Failure != nil {
		s.add("failure", o.Failure.Code+": "+o.Failure.Reason)
	}
	return s.String() + partsText(o.Parts) + timelineText(o.Timeline)
}

func trust(clientTrusts bool) string {
	if clientTrusts {
		return "the client trusts the LSP: funding goes out after the claim"
	}
	return "the LSP trusts the client: funding goes out at once"
}

func partsText(parts []api.Part) string {
	if len(parts) == 0 {
		return ""
	}
	t := newTable("PART", "AMOUNT>", "EXTRA FEE>", "EXPIRY>", "HELD>", "STATE")
	for _, p := range parts {
		state := p.State
		if p.Reason != "" {
			state += ": " + p.Reason
		}
		t.add(p.IncomingScid+"/"+strconv.FormatUint(p.HtlcID, 10), msat(p.AmountMsat),
			msat(p.ExtraFeeMsat), blocks(p.ExpiryHeight, ""), grouped(strconv.FormatInt(p.HeldMs, 10))+" ms",
			state)
	}
	return "\n" + t.String()
}

func timelineText(moments []api.Moment) string {
	if len(moments) == 0 {
		return ""
	}
	t := newTable("STAGE", "AT", "AFTER>")
	for _, m := range moments {
		t.add(string(m.Stage), m.At.String(), grouped(strconv.FormatInt(m.Ms, 10))+" ms")
	}
	return "\n" + t.String()
}
