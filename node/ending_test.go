package node_test

import (
	"context"
	"crypto/rand"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/pay"
)

type channelState = node.ChannelState

// ending is one way in which a channel ends, with the books checked to the satoshi.
type ending struct {
	name string
	fast bool // in make test; the others are in make test-chain
	play func(*scene)
}

// allEndings says that the slow scenarios are wanted too.
var allEndings = os.Getenv("INLET_CHAIN") == "all"

// theatre is a payer, an LSP and a client on one chain, in which scenarios are played one
// after the other, each with channels of its own.
type theatre struct {
	*market
	client *member
	gates  map[*member]*gateway
	fees   map[*member]*feeDial
}

// scene is a scenario under way: a channel from the payer to the LSP and one from the LSP to
// the client, with money on both sides.
type scene struct {
	*market
	*theatre
	l            *ledger
	upper, lower wire.OutPoint
}

const (
	sceneChannel = btcutil.Amount(1_000_000)
	scenePush    = btcutil.Amount(400_000)
)

// playEndings plays scenarios. After one that failed the next gets a new theatre.
func playEndings(t *testing.T, list []ending) {
	var th *theatre
	for _, e := range list {
		if !e.fast && !allEndings {
			continue
		}
		if th == nil {
			th = newTheatre(t)
		}
		if !t.Run(e.name, func(t *testing.T) { th.stage(t, e) }) {
			th = nil
		}
	}
}

func newTheatre(t *testing.T) *theatre {
	t.Helper()
	th := &theatre{gates: map[*member]*gateway{}, fees: map[*member]*feeDial{}}
	var gates []*gateway
	var dials []*feeDial
	props := func(o *node.Options) {
		g, d := newGateway(), newFeeDial()
		gates, dials = append(gates, g), append(dials, d)
		o.SetMischief(node.Mischief{Gate: g.handle, Fees: d.over})
	}
	th.market = newMarket(t, marketPlan{
		channels: []btcutil.Amount{}, coins: 10, seller: props, payer: props,
	})
	addr := freeAddr(t)
	th.client = th.node("client", func(o *node.Options) {
		o.Listen = []string{addr} // the LSP comes back to it after a restart
		props(o)
	})
	for i, who := range []*member{th.seller, th.payer, th.client} {
		th.gates[who], th.fees[who] = gates[i], dials[i]
	}
	th.payer.Fund(3_000_000, 5)
	th.client.Fund(500_000, 5)
	return th
}

// stage plays one scenario.
func (th *theatre) stage(t *testing.T, e ending) {
	s := th.scene(t)
	s.upper = s.opens(s.payer, s.seller)
	s.lower = s.opens(s.seller, s.client)
	s.begin(e.name)
	e.play(s)
	s.end()
}

// scene is the theatre with the test of a scenario.
func (th *theatre) scene(t *testing.T) *scene {
	own := *th.market
	net := *own.Net
	net.TB = t
	own.Net, own.t = &net, t
	return &scene{market: &own, theatre: th}
}

// opens opens a channel with money on both sides.
func (s *scene) opens(from, to *member) wire.OutPoint {
	s.t.Helper()
	ctx, cancel := s.Context()
	defer cancel()
	point, err := from.OpenChannel(ctx, node.OpenRequest{
		Peer: to.Key(), Addr: to.Addr(), Capacity: sceneChannel, Private: true,
		Push: lnwire.NewMSatFromSatoshis(scenePush),
	})
	must(s.t, err)
	s.Mine(6)
	for _, n := range []*member{from, to} {
		s.event(n, node.ChannelOpened, point.String())
		s.soon(waitLink, func(ctx context.Context) bool { return s.ready(ctx, n) })
	}
	return point
}

func (s *scene) begin(name string) {
	s.t.Helper()
	s.l = newLedger(s.market, name, map[string]*member{
		"payer": s.payer, "LSP": s.seller, "client": s.client,
	})
}

// end resolves what is closing, closes the rest by agreement and checks the books.
func (s *scene) end() {
	s.t.Helper()
	s.l.settle(400)
	for _, n := range []*member{s.payer, s.seller} {
		list, err := n.ChannelStates()
		must(s.t, err)
		for _, ch := range list {
			if ch.Ours {
				s.soon(waitLink, func(ctx context.Context) bool { return s.ready(ctx, n) })
				s.closes(n, ch.Point)
			}
		}
	}
	s.l.settle(1800)
	s.l.check()
}

// closes closes a channel by agreement.
func (s *scene) closes(by *member, point wire.OutPoint) chainhash.Hash {
	s.t.Helper()
	ctx, cancel := s.Context()
	defer cancel()
	txid, err := by.CloseChannel(ctx, point, 0, node.BreakMinLifetime)
	must(s.t, err)
	must(s.t, s.Chain.WaitTx(ctx, txid))
	return txid
}

