package api

import "context"

// Gate shows what clients have cost and who must trust whom, and changes the latter.
type Gate interface {
	Admission(ctx context.Context) (*Admission, error)

	// SetTrust changes the policy until the node is started again, and answers with what that
	// makes of it.
	SetTrust(ctx context.Context, r TrustRequest) (*Admission, error)
}

// TrustPolicy says who trusts whom in what is sold from now on.
type TrustPolicy string

// The policies.
const (
	TrustAuto   TrustPolicy = "auto"   // we trust clients, unless too much was left unpaid
	TrustLSP    TrustPolicy = "lsp"    // we trust clients, and refuse those that left too much unpaid
	TrustClient TrustPolicy = "client" // clients trust us: the funding goes out after their claim
)

// TrustRequest is the request of /v1/lsp/trust.
type TrustRequest struct {
	Policy TrustPolicy `json:"policy"`
}

// Admission is the answer of /v1/lsp/admission and /v1/lsp/trust.
type Admission struct {
	Policy TrustPolicy `json:"policy"`

	// ClientsTrustLSP is true when every client must trust us now.
	ClientsTrustLSP bool `json:"clients_trust_lsp"`

	// RecentUnpaid are the channels left unpaid within the window. With the policy auto all clients
	// must trust us from TrustFrom on until TrustUntil are left; both are 0 when that is off.
	RecentUnpaid int `json:"recent_unpaid"`
	TrustFrom    int `json:"trust_from"`
	TrustUntil   int `json:"trust_until"`

	// WaitingOpenings are complete payments that wait until others have come to their end.
	WaitingOpenings int `json:"waiting_openings"`

	// All is the account of all clients together; Clients has at most a hundred, those first that
	// cost most; Tokens are by name.
	All     Account         `json:"all"`
	Clients []ClientAccount `json:"clients"`
	Tokens  []TokenAccount  `json:"tokens"`
}

// Account is what a client, a token or all together have.
type Account struct {
	// OpenOrders wait for their payment and have no channel.
	OpenOrders int `json:"open_orders"`

	// UnderWay are channels whose payment is being made, Unpaid those that nobody has paid for,
	// OpensToday all that were opened in the last 24 hours.
	UnderWay   int `json:"under_way"`
	Unpaid     int `json:"unpaid"`
	OpensToday int `json:"opens_today"`

	// AtRiskSat is in channels that are not paid for.
	AtRiskSat Sat `json:"at_risk_sat"`
}

// ClientAccount is a client's.
type ClientAccount struct {
	// Client is its public key.
	Client string `json:"client"`
	Account

	// MustTrust says why it must trust us when it buys now, Refused why it can't buy; empty is no.
	MustTrust string `json:"must_trust"`
	Refused   string `json:"refused"`
}

// TokenAccount is a token's.
type TokenAccount struct {
	Token string `json:"token"`
	Account
}

func (r TrustRequest) validate() *Error {
	switch r.Policy {
	case TrustAuto, TrustLSP, TrustClient:
		return nil
	case "":
		return missing("policy", "auto, lsp or client")
	}
	return invalid("there is no trust policy "+string(r.Policy), "policies: auto, lsp, client")
}

func (n noLSP) Admission(context.Context) (*Admission, error) { return nil, n.off() }

func (n noLSP) SetTrust(context.Context, TrustRequest) (*Admission, error) { return nil, n.off() }

// Admission implements Gate.
func (c *Client) Admission(ctx context.Context) (*Admission, error) {
	return request[Admission](ctx, c, "lsp/admission", quickTimeout, Empty{})
}

// SetTrust implements Gate.
func (c *Client) SetTrust(ctx context.Context, r TrustRequest) (*Admission, error) {
	return request[Admission](ctx, c, "lsp/trust", quickTimeout, r)
}
