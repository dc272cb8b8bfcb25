package forward

import (
	"io"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/aliasmgr"
	"github.com/lightningnetwork/lnd/chainntnfs"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/clock"
	"github.com/lightningnetwork/lnd/fn/v2"
	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/htlcswitch"
	"github.com/lightningnetwork/lnd/htlcswitch/hop"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/kvdb"
	"github.com/lightningnetwork/lnd/lnwallet"
	"github.com/lightningnetwork/lnd/lnwire"
)

const (
	testHeight = 100
	waitFor    = 10 * time.Second
)

var testKey, _ = btcec.PrivKeyFromBytes([]byte{31: 7})

// blockAt is a chain that stands at testHeight.
type blockAt struct{ chainntnfs.ChainNotifier }

func (blockAt) RegisterBlockEpochNtfn(*chainntnfs.BlockEpoch) (*chainntnfs.BlockEpochEvent, error) {
	epochs := make(chan *chainntnfs.BlockEpoch, 1)
	epochs <- &chainntnfs.BlockEpoch{Height: testHeight, Hash: &chainhash.Hash{}}
	return &chainntnfs.BlockEpochEvent{Epochs: epochs, Cancel: func() {}}, nil
}

// nodeSigner signs with testKey.
type nodeSigner struct{}

func (nodeSigner) SignMessage(_ keychain.KeyLocator, msg []byte, _ bool) (*ecdsa.Signature, error) {
	return ecdsa.Sign(testKey, chainhash.DoubleHashB(msg)), nil
}

// desk notes what it is offered and takes what is to be taken.
type desk struct {
	offered chan htlcswitch.InterceptedPacket
	take    bool
}

func (d *desk) Offer(p htlcswitch.InterceptedPacket) bool {
	d.offered <- p
	return d.take
}

// payerSide is the encrypter of one HTLC: it notes the failures that the payer is told.
type payerSide struct{ told chan lnwire.FailureMessage }

func (p payerSide) EncryptFirstHop(f lnwire.FailureMessage) (lnwire.OpaqueReason, error) {
	p.told <- f
	return lnwire.OpaqueReason("ours"), nil
}

func (payerSide) EncryptMalformedError(r lnwire.OpaqueReason) lnwire.OpaqueReason { return r }
func (payerSide) IntermediateEncrypt(r lnwire.OpaqueReason) lnwire.OpaqueReason   { return r }

func (payerSide) Type() hop.EncrypterType { return hop.EncrypterTypeMock }

func (payerSide) Encode(io.Writer) error                      { return nil }
func (payerSide) Decode(io.Reader) error                      { return nil }
func (payerSide) Reextract(hop.ErrorEncrypterExtracter) error { return nil }

// bench is an engine without links, with packets put in where links put theirs.
type bench struct {
	*Engine
	t       *testing.T
	desk    *desk
	backend kvdb.Backend
}