// forces closes a channel by force and waits for the commitment.
func (s *scene) forces(by *member, point wire.OutPoint) *wire.MsgTx {
	s.t.Helper()
	ctx, cancel := s.Context()
	defer cancel()
	txid, err := by.ForceClose(point, node.BreakMinLifetime)
	must(s.t, err)
	must(s.t, s.Chain.WaitTx(ctx, txid))
	tx, err := s.Chain.Tx(txid)
	must(s.t, err)
	return tx.Tx
}

// flight is a payment under way that its recipient holds.
type flight struct {
	s        *scene
	from, to *member
	amount   btcutil.Amount
	preimage lntypes.Preimage
	out      <-chan paid
}

// flies sends a payment and waits until its recipient holds it and no update is under way.
func (s *scene) flies(from, to *member, amount btcutil.Amount) *flight {
	s.t.Helper()
	return s.fliesFor(from, to, amount, 80)
}

// fliesFor is flies with the blocks that the recipient gets.
func (s *scene) fliesFor(from, to *member, amount btcutil.Amount, final uint32) *flight {
	s.t.Helper()
	f := s.launches(from, to, amount, final)
	s.soon(waitLink, func(ctx context.Context) bool { return to.Holds(ctx, f.preimage.Hash()) })
	s.still()
	return f
}

// launches sends a payment that its recipient will hold.
func (s *scene) launches(from, to *member, amount btcutil.Amount, final uint32) *flight {
	s.t.Helper()
	ctx, cancel := s.Context()
	defer cancel()
	f := &flight{s: s, from: from, to: to, amount: amount}
	_, _ = rand.Read(f.preimage[:])
	inv, err := to.HoldInvoice(ctx, lnwire.NewMSatFromSatoshis(amount), f.preimage.Hash(), final)
	must(s.t, err)
	f.out = s.paying(from, pay.PayRequest{Invoice: inv, MaxParts: 1, Timeout: 5 * time.Second})
	return f
}

// still waits until no update of a channel is under way.
func (s *scene) still() {
	s.t.Helper()
	s.soon(waitLink, func(context.Context) bool {
		for _, a := range s.l.accounts {
			if a.down {
				continue
			}
			list, err := a.ChannelStates()
			must(s.t, err)
			for _, ch := range list {
				if !ch.Still {
					return false
				}
			}
		}
		return true
	})
}

// claims has the recipient claim, and books the payment.
func (f *flight) claims() {
	f.s.t.Helper()
	ctx, cancel := f.s.Context()
	defer cancel()
	must(f.s.t, f.to.SettleHeld(ctx, f.preimage))
	f.s.l.move(f.from, f.to, f.amount)
}

// refuses has the recipient fail the payment.
func (f *flight) refuses() {
	f.s.t.Helper()
	ctx, cancel := f.s.Context()
	defer cancel()
	must(f.s.t, f.to.CancelHeld(ctx, f.preimage.Hash()))
}

// ends wants the payment to have ended as a payer sees it, mining if it takes blocks.
func (f *flight) ends(want pay.Status) {
	f.s.t.Helper()
	for range 60 {
		p, err := f.from.LookupPayment(f.preimage.Hash())
		must(f.s.t, err)
		if p.Status != pay.InFlight {
			if p.Status != want {
				f.s.t.Errorf("the payment of %v is %s: %+v", f.amount, p.Status, p.Failure)
			}
			return
		}
		f.s.l.mine(5)
	}
	p, err := f.from.LookupPayment(f.preimage.Hash())
	f.s.t.Errorf("the payment of %v has no end: %+v, %v", f.amount, p, err)
}

// restart stops a node and starts it again.
func (s *scene) restart(who *member) {
	s.t.Helper()
	s.l.stop(who)
	s.l.start(who)
}

// linked waits until all open channels are active.
func (s *scene) linked() {
	s.t.Helper()
	for _, a := range s.l.accounts {
		if !a.down {
			s.soon(waitLink, func(ctx context.Context) bool { return s.ready(ctx, a.member) })
		}
	}
}

// feeDial is a node's fee estimate under a test's hand.
type feeDial struct {
	chainfee.Estimator
	mu   sync.Mutex
	rate chainfee.SatPerKWeight // guarded by mu; 0: the chain's
}

func newFeeDial() *feeDial { return &feeDial{} }

func (d *feeDial) over(of chainfee.Estimator) chainfee.Estimator {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Estimator = of
	return d
}

// set makes all estimates the rate from now on; 0 ends that.
func (d *feeDial) set(rate chainfee.SatPerVByte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rate = rate.FeePerKWeight()
}

// EstimateFeePerKW implements chainfee.Estimator.
func (d *feeDial) EstimateFeePerKW(target uint32) (chainfee.SatPerKWeight, error) {
	d.mu.Lock()
	rate, of := d.rate, d.Estimator
	d.mu.Unlock()
	if rate != 0 {
		return rate, nil
	}
	return of.EstimateFeePerKW(target)
}
