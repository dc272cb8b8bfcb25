package itest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnrpc"
	"github.com/lightningnetwork/lnd/lnrpc/routerrpc"

	"github.com/inletlsp/inlet/node/api"
)

const (
	soakHold = 15 * time.Second // hold_seconds of the LSP

	// soakBound is how long an HTLC of the payer's may be out: the hold, and what it
	// takes until all who were killed or stopped in the meantime are back.
	soakBound = soakHold + 60*time.Second

	soakClients = 4
)

// soak is one LSP under random clients, payments and faults.
type soak struct {
	*house
	clients []*inlet
	rnd     *rand.Rand // of the faults
	payerMu sync.RWMutex
	stop    chan struct{}

	whyMu sync.Mutex
	why   map[string]int // why sales and payments came to nothing; guarded by whyMu

	paid, failed, unpaid, refused, unsold, closed atomic.Int64
	faults                                        map[string]int
	samples                                       []sample
}

func number(t *testing.T, env string, def int) int {
	t.Helper()
	text := os.Getenv(env)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q is no number", env, text)
	}
	return n
}

// TestSoak runs SOAK_SECONDS, 20 when it is not set, with the faults of SOAK_SEED:
// every HTLC ends within its bound, as the payer saw it; no channel is closed by
// force, no order has two, no coin stays leased, and memory stays flat.
func TestSoak(t *testing.T) {
	seconds, seed := number(t, "SOAK_SECONDS", 20), number(t, "SOAK_SEED", 1)
	t.Logf("SOAK_SECONDS=%d SOAK_SEED=%d", seconds, seed)
	s := &soak{
		house: newHouse(t, onBtcd, "--lsp.lsps2.min_fee_msat=100000", "--log.level=info",
			"--lsp.lsps2.valid_for_seconds=600", fmt.Sprintf("--lsp.lsps2.hold_seconds=%d", int(soakHold.Seconds())),
			"--lsp.limits.open_orders_per_client=1000", "--lsp.limits.open_orders=4000",
			"--lsp.limits.requests_per_second_per_client=100",
			"--lsp.limits.opens_per_day_per_client=100000", "--lsp.limits.opens_per_day=100000"),
		rnd:  rand.New(rand.NewPCG(uint64(seed), 0)),
		stop: make(chan struct{}), faults: map[string]int{}, why: map[string]int{},
	}
	s.payer.open(s.lsp, 16_000_000, 1_000_000)
	s.lsp.fund(2_000_000, 60)
	for i := range soakClients {
		s.clients = append(s.clients, s.inlet(fmt.Sprintf("client-%d", i), onBtcd))
	}
	s.sample()
	began := time.Now()
	var workers sync.WaitGroup
	for i, c := range s.clients {
		rnd := rand.New(rand.NewPCG(uint64(seed), uint64(i)+1))
		workers.Go(func() { s.work(c, rnd) })
	}
	minute := began.Add(time.Minute)
	for lasts := time.Duration(seconds) * time.Second; time.Since(began) < lasts; {
		s.fault(time.Since(began) < lasts/3)
		time.Sleep(time.Duration(500+s.rnd.IntN(2500)) * time.Millisecond)
		if time.Now().After(minute) {
			s.sample()
			minute = minute.Add(time.Minute)
		}
	}
	close(s.stop)
	workers.Wait()
	s.verdict()
}

// work buys, is paid and closes, until the end.
func (s *soak) work(c *inlet, rnd *rand.Rand) {
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		s.round(c, rnd)
		time.Sleep(time.Duration(300+rnd.IntN(1400)) * time.Millisecond)
	}
}

func (s *soak) round(c *inlet, rnd *rand.Rand) {
	ctx, cancel := context.WithTimeout(context.Background(), soakBound)
	defer cancel()
	// The process may be another one by now, so each round has a client of its own.
	client, err := api.NewClient(api.ClientOptions{Address: c.admin, Dir: c.dir})
	if err != nil {
		return
	}
	defer client.Close()
	s.tidy(ctx, client, rnd)
	msat := uint64(2_000_000 + rnd.IntN(5_000_000))
	// A client that a fault has left with unpaid channels must trust the LSP: some do.
	r := api.JITRequest{
		LSP: s.lsp.id + "@" + s.lsp.addr, Description: "soak", ClientTrustsLSP: rnd.IntN(2) == 0,
	}
	kind := rnd.IntN(10)
	switch {
	case kind == 0: // too small to be sold
		r.AmountMsat = api.SomeMsat(500_000)
	case kind > 2:
		r.AmountMsat = api.SomeMsat(api.Msat(msat))
	}
	if r.AmountMsat == nil {
		msat *= 3 // some are under the least that a variable amount may be
	}
	inv, err := client.JITInvoice(ctx, r)
	switch {
	case err != nil && kind == 0:
		s.refused.Add(1)
		return
	case err != nil: // the client or the LSP is away, or the LSP has no payer connected
		s.unsold.Add(1)
		s.because("not sold: " + err.Error())
		return
	case kind == 0:
		s.Errorf("a channel was sold for a payment that is too small")
	case kind == 3:
		s.unpaid.Add(1) // bought and never paid
		return
	}
	if s.payOnce(ctx, inv.Bolt11, msat, r.AmountMsat == nil, rnd) {
		s.paid.Add(1)
	} else {
		s.failed.Add(1)
	}
}

