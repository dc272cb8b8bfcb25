package lnd

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Pay says how to pay an invoice. Zero values are lnd's defaults.
type Pay struct {
	Invoice  string
	Amount   uint64 // msat, of a variable one
	MaxParts int
	MaxShard uint64 // msat
}

// Payment is how a payment ended.
type Payment struct {
	Status        string    `json:"status"`
	FailureReason string    `json:"failure_reason"`
	Attempts      []Attempt `json:"htlcs"`
}

// Attempt is one HTLC of a payment.
type Attempt struct {
	Status  string
	Failure *struct {
		Code        string
		SourceIndex int `json:"failure_source_index"`
	}
}

// Paid says that the payment succeeded.
func (p Payment) Paid() bool { return p.Status == "SUCCEEDED" }

// Codes are the outcomes of the attempts in BOLT 4's words, in the order in which each
// came first: once, twice or many times. Those not of the LSP have their source.
func (p Payment) Codes() string {
	var order []string
	count := map[string]int{}
	for _, a := range p.Attempts {
		text := strings.ToLower(a.Status)
		if a.Failure != nil {
			text = strings.ToLower(a.Failure.Code)
			switch a.Failure.SourceIndex {
			case 1:
			case 2:
				text += " of the client"
			default:
				text += fmt.Sprintf(" of hop %d", a.Failure.SourceIndex)
			}
		}
		if count[text]++; count[text] == 1 {
			order = append(order, text)
		}
	}
	for i, text := range order {
		switch n := count[text]; {
		case n == 2:
			order[i] = "2 × " + text
		case n > 2:
			order[i] = "many × " + text
		}
	}
	return strings.Join(order, ", ")
}

// Pay pays and waits for the end. lnd gives up by itself after a while.
func (n *Node) Pay(p Pay) (Payment, error) {
	in := map[string]any{
		"payment_request": p.Invoice, "timeout_seconds": 60, "fee_limit_msat": "1000000",
		"no_inflight_updates": true,
	}
	if p.Amount != 0 {
		in["amt_msat"] = fmt.Sprint(p.Amount)
	}
	if p.MaxParts != 0 {
		in["max_parts"] = p.MaxParts
	}
	if p.MaxShard != 0 {
		in["max_shard_size_msat"] = fmt.Sprint(p.MaxShard)
	}
	var out struct {
		Result Payment
		Error  *struct{ Message string }
	}
	if err := n.call(http.MethodPost, "/v2/router/send", in, &out); err != nil {
		return Payment{}, err
	}
	if out.Error != nil {
		return Payment{}, fmt.Errorf("lnd: %s", out.Error.Message)
	}
	return out.Result, nil
}

// Forget makes lnd forget who failed it.
func (n *Node) Forget() {
	n.Helper()
	n.must(http.MethodPost, "/v2/router/mc/reset", map[string]any{}, nil)
}

// HalfLife sets how long lnd bears a grudge: a penalty is half as large after this
// time. lnd's default is an hour.
func (n *Node) HalfLife(d time.Duration) {
	n.Helper()
	n.must(http.MethodPost, "/v2/router/mccfg", map[string]any{"config": map[string]any{
		"model": "APRIORI", "maximum_payment_results": 1000, "minimum_failure_relax_interval": "60",
		"apriori": map[string]any{
			"half_life_seconds": fmt.Sprint(int64(d.Seconds())), "hop_probability": 0.6, "weight": 0.5,
			"capacity_fraction": 0.9999,
		},
	}}, nil)
}

// Route is a payment over two hops with the time locks of the caller's choice.
type Route struct {
	Hash, Secret     [32]byte // the invoice's payment_hash and payment_secret
	Via, To          string   // node ids
	SCID             uint64   // from Via to To
	Amount           uint64   // msat
	Incoming, Expiry uint32   // of the HTLC to Via and of that to To
}

// SendTo makes one attempt over a route, as lnd would not by itself. Its mission
// control learns from it all the same.
func (n *Node) SendTo(r Route) (Payment, error) {
	var list struct {
		Channels []struct {
			ID string `json:"chan_id"`
		}
	}
	if err := n.call(http.MethodGet, "/v1/channels?active_only=true", nil, &list); err != nil {
		return Payment{}, err
	}
	amount := fmt.Sprint(r.Amount)
	hop := func(scid, key string) map[string]any {
		return map[string]any{
			"chan_id": scid, "pub_key": key, "amt_to_forward_msat": amount, "expiry": r.Expiry,
			"tlv_payload": true,
		}
	}
	last := hop(fmt.Sprint(r.SCID), r.To)
	last["mpp_record"] = map[string]any{"payment_addr": r.Secret[:], "total_amt_msat": amount}
	var a Attempt
	err := n.call(http.MethodPost, "/v2/router/route/send", map[string]any{
		"payment_hash": r.Hash[:], "route": map[string]any{
			"total_time_lock": r.Incoming, "total_amt_msat": amount,
			"hops": []any{hop(list.Channels[0].ID, r.Via), last},
		},
	}, &a)
	return Payment{Status: a.Status, Attempts: []Attempt{a}}, err
}
