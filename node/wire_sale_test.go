package node_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/node"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/pay"
)

// wireLog is what an LSP sends and gets, in order.
type wireLog struct {
	mu   sync.Mutex
	list []wired // guarded by mu
}

type wired struct {
	sent bool
	msg  lnwire.Message
}

func (l *wireLog) note(sent bool, m lnwire.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, wired{sent, m})
}

// clear forgets what was before the sale.
func (l *wireLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

// all gives the messages of one kind with their places in the log.
func all[M lnwire.Message](l *wireLog, sent bool) (msgs []M, places []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.list {
		if m, ok := w.msg.(M); ok && w.sent == sent {
			msgs, places = append(msgs, m), append(places, i)
		}
	}
	return msgs, places
}

// TestSaleOnTheWire: a sale in two parts, by the messages that the LSP sends and gets.
func TestSaleOnTheWire(t *testing.T) {
	checklist.Shows(t, "LSPS2-80", "opener.Open asks for a public channel")
	checklist.Shows(t, "LSPS2-87", "Channel.Step does not publish before the first block")
	checklist.Shows(t, "LSPS2-91", "AwaitChannel.step forwards when funding_signed is stored")
	checklist.Shows(t, "LSPS2-92", "Desk.forward adds the record also to a part without a fee")
	checklist.Shows(t, "LSPS2-95", "the wire seam adds a block to the expiry of each HTLC sent")
	checklist.Shows(t, "LSPS2-98", "Links.Deliver drops all claims of a channel but the first")
	checklist.Shows(t, "LSPS2-114", "Links.tellUsable does not send the channel_update")
	var wire wireLog
	m := newMarket(t, marketPlan{
		seller:   func(o *node.Options) { o.SetMischief(node.Mischief{Wire: wire.note}) },
		channels: []btcutil.Amount{2_000_000, 2_000_000},
	})
	client := m.node("client", nil)
	inv := m.buy(client, 3_000_000_000)
	wire.clear()
	var hold sync.Once
	var release func()
	m.log.on(orders.StageFundingSigned, func() {
		hold.Do(func() { release = client.HoldClaims() })
	})
	out := m.paying(m.payer, pay.PayRequest{Invoice: inv.Invoice.Bolt11})
	m.await(orders.StageForwarded, 1)
	// The client has claimed nothing yet, and the funding is out.
	ctx, cancel := m.Context()
	defer cancel()
	must(t, m.Chain.WaitTx(ctx, m.order(inv).Point.Hash))
	release()
	got := <-out
	must(t, got.err)
	m.paidOver(inv)

	wantOpen(t, &wire)
	wantForwards(t, &wire, inv)
	wantClaims(t, &wire, inv)
	wantUpdate(t, &wire)
}

func wantOpen(t *testing.T, wire *wireLog) {
	t.Helper()
	opens, _ := all[*lnwire.OpenChannel](wire, true)
	if len(opens) != 1 {
		t.Fatalf("%d open_channel", len(opens))
	}
	o := opens[0]
	if o.ChannelFlags&lnwire.FFAnnounceChannel != 0 || o.PushAmount != 0 || o.ChannelType == nil {
		t.Fatalf("open_channel announces or pushes, or has no type: %+v", o)
	}
	bits := lnwire.RawFeatureVector(*o.ChannelType)
	for _, bit := range []lnwire.FeatureBit{
		lnwire.ScidAliasRequired, lnwire.ZeroConfRequired, lnwire.StaticRemoteKeyRequired,
	} {
		if !bits.IsSet(bit) {
			t.Errorf("the channel_type lacks bit %d", bit)
		}
	}
}

// wantForwards compares each HTLC to the client with the one that it came in by.
func wantForwards(t *testing.T, wire *wireLog, inv node.JITInvoice) {
	t.Helper()
	_, readySent := all[*lnwire.ChannelReady](wire, true)
	_, readyGot := all[*lnwire.ChannelReady](wire, false)
	in, _ := all[*lnwire.UpdateAddHTLC](wire, false)
	adds, places := all[*lnwire.UpdateAddHTLC](wire, true)
	if len(adds) < 2 || len(adds) != len(in) || len(readySent) != 1 || len(readyGot) != 1 {
		t.Fatalf("%d HTLCs came, %d left; channel_ready: %d, %d", len(in), len(adds),
			len(readySent), len(readyGot))
	}
	if first := slices.Min(places); first < readySent[0] || first < readyGot[0] {
		t.Error("an HTLC left before both channel_ready")
	}
	var taken lnwire.MilliSatoshi
	for _, add := range adds {
		raw, bears := add.CustomRecords[lsp.ExtraFeeType]
		var fee lnwire.MilliSatoshi
		if bears {
			var err error
			fee, err = lsp.ParseExtraFee(raw) // 8 bytes, not zero
			must(t, err)
		}
		taken += fee
		from := slices.IndexFunc(in, func(a *lnwire.UpdateAddHTLC) bool {
			return a.Amount == add.Amount+fee && a.Expiry == add.Expiry+144
		})
		if from < 0 {
			t.Errorf("no part came with %d msat and expiry %d", add.Amount+fee, add.Expiry+144)
		}
	}
	if taken != inv.OpeningFee {
		t.Errorf("the parts bear %d msat, the fee is %d", taken, inv.OpeningFee)
	}
}

// wantClaims wants each claim of the client passed on once, on the way that its part came.
func wantClaims(t *testing.T, wire *wireLog, inv node.JITInvoice) {
	t.Helper()
	in, gotAt := all[*lnwire.UpdateFulfillHTLC](wire, false)
	out, sentAt := all[*lnwire.UpdateFulfillHTLC](wire, true)
	if len(out) != len(in) || len(out) < 2 || slices.Min(sentAt) < slices.Min(gotAt) {
		t.Fatalf("%d parts were claimed by the client, %d from the payer", len(in), len(out))
	}
	type htlc struct {
		ch lnwire.ChannelID
		id uint64
	}
	claimed := map[htlc]bool{}
	for _, f := range out {
		claimed[htlc{f.ChanID, f.ID}] = true
		if preimage := lntypes.Preimage(f.PaymentPreimage); preimage.Hash() != inv.Invoice.Hash {
			t.Error("a claim with a foreign preimage")
		}
	}
	adds, _ := all[*lnwire.UpdateAddHTLC](wire, false)
	for _, add := range adds {
		if !claimed[htlc{add.ChanID, add.ID}] {
			t.Errorf("HTLC %d of %v was not claimed", add.ID, add.ChanID)
		}
	}
}

// wantUpdate wants a channel_update that names the channel as the client does.
func wantUpdate(t *testing.T, wire *wireLog) {
	t.Helper()
	ready, _ := all[*lnwire.ChannelReady](wire, false)
	if ready[0].AliasScid == nil {
		t.Fatal("the client's channel_ready has no alias")
	}
	updates, _ := all[*lnwire.ChannelUpdate1](wire, true)
	if !slices.ContainsFunc(updates, func(u *lnwire.ChannelUpdate1) bool {
		return u.ShortChannelID == *ready[0].AliasScid
	}) {
		t.Errorf("none of %d channel_update names the alias %v", len(updates), *ready[0].AliasScid)
	}
}

// TestMoreThanTheChannelHolds: a payment over the scid of a paid order that does not fit
// through its channel may come later; a second channel is not opened for it.
func TestMoreThanTheChannelHolds(t *testing.T) {
	checklist.Shows(t, "LSPS2-112", "strictLink.CheckHtlcForward fails with unknown_next_peer")
	m := newMarket(t, marketPlan{})
	client := m.node("client", nil)
	inv := m.buy(client, 50_000_000)
	m.pay(m.payer, inv.Invoice.Bolt11, 0)
	m.paidOver(inv)
	m.wantRefused(m.invoice(client, pay.InvoiceRequest{
		Amount: 500_000_000, Hints: m.jitHint(inv),
	}), 0, "temporary_channel_failure")
	if n := len(m.channels(m.seller, client)); n != 1 {
		t.Errorf("the LSP has %d channels with the client", n)
	}
	m.wantNoLeases()
}
