package node

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/node/pay"
	"github.com/inletlsp/inlet/node/store"
)

// opensTo is a peer that opens a channel.
type opensTo struct {
	chanfactory.Peer
	id [33]byte
}

func (p opensTo) PubKey() [33]byte { return p.id }

// buys makes a node with purchases of one LSP, each with its max_client_to_self_delay.
func buys(now time.Time, from [33]byte, delays ...uint32) (*Node, *clock.TestClock) {
	at := clock.NewTestClock(now)
	n := &Node{clock: at}
	n.buyer = &buyer{n: n, open: map[lntypes.Hash]*purchase{}}
	for i, delay := range delays {
		n.buyer.open[lntypes.Hash{byte(i)}] = &purchase{Bought: lsp.Bought{LSP: from, Params: lsp.OpeningFeeParams{
			ValidUntil: now.Add(time.Hour), MaxClientToSelfDelay: delay,
		}}}
	}
	return n, at
}

// TestWhoseChannelIsTrusted: a zero-conf channel is taken from the LSP of a purchase that
// is live, however often it tries, and from nobody else.
func TestWhoseChannelIsTrusted(t *testing.T) {
	checklist.Shows(t, "LSPS2-39", "any private channel is taken unconfirmed")
	checklist.Shows(t, "LSPS2-41", "a purchase is over with the first open")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	seller, other := [33]byte{2, 1}, [33]byte{2, 2}
	n, at := buys(now, seller, 2016)
	trusted := func(id [33]byte, private bool) bool {
		t.Helper()
		terms, err := acceptor{n}.Judge(chanfactory.Proposal{Peer: opensTo{id: id}, Private: private})
		if err != nil {
			t.Fatal(err)
		}
		return terms.ZeroConf
	}
	for range 3 { // an LSP may give up an open and try again
		if !trusted(seller, true) {
			t.Error("the LSP's channel is not taken")
		}
	}
	if trusted(other, true) {
		t.Error("a stranger's channel is taken unconfirmed")
	}
	if trusted(seller, false) {
		t.Error("an announced channel is taken unconfirmed")
	}
	part := invoices.CircuitKey{HtlcID: 1}
	n.buyer.open[lntypes.Hash{}].Parts = map[string]lsp.Skim{part.String(): {}}
	held := []invoices.CircuitKey{part}
	var unread error
	n.buyer.held = func(lntypes.Hash) ([]invoices.CircuitKey, error) { return held, unread }
	if trusted(seller, true) {
		t.Error("a channel that comes after the payment is taken unconfirmed")
	}
	held = []invoices.CircuitKey{{HtlcID: 2}}
	if !trusted(seller, true) {
		t.Error("the LSP's channel is not taken after a payment that failed")
	}
	unread = errors.New("no such invoice")
	if trusted(seller, true) {
		t.Error("a channel is taken unconfirmed though nobody can say what was paid")
	}
	n.buyer.open[lntypes.Hash{}].Parts = nil
	at.SetTime(now.Add(2 * time.Hour))
	if trusted(seller, true) {
		t.Error("a channel is taken unconfirmed after the offer")
	}
}

// TestAgreedDelay: our to_self_delay keeps to the strictest purchase.
func TestAgreedDelay(t *testing.T) {
	checklist.Shows(t, "LSPS2-40", "the delay of any purchase is taken")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	seller := [33]byte{2, 1}
	for _, c := range []struct {
		delays []uint32
		want   uint16
	}{{[]uint32{2016}, 2016}, {[]uint32{2016, 144, 1008}, 144}, {[]uint32{1 << 20}, 65535}} {
		n, _ := buys(now, seller, c.delays...)
		terms, err := acceptor{n}.Judge(chanfactory.Proposal{Peer: opensTo{id: seller}, Private: true})
		if err != nil || terms.MaxToSelfDelay != c.want {
			t.Errorf("%v: at most %d blocks, %v; want %d", c.delays, terms.MaxToSelfDelay, err, c.want)
		}
	}
}

// TestFeeOfTheNextTry: what was withheld from HTLCs that failed does not count beside what
// is withheld from the payer's next try, and what is held does, also after a restart.
func TestFeeOfTheNextTry(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	db, err := store.Open(store.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	n := &Node{clock: clock.NewTestClock(now), store: db, log: slog.New(slog.DiscardHandler)}
	load := func() {
		t.Helper()
		if n.buyer, err = newBuyer(n); err != nil {
			t.Fatal(err)
		}
	}
	load()
	hash := lntypes.Hash{1}
	if err := n.buyer.store(&purchase{Hash: hash, Parts: map[string]lsp.Skim{},
		Bought: lsp.Bought{PaymentSize: 500_000, OpeningFee: 20_000,
			Params: lsp.OpeningFeeParams{ValidUntil: now.Add(time.Hour)}},
	}); err != nil {
		t.Fatal(err)
	}
	key := func(id uint64) invoices.CircuitKey { return invoices.CircuitKey{HtlcID: id} }
	judge := func(id uint64, fee lnwire.MilliSatoshi, want bool, held ...invoices.CircuitKey) {
		t.Helper()
		records := lnwire.CustomRecords{pay.ExtraFeeType: lsp.AppendExtraFee(nil, fee)}
		if _, ok := n.buyer.Judge(hash, key(id), 250_000-fee, records, held); ok != want {
			t.Errorf("HTLC %d with a fee of %d msat: %v, want %v", id, fee, ok, want)
		}
	}
	judge(0, 15_000, true)
	judge(1, 5_001, false, key(0))
	judge(1, 5_000, true, key(0))
	judge(1, 5_000, true, key(0)) // again, after a stop before it was recorded
	// Its set has timed out; the payer tries again.
	judge(2, 20_000, true)
	judge(3, 1, false, key(2))
	load()
	judge(3, 1, false, key(2))
	if parts := n.buyer.open[hash].Parts; len(parts) != 1 {
		t.Errorf("the purchase keeps %d parts, want the one that is held", len(parts))
	}
}
