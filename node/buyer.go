package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/invoices"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/zpay32"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/node/pay"
)

// purchasesBucket holds what we bought from LSPs, by the invoice's payment hash.
var purchasesBucket = []byte("inlet-purchases")

const (
	// maxPurchases limits the purchases that are not over.
	maxPurchases = 1000
	// purchaseGrace is how long a purchase is kept after its offer has run out: a
	// payment that was on its way may still be claimed.
	purchaseGrace = 24 * time.Hour
	// jitFinalDelta is the min_final_cltv_expiry that we enforce for a JIT payment;
	// its invoice asks for 2 blocks more (bLIP-52). It is LDK's: an LSP that serves
	// LDK opens no channel for a payment that leaves less.
	jitFinalDelta = 42
)

// ErrTooManyPurchases limits what waits to be paid.
var ErrTooManyPurchases = errors.New("node: too many JIT invoices are open: " +
	"wait until some are paid or have expired")

// purchase is one JIT channel that we bought and its payment.
type purchase struct {
	Bought lsp.Bought   `json:"bought"`
	Hash   lntypes.Hash `json:"hash"`
	// Parts are the fees that the LSP has withheld so far, by HTLC. Those of HTLCs that
	// failed are in it until the next one comes.
	Parts map[string]lsp.Skim `json:"parts"`
}

// among is a copy of those parts that are among these HTLCs.
func (p *purchase) among(held []invoices.CircuitKey) map[string]lsp.Skim {
	parts := map[string]lsp.Skim{}
	for _, key := range held {
		if skim, ok := p.Parts[key.String()]; ok {
			parts[key.String()] = skim
		}
	}
	return parts
}

// purchaseV1 is a purchase on disk.
type purchaseV1 struct {
	V int `json:"v"`
	purchase
}

// buyer is the client's side of LSPS2: it knows what we bought and from whom, so
// that a channel is taken unconfirmed, and a fee withheld, only as agreed.
type buyer struct {
	n *Node
	// held lists the HTLCs of an invoice that are held or settled.
	held func(lntypes.Hash) ([]invoices.CircuitKey, error)

	mu   sync.Mutex
	open map[lntypes.Hash]*purchase // guarded by mu
}

func newBuyer(n *Node) (*buyer, error) {
	b := &buyer{n: n, open: map[lntypes.Hash]*purchase{}}
	// The registry is made after this: it asks Judge.
	b.held = func(hash lntypes.Hash) ([]invoices.CircuitKey, error) { return n.registry.Held(hash) }
	err := kvdb.Update(n.store, func(tx kvdb.RwTx) error {
		bucket, err := tx.CreateTopLevelBucket(purchasesBucket)
		if err != nil {
			return err
		}
		return bucket.ForEach(func(k, raw []byte) error {
			var v purchaseV1
			if err := json.Unmarshal(raw, &v); err != nil {
				return fmt.Errorf("node: decode purchase %x: %w", k, err)
			}
			if v.V != 1 {
				return fmt.Errorf("node: purchase %x has version %d, only 1 is known", k, v.V)
			}
			b.open[v.Hash] = &v.purchase
			return nil
		})
	}, func() { clear(b.open) })
	if err != nil {
		return nil, fmt.Errorf("node: load purchases: %w", err)
	}
	return b, nil
}

// jitRequest is what a JIT invoice should be.
type jitRequest struct {
	lspKey      *btcec.PublicKey
	lspAddr     string
	amount      lnwire.MilliSatoshi // 0: variable
	maxFee      *lnwire.MilliSatoshi
	description string
	token       string // sent to the LSP; "": none
	trust       bool   // an LSP may broadcast the funding after the claim
}

// buy buys a channel and makes the invoice that pays for it.
func (b *buyer) buy(ctx context.Context, r jitRequest) (pay.Invoice, lsp.Bought, error) {
	fail := func(err error) (pay.Invoice, lsp.Bought, error) {
		return pay.Invoice{}, lsp.Bought{}, err
	}
	if err := b.prune(); err != nil {
		return fail(err)
	}
	conn, err := b.n.peers.Connect(ctx, r.lspKey, r.lspAddr)
	if err != nil {
		return fail(err)
	}
	menu, err := b.n.lsps.client.GetInfo(ctx, conn.PubKey(), r.token)
	if err != nil {
		return fail(err)
	}
	want := lsp.Want{PaymentSize: r.amount, ClientTrustsLSP: r.trust}
	if r.maxFee != nil {
		want.MaxFee = max(*r.maxFee, 1) // 0 is no limit there, and none to pay here
	}
	item, _, err := lsp.Choose(b.n.clock.Now(), menu, want)
	if err != nil {
		return fail(err)
	}
	bought, err := b.n.lsps.client.Buy(ctx, conn.PubKey(), item, want)
	if err != nil {
		return fail(err)
	}
	invoice, err := b.invoice(ctx, r, bought)
	if err != nil {
		return fail(err)
	}
	if err := b.n.rememberPeer(conn.PubKey(), r.lspAddr); err != nil {
		return fail(err)
	}
	return invoice, bought, nil
}

