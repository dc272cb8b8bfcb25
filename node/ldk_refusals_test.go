package node_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/nodetest/ldk"
)

// lspsRefusal is a request of an LDK client that our service refuses. What LDK would
// never ask is made of its request on the way.
type lspsRefusal struct {
	when   string
	method string                // of the request that is refused
	size   uint64                // of the payment; 0: variable
	before int                   // purchases that go well first
	change func(request) request // nil: as LDK asks

	token   string // by which the wire knows the client
	asked   int    // purchases so far
	refusal string // what we answered
	err     error  // what ldk-node said to its user
	waited  bool   // for as long as it waits for an answer
	again   error  // what it said to the next purchase on the same connection
	log     []string
}

const (
	getInfo = "lsps2.get_info"
	buy     = "lsps2.buy"
)

// request is one of LDK's; a nil one is no JSON.
type request map[string]any

func with(name string, value any) func(request) request {
	return func(r request) request {
		r["params"].(map[string]any)[name] = value
		return r
	}
}

func withItem(name string, value any) func(request) request {
	return func(r request) request {
		item := r["params"].(map[string]any)["opening_fee_params"].(map[string]any)
		item[name] = value
		if value == nil {
			delete(item, name)
		}
		return r
	}
}

// lspsWire changes requests before the service reads them. It knows the clients apart
// by the tokens that they ask with, which it takes away.
type lspsWire struct {
	mu      sync.Mutex
	cases   map[string]*lspsRefusal // by token; guarded by mu
	callers map[string]*lspsRefusal // by the id of a request; guarded by mu
	last    *lspsRefusal            // that was changed; guarded by mu
}