// payOnce pays from lnd, which has forgotten who failed it before.
func (s *soak) payOnce(ctx context.Context, bolt11 string, msat uint64, variable bool,
	rnd *rand.Rand) bool {

	s.payerMu.RLock()
	router := s.payer.router
	s.payerMu.RUnlock()
	_, _ = router.ResetMissionControl(ctx, &routerrpc.ResetMissionControlRequest{})
	r := &routerrpc.SendPaymentRequest{
		PaymentRequest: bolt11, TimeoutSeconds: 20, FeeLimitMsat: 1_000_000,
		NoInflightUpdates: true, MaxParts: uint32(1 + rnd.IntN(4)),
	}
	if variable {
		r.AmtMsat, r.MaxParts = int64(msat), 1
	} else if r.MaxParts > 1 {
		r.MaxShardSizeMsat = 1_500_000 * uint64(1+rnd.IntN(3))
		r.MaxParts = 6
	}
	stream, err := router.SendPaymentV2(ctx, r)
	if err != nil {
		return false
	}
	p, err := stream.Recv()
	if err == nil && p.Status == lnrpc.Payment_SUCCEEDED {
		return true
	}
	switch {
	case err != nil:
		s.because("the payer was killed")
	case len(p.Htlcs) == 0:
		s.because("not tried: " + p.FailureReason.String())
	default:
		s.because(p.Htlcs[len(p.Htlcs)-1].Failure.GetCode().String())
	}
	return false
}

// because counts why something came to nothing.
func (s *soak) because(why string) {
	s.whyMu.Lock()
	defer s.whyMu.Unlock()
	s.why[why[:min(len(why), 90)]]++
}

// tidy closes old channels by agreement, so that their number stays as it is.
func (s *soak) tidy(ctx context.Context, client *api.Client, rnd *rand.Rand) {
	list, err := client.Channels(ctx)
	if err != nil {
		return
	}
	var old []string
	for _, ch := range list.Channels {
		if ch.State == api.ChannelOpen && ch.Active && ch.Confirmed {
			old = append(old, ch.ChannelPoint)
		}
	}
	for len(old) > 2 {
		i := rnd.IntN(len(old))
		if _, err := client.CloseChannel(ctx, api.CloseRequest{ChannelPoint: old[i]}); err == nil {
			s.closed.Add(1)
		}
		old = append(old[:i], old[i+1:]...)
	}
}

// fault does one thing that happens to nodes. The LSP dies only if it may: a process that starts
// again all the time can't show that its memory is flat.
func (s *soak) fault(lspDies bool) {
	c := s.clients[s.rnd.IntN(len(s.clients))]
	var name string
	var do func()
	switch n := s.rnd.IntN(100); {
	case n < 45:
		name, do = "blocks", func() { s.mine(1 + s.rnd.IntN(2)) }
	case n < 60:
		name, do = "client disconnected", func() { s.cut(c.id) }
	case n < 68:
		name, do = "payer disconnected", func() { s.cut(s.payer.id) }
	case n < 78:
		name, do = "client silent", func() { s.freeze(c.proc) }
	case n < 86:
		name, do = "client killed", func() { c.proc.kill(); c.start() }
	case n < 90:
		name, do = "client restarted", func() { c.proc.stop(); c.start() }
	case n < 98 && !lspDies:
		name, do = "all disconnected", s.cutAll
	case n < 95:
		name, do = "LSP killed", func() { s.lsp.proc.kill(); s.lsp.start() }
	case n < 98:
		name, do = "LSP restarted", func() { s.lsp.proc.stop(); s.lsp.start() }
	default:
		name, do = "payer killed", s.killPayer
	}
	do()
	s.faults[name]++
	s.rejoin()
}

// rejoin connects the payer again: lnd waits longer each time by itself, up to minutes,
// and until then no answer of the LSP's can reach it.
func (s *soak) rejoin() {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, _ = s.payer.ConnectPeer(ctx, &lnrpc.ConnectPeerRequest{
		Addr: &lnrpc.LightningAddress{Pubkey: s.lsp.id, Host: s.lsp.addr}, Timeout: 5,
	})
}

// cutAll ends all connections of the LSP.
func (s *soak) cutAll() {
	s.cut(s.payer.id)
	for _, c := range s.clients {
		s.cut(c.id)
	}
}

func (s *soak) cut(id string) {
	ctx, cancel := s.lsp.ctx()
	defer cancel()
	_ = s.lsp.Disconnect(ctx, api.DisconnectRequest{NodeID: id}) // it may be away already
}

// freeze stops a process for a while: it is connected and says nothing.
func (s *soak) freeze(p *process) {
	_ = p.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(time.Duration(500+s.rnd.IntN(4000)) * time.Millisecond)
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
}

func (s *soak) killPayer() {
	s.payerMu.Lock()
	defer s.payerMu.Unlock()
	s.payer.proc.kill()
	s.payer.start()
	s.payer.connect(s.lsp)
}
