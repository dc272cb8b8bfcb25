package node

import (
	"context"

	"github.com/inletlsp/inlet/lsp/admission"
	"github.com/inletlsp/inlet/node/api"
)

// Admission implements api.Gate.
func (a admin) Admission(context.Context) (*api.Admission, error) {
	if a.n.lsps.service == nil {
		return nil, errNoService
	}
	r, waiting := a.n.admission.report()
	view := &api.Admission{
		Policy: api.TrustPolicy(r.Policy), ClientsTrustLSP: r.ClientsTrust,
		RecentUnpaid: r.Recent, TrustFrom: r.From, TrustUntil: r.Until,
		WaitingOpenings: waiting, All: accountView(r.All),
	}
	for _, c := range r.Clients {
		view.Clients = append(view.Clients, api.ClientAccount{
			Client: peerKey(c.Client), Account: accountView(c.Account),
			MustTrust: c.MustTrust, Refused: c.Refused,
		})
	}
	for _, t := range r.Tokens {
		view.Tokens = append(view.Tokens, api.TokenAccount{
			Token: t.Token, Account: accountView(t.Account),
		})
	}
	return view, nil
}

func accountView(a admission.Account) api.Account {
	return api.Account{
		OpenOrders: a.Waiting, UnderWay: a.UnderWay, Unpaid: a.Unpaid, OpensToday: a.OpensToday,
		AtRiskSat: api.Sat(a.AtRisk),
	}
}

// SetTrust implements api.Gate.
func (a admin) SetTrust(ctx context.Context, r api.TrustRequest) (*api.Admission, error) {
	if err := a.n.SetTrust(admission.Policy(r.Policy)); err != nil {
		return nil, explain(err)
	}
	return a.Admission(ctx)
}