// invoice makes the invoice, with the purchase on disk before anyone can pay it.
func (b *buyer) invoice(ctx context.Context, r jitRequest, bought lsp.Bought) (pay.Invoice, error) {
	terms, err := bought.Invoice(b.n.clock.Now(), pay.DefaultExpiry, jitFinalDelta)
	if err != nil {
		return pay.Invoice{}, err
	}
	hop, err := btcec.ParsePubKey(terms.HopNode[:])
	if err != nil {
		return pay.Invoice{}, fmt.Errorf("node: parse LSP's node id: %w", err)
	}
	preimage, err := newPreimage()
	if err != nil {
		return pay.Invoice{}, err
	}
	if err := b.store(&purchase{
		Bought: bought, Hash: preimage.Hash(), Parts: map[string]lsp.Skim{},
	}); err != nil {
		return pay.Invoice{}, err
	}
	return b.n.invoices.Create(ctx, pay.InvoiceRequest{
		Amount: terms.Amount, Description: r.description, Expiry: terms.Expiry,
		FinalDelta: jitFinalDelta, PadDelta: terms.FinalCLTVDelta - jitFinalDelta,
		NoMPP: terms.Amount == 0, Preimage: &preimage,
		Hints: [][]zpay32.HopHint{{{
			NodeID: hop, ChannelID: terms.HopSCID.ToUint64(), CLTVExpiryDelta: terms.HopCLTVDelta,
		}}},
	})
}

func (b *buyer) store(p *purchase) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.open[p.Hash]; !known && len(b.open) >= maxPurchases {
		return ErrTooManyPurchases
	}
	if err := b.write(p); err != nil {
		return err
	}
	b.open[p.Hash] = p
	return nil
}

func (b *buyer) write(p *purchase) error {
	raw, err := json.Marshal(purchaseV1{1, *p})
	if err != nil {
		return fmt.Errorf("node: encode purchase: %w", err)
	}
	err = kvdb.Update(b.n.store, func(tx kvdb.RwTx) error {
		return tx.ReadWriteBucket(purchasesBucket).Put(p.Hash[:], raw)
	}, func() {})
	if err != nil {
		return fmt.Errorf("node: store purchase: %w", err)
	}
	return nil
}

// prune forgets purchases that nobody can pay any more.
func (b *buyer) prune() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.n.clock.Now().Add(-purchaseGrace)
	var over []lntypes.Hash
	for hash, p := range b.open {
		if p.Bought.Params.ValidUntil.Before(before) {
			over = append(over, hash)
		}
	}
	if len(over) == 0 {
		return nil
	}
	err := kvdb.Update(b.n.store, func(tx kvdb.RwTx) error {
		for _, hash := range over {
			if err := tx.ReadWriteBucket(purchasesBucket).Delete(hash[:]); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return fmt.Errorf("node: prune purchases: %w", err)
	}
	for _, hash := range over {
		delete(b.open, hash)
	}
	return nil
}

// expects reports whether the peer is an LSP that may open a channel to us now,
// before its funding confirms: one that we bought from, whose offer holds, and of
// which no part of the payment is here or settled. The channel comes before the
// payment, so one that came after it would be trusted for nothing.
func (b *buyer) expects(peer [33]byte) bool {
	_, ok := b.expected(peer)
	return ok
}

// expected is expects with the most that the channel's to_self_delay may be, in blocks:
// the least of what was agreed, since the channel may be for any of the purchases.
//
// bLIP-52: the client's `to_self_delay` "MUST" be at most `max_client_to_self_delay`.
func (b *buyer) expected(peer [33]byte) (maxDelay uint16, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.n.clock.Now()
	maxDelay = math.MaxUint16
	for _, p := range b.open {
		if p.Bought.LSP == peer && p.Bought.Live(now) && !b.paying(p) {
			maxDelay = uint16(min(uint32(maxDelay), p.Bought.Params.MaxClientToSelfDelay))
			ok = true
		}
	}
	return maxDelay, ok
}

// paying says that a part from which the LSP has withheld its fee is held or settled.
func (b *buyer) paying(p *purchase) bool {
	if len(p.Parts) == 0 {
		return false
	}
	held, err := b.held(p.Hash)
	return err != nil || len(p.among(held)) > 0
}

// ExtraFee implements pay.Skim.
func (b *buyer) ExtraFee(records lnwire.CustomRecords) (lnwire.MilliSatoshi, bool) {
	raw, ok := records[pay.ExtraFeeType]
	if !ok {
		return 0, false
	}
	fee, err := lsp.ParseExtraFee(raw)
	return fee, err == nil && fee > 0
}

// Judge implements pay.Skim: it says whether the fee that was withheld from an
// HTLC is within what we agreed to, over all parts of the payment that are held or
// settled. What it grants is on disk first, or an LSP could withhold again after we
// restart. The fees of HTLCs that failed are forgotten: the payer may try again.
func (b *buyer) Judge(hash lntypes.Hash, key invoices.CircuitKey, exit lnwire.MilliSatoshi,
	records lnwire.CustomRecords, held []invoices.CircuitKey) (lnwire.MilliSatoshi, bool) {

	fee, ok := b.ExtraFee(records)
	if !ok {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.open[hash]
	if p == nil {
		return 0, false
	}
	kept := p.among(held)
	next := lsp.Skim{Amount: exit, Onion: exit + fee, ExtraFee: fee}
	if err := p.Bought.Check(slices.Collect(maps.Values(kept)), next); err != nil {
		b.n.log.Warn("refused the LSP's fee", "hash", hash, "fee_msat", uint64(fee), "err", err)
		return 0, false
	}
	kept[key.String()] = next
	p.Parts = kept
	if err := b.write(p); err != nil {
		b.n.log.Error("cannot store the LSP's fee", "hash", hash, "err", err)
		return 0, false
	}
	return fee, true
}
