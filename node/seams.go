package node

import (
	"context"
	"net"
	"time"

	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/peer"
)

// seams are where tests turn a node into an LSP that breaks its word, so that a real
// client can be seen to notice, and where they end a node's life in the middle of
// something. Nothing but hooks_test.go sets them: in programs all
// are nil, and nothing happens.
type seams struct {
	wrapSwitch func(orders.Switch) orders.Switch
	changeOpen func(*chanfactory.OpenRequest)
	// onWire sees each message that the node sends, before it leaves, or gets.
	onWire   func(sent bool, m lnwire.Message)
	features func(*lnwire.RawFeatureVector)
	// onLine is onWire for tests that must know the peer.
	onLine func(peer [33]byte, sent bool, m lnwire.Message)
	// onCommit sees each durable write of the store, and can fail it.
	onCommit store.Watch
	// onBroadcast sees each transaction before it leaves; an error keeps it here.
	onBroadcast func(*wire.MsgTx) error
	// fees stands before the chain's estimates.
	fees func(chainfee.Estimator) chainfee.Estimator
	// dial and bind make the sockets for peers.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	bind func(ctx context.Context, network, addr string) (net.Listener, error)
	// gate stands between the node and its peers; limits changes what peers may take.
	gate   gate
	limits func(*peer.Limits)
	// awayFor replaces forward.AwayFor, mppHold how long a set of parts may stay incomplete.
	awayFor, mppHold time.Duration
}

func (s seams) held(w orders.Switch) orders.Switch {
	if s.wrapSwitch == nil {
		return w
	}
	return s.wrapSwitch(w)
}

func (s seams) open(r chanfactory.OpenRequest) chanfactory.OpenRequest {
	if s.changeOpen != nil {
		s.changeOpen(&r)
	}
	return r
}

func (s seams) wire(peer [33]byte, sent bool, m lnwire.Message) {
	if s.onWire != nil {
		s.onWire(sent, m)
	}
	if s.onLine != nil {
		s.onLine(peer, sent, m)
	}
}

func (s seams) offer(f *lnwire.RawFeatureVector) *lnwire.RawFeatureVector {
	if s.features != nil {
		s.features(f)
	}
	return f
}

func (s seams) source(of chain.Source) chain.Source {
	if s.fees != nil {
		of = dearSource{of, s.fees(of.Fees())}
	}
	if s.onBroadcast == nil {
		return of
	}
	return gatedSource{of, s.onBroadcast}
}

// gatedSource is a chain that shows transactions to a test first.
type gatedSource struct {
	chain.Source
	gate func(*wire.MsgTx) error
}

// Broadcast implements chain.Source. The wallet broadcasts through it too.
func (s gatedSource) Broadcast(tx *wire.MsgTx, label string) error {
	if err := s.gate(tx); err != nil {
		return err
	}
	return s.Source.Broadcast(tx, label)
}

// dearSource is a chain whose fees a test sets.
type dearSource struct {
	chain.Source
	fees chainfee.Estimator
}

// Fees implements chain.Source.
func (s dearSource) Fees() chainfee.Estimator { return s.fees }