func (w *lspsWire) message(sent bool, msg lnwire.Message) {
	m, ok := msg.(*lnwire.Custom)
	if !ok || m.Type != lsp.MessageType {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if sent {
		w.answer(m.Data)
	} else {
		m.Data = w.ask(m.Data)
	}
}

func (w *lspsWire) ask(raw []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var r request
	if d.Decode(&r) != nil || r["params"] == nil {
		return raw // LDK's own answers
	}
	params, id := r["params"].(map[string]any), fmt.Sprint(r["id"])
	c := w.cases[fmt.Sprint(params["token"])]
	if c != nil {
		params["token"] = nil
		c.asked++
	} else if size, ok := params["payment_size_msat"].(string); ok {
		c = w.bySize(size)
	}
	if c == nil {
		return raw
	}
	w.callers[id] = c
	if r["method"] == c.method && c.asked == c.before+1 && c.change != nil {
		w.last = c
		r = c.change(r)
	}
	if r == nil {
		return []byte("{")
	}
	raw, _ = json.Marshal(r)
	return raw
}

// bySize knows a client by the size of its payment, which is another for each.
func (w *lspsWire) bySize(msat string) *lspsRefusal {
	for _, c := range w.cases {
		if fmt.Sprint(c.size) == msat {
			return c
		}
	}
	return nil
}

func (w *lspsWire) answer(raw []byte) {
	var r struct {
		ID    *string
		Error json.RawMessage
	}
	_ = json.Unmarshal(raw, &r)
	c := w.last
	if r.ID != nil {
		c = w.callers[*r.ID]
	}
	if c != nil && r.Error != nil && c.refusal == "" {
		c.refusal = string(r.Error)
	}
}

// lspsRefusals are run at the same time, for ldk-node waits 5 seconds in each.
func lspsRefusals() []*lspsRefusal {
	all := []*lspsRefusal{
		{when: "the message is no JSON-RPC", method: getInfo, change: func(request) request { return nil }},
		{when: "the method is not known", method: getInfo, change: func(r request) request {
			r["method"] = "lsps2.get_versions"
			return r
		}},
		{when: "a parameter is not known", method: getInfo, change: with("version", 1)},
		{when: "the token is no string", method: getInfo, change: with("token", 1)},
		{when: "the token is not known", method: getInfo, change: with("token", "a free lunch")},
		{when: "a parameter is not known", method: buy, change: with("version", 1)},
		{when: "opening_fee_params is missing", method: buy, change: with("opening_fee_params", nil)},
		{when: "a field of opening_fee_params is missing", method: buy, change: withItem("min_lifetime", nil)},
		{when: "a field of opening_fee_params is not known", method: buy, change: withItem("discount", 1)},
		{when: "a field of opening_fee_params was changed", method: buy, change: withItem("min_fee_msat", "1")},
		{when: "payment_size_msat is no amount", method: buy, change: with("payment_size_msat", 1.5)},
		{when: "payment_size_msat is 0", method: buy, change: with("payment_size_msat", "0")},
		{when: "the payment is under min_payment_size_msat", method: buy,
			change: with("payment_size_msat", "999999")},
		{when: "the fee is no less than the payment", method: buy, size: 2_000_000},
		{when: "the payment is over max_payment_size_msat", method: buy,
			change: with("payment_size_msat", "4000000001")},
		{when: "too many requests in a second", method: getInfo, before: 5},
	}
	for i, c := range all {
		c.token = fmt.Sprintf("case-%02d", i)
		if c.size == 0 {
			c.size = 50_000_000 + uint64(i)*1000
		}
	}
	return all
}

// TestRefusalsSeenByLDK runs a real LDK client into each refusal of the LSPS0 and
// LSPS2 service and keeps docs/errors.md at what it said.
func TestRefusalsSeenByLDK(t *testing.T) {
	now := clock.NewTestClock(time.Now())
	w := &lspsWire{cases: map[string]*lspsRefusal{}, callers: map[string]*lspsRefusal{}}
	m := newLDKMarket(t, func(o *node.Options) {
		o.SetClock(now)
		o.LSP.Offer.MinPaymentSize = 1_000_000
		o.LSP.Limits = lsp.Limits{ClientOpen: 6}
	})
	m.bad.do(t, func(bad *culprit) { bad.wire = w.message })

	cases := lspsRefusals()
	pass := func() { now.SetTime(now.Now().Add(2 * time.Second)) }
	m.refuse(t, w, cases, pass)
	// These two move the clock, which would be felt by the others.
	late := []*lspsRefusal{
		{when: "too many open orders of the client", method: buy, size: 60_001_000, before: 6, token: "open"},
		{when: "valid_until is past", method: buy, size: 60_000_000, token: "late",
			change: func(r request) request {
				now.SetTime(now.Now().Add(2 * time.Hour))
				return r
			}},
	}
	for _, c := range late {
		m.refuse(t, w, []*lspsRefusal{c}, pass)
		cases = append(cases, c)
	}

	var rows [][]string
	for _, c := range cases {
		if c.refusal == "" || c.err == nil {
			t.Errorf("%s, %s: we answered %q, the client says %v", c.method, c.when, c.refusal, c.err)
			continue
		}
		rows = append(rows, c.row())
	}
	seen(t, "lsps", []string{
		"request", "when", "Inlet answers", "ldk-node's user gets", "its log has", "its next purchase",
	}, rows)
}

// refuse runs clients into their refusals, all at once, and then has each buy again.
// pass lets time pass, so that no limit of requests is in the way.
func (m *ldkMarket) refuse(t *testing.T, w *lspsWire, cases []*lspsRefusal, pass func()) {
	t.Helper()
	clients := make([]*ldk.Client, len(cases))
	var starts sync.WaitGroup
	for i, c := range cases {
		w.mu.Lock()
		w.cases[c.token] = c
		w.mu.Unlock()
		cfg := m.bitcoind.Config()
		clients[i] = ldk.Start(t, ldk.Settings{
			Dir: filepath.Join(m.dir, c.token), LSP: m.seller.NodeID(), LSPAddr: m.seller.Addr(),
			RPCHost: cfg.RPCHost, RPCUser: cfg.RPCUser, RPCPassword: cfg.RPCPassword,
			Anchors: ldk.Trusted, Token: c.token,
		})
		starts.Go(func() {
			for range c.before {
				if _, err := clients[i].TryJIT(c.size); err != nil {
					t.Errorf("%s: %v", c.when, err)
				}
				if len(cases) == 1 {
					pass()
				}
			}
		})
	}
	starts.Wait()
	var first, second sync.WaitGroup
	for i, c := range cases {
		first.Go(func() {
			began := time.Now()
			_, c.err = clients[i].TryJIT(c.size)
			c.waited = time.Since(began) > 4*time.Second
			c.log = ldkLog(clients[i].Trace(100_000))
		})
	}
	first.Wait()
	pass()
	for i, c := range cases {
		second.Go(func() { _, c.again = clients[i].TryJIT(40_000_000) })
	}
	second.Wait()
}

func (c *lspsRefusal) row() []string {
	_, text, _ := strings.Cut(c.err.Error(), "NodeError: ")
	text = code(text)
	if c.waited {
		text += ", after 5 s"
	}
	var log []string
	for _, l := range c.log {
		// It says the same again in its own words.
		if !strings.HasPrefix(l, "Received unexpected liquidity event") {
			log = append(log, code(strings.TrimPrefix(l, "Error handling message from …; ignoring: ")))
		}
	}
	next := "works"
	if c.again != nil {
		next = "fails too"
	}
	return []string{
		strings.TrimPrefix(c.method, "lsps2."), c.when, code(c.refusal), text, strings.Join(log, "<br>"), next,
	}
}