func newBench(t *testing.T) *bench {
	t.Helper()
	backend, err := kvdb.GetBoltBackend(&kvdb.BoltBackendConfig{
		DBPath: t.TempDir(), DBFileName: "forward.db", NoFreelistSync: true, DBTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = backend.Close() })
	b := &bench{
		t: t, backend: backend,
		desk: &desk{offered: make(chan htlcswitch.InterceptedPacket, 8), take: true},
	}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// start makes the engine of one life of the process.
func (b *bench) start() {
	b.t.Helper()
	channels, err := channeldb.CreateWithBackend(b.backend)
	if err != nil {
		b.t.Fatal(err)
	}
	aliases, err := aliasmgr.NewManager(b.backend, func(lnwire.ShortChannelID) error { return nil })
	if err != nil {
		b.t.Fatal(err)
	}
	b.Engine, err = New(Config{
		Params: &chaincfg.RegressionNetParams, Backend: b.backend, Channels: channels,
		Aliases: aliases, Notifier: blockAt{}, Signer: nodeSigner{},
		NodeKey: &keychain.PrivKeyECDH{PrivKey: testKey}, Wallet: &lnwallet.LightningWallet{},
		Policy: Policy{Delta: 80}, Routes: routeTable{jitScid: {}}, Offers: b.desk,
		Clock: clock.NewDefaultClock(), Log: slog.New(slog.DiscardHandler),
	}, testHeight)
	if err == nil {
		err = b.Start()
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) stop() {
	b.t.Helper()
	if err := b.Stop(); err != nil {
		b.t.Error(err)
	}
}

// htlc is what a test wants of a packet.
type htlc struct {
	id     uint64
	expiry uint32
	replay bool
}

func (h htlc) key() models.CircuitKey {
	return models.CircuitKey{ChanID: scid(1), HtlcID: h.id}
}

// arrive hands an HTLC over in the way of a link. lnd's packet has no exported name,
// so it is made by reflection.
func (b *bench) arrive(h htlc) payerSide {
	b.t.Helper()
	link := reflect.ValueOf(pastInterceptor(
		b.intercept.ForwardPackets, b.swtch.ForwardPackets, b.Forwarded))
	packets := link.Type().In(2)
	payer := payerSide{make(chan lnwire.FailureMessage, 4)}
	wrapped, _ := takeOwnFailures(func(*btcec.PublicKey) (hop.ErrorEncrypter, lnwire.FailCode) {
		return payer, lnwire.CodeNone
	})(nil)
	p := reflect.New(packets.Elem().Elem())
	for name, value := range map[string]any{
		"incomingChanID": scid(1), "incomingHTLCID": h.id, "outgoingChanID": scid(2),
		"outgoingHop":    fn.NewLeft[lnwire.ShortChannelID, [33]byte](scid(2)),
		"incomingAmount": lnwire.MilliSatoshi(5000), "amount": lnwire.MilliSatoshi(5000),
		"incomingTimeout": h.expiry, "outgoingTimeout": h.expiry - 80,
		"htlc": &lnwire.UpdateAddHTLC{ID: h.id, Amount: 5000, Expiry: h.expiry}, "obfuscator": wrapped,
	} {
		f := p.Elem().FieldByName(name)
		reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem().Set(reflect.ValueOf(value))
	}
	out := link.CallSlice([]reflect.Value{
		reflect.ValueOf((<-chan struct{})(make(chan struct{}))), reflect.ValueOf(h.replay),
		reflect.Append(reflect.MakeSlice(packets, 0, 1), p),
	})
	if err, _ := out[0].Interface().(error); err != nil {
		b.t.Fatal(err)
	}
	return payer
}

// wantOffered wants the HTLC to come to the orders, and the payer to be told nothing.
func (b *bench) wantOffered(payer payerSide) htlcswitch.InterceptedPacket {
	b.t.Helper()
	select {
	case p := <-b.desk.offered:
		return p
	case f := <-payer.told:
		b.t.Fatalf("the payer is told %v, nobody was asked", f.Code())
	case <-time.After(waitFor):
		b.t.Fatal("the HTLC was offered to nobody")
	}
	return htlcswitch.InterceptedPacket{}
}

// wantTold wants the payer to be told this, and the orders not to be asked.
func (b *bench) wantTold(payer payerSide, want lnwire.FailCode) {
	b.t.Helper()
	select {
	case f := <-payer.told:
		if f.Code() != want {
			b.t.Errorf("the payer is told %v, want %v", f.Code(), want)
		}
	case p := <-b.desk.offered:
		b.t.Fatalf("HTLC %v was offered", p.IncomingCircuit)
	case <-time.After(waitFor):
		b.t.Fatalf("the payer is told nothing, want %v", want)
	}
}

// TestReplayIsHeldWithoutInterceptor: with nobody there to ask, a replay is neither
// failed nor forwarded, and whoever comes is asked.
func TestReplayIsHeldWithoutInterceptor(t *testing.T) {
	b := newBench(t)
	b.intercept.SetInterceptor(nil)
	payer := b.arrive(htlc{id: 1, expiry: testHeight + 200, replay: true})
	b.intercept.SetInterceptor(b.offer)
	b.wantOffered(payer)
}

// TestInterceptorIsSetByStart: the first HTLC of the first link finds it.
func TestInterceptorIsSetByStart(t *testing.T) {
	b := newBench(t)
	b.wantOffered(b.arrive(htlc{id: 1, expiry: testHeight + 200}))
}

// TestOfferDoesNotBlock: what is nobody's goes on at once. The interceptor has one
// goroutine, on which the answer would wait for itself.
func TestOfferDoesNotBlock(t *testing.T) {
	b := newBench(t)
	b.desk.take = false
	for id := range uint64(3) {
		payer := b.arrive(htlc{id: id, expiry: testHeight + 200})
		b.wantOffered(payer)
		b.wantTold(payer, lnwire.CodeUnknownNextPeer) // by the switch
	}
}

// TestSafetyDeltas: lnd's own distances in blocks. What comes with less than 22 is
// failed without a question, although no channel_update is known for the channel that
// it came over; what is held is failed 19 blocks before it expires.
func TestSafetyDeltas(t *testing.T) {
	b := newBench(t)
	b.wantTold(b.arrive(htlc{id: 1, expiry: testHeight + 21}), lnwire.CodeExpiryTooSoon)
	p := b.wantOffered(b.arrive(htlc{id: 2, expiry: testHeight + 22}))
	until := p.Deadline.LeftToSome().UnwrapOr(0)
	if want := htlcswitch.OffChainAutoFailHeight(testHeight + 22 - 19); until != want {
		t.Errorf("it is held to height %d, want %d", until, want)
	}
	if outgoingRejectDelta != 3 {
		t.Errorf("the outgoing reject delta is %d, lnd's is 3", outgoingRejectDelta)
	}
}

// TestFailWithAnyCode: the payer reads the failure that was asked for, as ours.
func TestFailWithAnyCode(t *testing.T) {
	b := newBench(t)
	for id, f := range []lnwire.FailureMessage{
		&lnwire.FailUnknownNextPeer{}, lnwire.NewTemporaryChannelFailure(nil),
		&lnwire.FailExpiryTooFar{},
	} {
		h := htlc{id: uint64(id), expiry: testHeight + 200}
		payer := b.arrive(h)
		b.wantOffered(payer)
		if err := b.Fail(h.key(), f); err != nil {
			t.Fatal(err)
		}
		b.wantTold(payer, f.Code())
	}
}

// TestUpdateForUnknownChannel: a failure names a jit_channel_scid that has no channel.
// Without a channel_update it could not be made, and the HTLC would stay held.
func TestUpdateForUnknownChannel(t *testing.T) {
	b := newBench(t)
	m, err := b.UpdateFor(scid(99))
	if err != nil {
		t.Fatal(err)
	}
	if m.ShortChannelID != scid(99) || m.TimeLockDelta != 80 {
		t.Errorf("the channel_update names %v and a delta of %d", m.ShortChannelID, m.TimeLockDelta)
	}
	data, err := m.DataToSign()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := m.Signature.ToSignature()
	if err != nil || !sig.Verify(chainhash.DoubleHashB(data), testKey.PubKey()) {
		t.Errorf("its signature is not ours: %v", err)
	}
}

// jitScid is that of an order whose client was told a delta of jitDelta blocks.
var jitScid = scid(98)

const jitDelta = 144

// TestNeverFunded: only what went out on a channel that was never funded can't be claimed any more.
func TestNeverFunded(t *testing.T) {
	first, second := lnwire.NewShortChanIDFromInt(1), lnwire.NewShortChanIDFromInt(2)
	list := []*channeldb.ChannelCloseSummary{
		{ShortChanID: first, CloseType: channeldb.FundingCanceled},
		{ShortChanID: second, CloseType: channeldb.CooperativeClose},
	}
	for scid, want := range map[lnwire.ShortChannelID]bool{
		first: true, second: false, lnwire.NewShortChanIDFromInt(3): false,
	} {
		if got := neverFunded(list, scid); got != want {
			t.Errorf("%v: %v, want %v", scid, got, want)
		}
	}
}

// TestUpdateOfJIT: a payer that has got a delta or a fee wrong for a jit_channel_scid
// is told what its hint says, not what the channel's policy would be. lnd takes the
// channel_update for its one more attempt.
func TestUpdateOfJIT(t *testing.T) {
	b := newBench(t)
	b.updates.policy = Policy{Delta: 80, BaseFee: 1000, PPM: 100}
	m, err := b.UpdateFor(jitScid)
	if err != nil {
		t.Fatal(err)
	}
	if m.ShortChannelID != jitScid || m.TimeLockDelta != jitDelta || m.BaseFee != 0 || m.FeeRate != 0 {
		t.Errorf("the channel_update of %v has a delta of %d and a fee of %d + %d ppm",
			m.ShortChannelID, m.TimeLockDelta, m.BaseFee, m.FeeRate)
	}
}

// TestCrashBeforeTheCommitment: the circuit is on disk and the HTLC in no commitment
// when the process ends. Offered again it is failed for now, by the switch and not by
// an order, which might forward it a second time.
func TestCrashBeforeTheCommitment(t *testing.T) {
	b := newBench(t)
	h := htlc{id: 1, expiry: testHeight + 200}
	b.desk.take = false
	payer := b.arrive(h)
	b.wantOffered(payer)
	b.wantTold(payer, lnwire.CodeUnknownNextPeer) // after the circuit, for want of a link
	b.stop()
	b.start()
	if !b.Forwarded(h.key()) {
		t.Error("an HTLC with a circuit counts as not forwarded")
	}
	if b.Unresolved(h.key()) || b.Unresolved(htlc{id: 2}.key()) {
		t.Error("an HTLC that is in no commitment of the next channel waits for its outcome")
	}
	h.replay = true
	b.wantTold(b.arrive(h), lnwire.CodeTemporaryChannelFailure)
}

// TestUnresolved: what is in a commitment of the next channel waits for its outcome, also
// after a start.
func TestUnresolved(t *testing.T) {
	b := newBench(t)
	h := htlc{id: 1, expiry: testHeight + 200}
	b.desk.take = false
	payer := b.arrive(h)
	b.wantOffered(payer)
	b.wantTold(payer, lnwire.CodeUnknownNextPeer)
	err := b.swtch.CircuitModifier().OpenCircuits(htlcswitch.Keystone{
		InKey: h.key(), OutKey: models.CircuitKey{ChanID: jitScid},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !b.Unresolved(h.key()) {
			t.Error("an HTLC with a keystone has its outcome")
		}
		b.stop()
		b.start()
	}
}
