package node

import (
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/chanfactory"
	"github.com/inletlsp/inlet/node/orders"
)

// seams are where tests turn a node into an LSP that breaks its word, so that a real
// client can be seen to notice. Nothing but hooks_test.go sets them: in programs all
// are nil, and nothing happens.
type seams struct {
	wrapSwitch func(orders.Switch) orders.Switch
	changeOpen func(*chanfactory.OpenRequest)
	// onWire sees each message that the node sends, before it leaves, or gets.
	onWire   func(sent bool, m lnwire.Message)
	features func(*lnwire.RawFeatureVector)
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

func (s seams) wire(sent bool, m lnwire.Message) {
	if s.onWire != nil {
		s.onWire(sent, m)
	}
}

func (s seams) offer(f *lnwire.RawFeatureVector) *lnwire.RawFeatureVector {
	if s.features != nil {
		s.features(f)
	}
	return f
}
