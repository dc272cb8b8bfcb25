package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/inletlsp/inlet/node/api"
)

func (a *app) admissionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "admission", Short: "Show what clients have left unpaid and who must trust us",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.Admission, error) {
				return c.Admission(cmd.Context())
			})
			if err != nil {
				return err
			}
			return show(a, answer, admissionText)
		},
	}
}

func (a *app) trustCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trust auto|lsp|client",
		Short: "Change who trusts whom in what is sold from now on",
		Long: "Change who trusts whom in what is sold from now on, until the node is started " +
			"again:\n\n  auto    we fund channels at once, unless too much was left unpaid\n" +
			"  lsp     we fund channels at once, and sell nothing to those that left too much unpaid\n" +
			"  client  we fund a channel when the client has claimed the payment for it\n\n" +
			"Each client is told when it buys. To keep it, set lsp.lsps2.client_trusts_lsp.",
		Args: cobra.ExactArgs(1), ValidArgs: []string{"auto", "lsp", "client"},
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := ask(a, func(c *api.Client) (*api.Admission, error) {
				return c.SetTrust(cmd.Context(), api.TrustRequest{Policy: api.TrustPolicy(args[0])})
			})
			if err != nil {
				return err
			}
			return show(a, answer, admissionText)
		},
	}
}

func admissionText(r *api.Admission) string {
	var s sheet
	s.add("policy", string(r.Policy))
	s.add("trust", trust(r.ClientsTrustLSP))
	if r.TrustFrom != 0 {
		s.add("unpaid of late", fmt.Sprintf("%d (all clients must trust us from %d on, until %d are "+
			"left)", r.RecentUnpaid, r.TrustFrom, r.TrustUntil))
	}
	s.add("open orders", strconv.Itoa(r.All.OpenOrders))
	s.add("under way", fmt.Sprintf("%d, and %d that wait for them", r.All.UnderWay,
		r.WaitingOpenings))
	s.add("unpaid", strconv.Itoa(r.All.Unpaid))
	s.add("at risk", sat(r.All.AtRiskSat))
	s.add("opened today", strconv.Itoa(r.All.OpensToday))
	return s.String() + clientsText(r.Clients) + tokensText(r.Tokens)
}

func clientsText(list []api.ClientAccount) string {
	if len(list) == 0 {
		return ""
	}
	t := newTable("CLIENT", "UNPAID>", "AT RISK>", "UNDER WAY>", "OPEN ORDERS>", "TODAY>", "TERMS")
	for _, c := range list {
		terms := ""
		switch {
		case c.Refused != "":
			terms = "refused: " + c.Refused
		case c.MustTrust != "":
			terms = "must trust: " + c.MustTrust
		}
		t.add(append(append([]string{short(c.Client)}, accountCells(c.Account)...), terms)...)
	}
	return "\n" + t.String()
}

func tokensText(list []api.TokenAccount) string {
	if len(list) == 0 {
		return ""
	}
	t := newTable("TOKEN", "UNPAID>", "AT RISK>", "UNDER WAY>", "OPEN ORDERS>", "TODAY>")
	for _, k := range list {
		t.add(append([]string{k.Token}, accountCells(k.Account)...)...)
	}
	return "\n" + t.String()
}

func accountCells(a api.Account) []string {
	return []string{
		strconv.Itoa(a.Unpaid), sat(a.AtRiskSat), strconv.Itoa(a.UnderWay),
		strconv.Itoa(a.OpenOrders), strconv.Itoa(a.OpensToday),
	}
}
