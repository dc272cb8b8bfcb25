package node

import (
	"context"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/api"
)

// endings are the names of ending in the admin API.
var endings = map[ending]string{stays: "none", byAgreed: "agreed", byForce: "forced"}

// Lifetimes implements api.LSP.
func (a admin) Lifetimes(_ context.Context, r api.LifetimesRequest) (*api.Lifetimes, error) {
	if a.n.lsps.service == nil {
		return nil, errNoService
	}
	policy := a.n.lifetimes()
	if s := r.CloseUnpaidAfterSeconds; s != nil {
		policy.unpaidAfter = time.Duration(*s) * time.Second
	}
	if b := r.CloseIdleAfterBlocks; b != nil {
		policy.idleAfter = *b
	}
	sold, err := a.n.soldChannels()
	if err != nil {
		return nil, err
	}
	list := &api.Lifetimes{
		CloseUnpaidAfterSeconds: uint32(policy.unpaidAfter / time.Second),
		CloseIdleAfterBlocks:    policy.idleAfter, Channels: []api.Lifetime{},
	}
	now := a.n.clock.Now()
	for _, s := range sold {
		_, paid := s.rec.Order.State.(jit.Paid)
		how, why := policy.ending(s, now)
		list.Channels = append(list.Channels, api.Lifetime{
			ChannelPoint: s.rec.Point.String(), OrderID: s.rec.Order.ID,
			Client: peerKey(s.rec.Order.Terms.Client), Paid: paid, DepthBlocks: s.depth,
			MinLifetimeBlocks: s.rec.Order.Terms.MinLifetime, IdleBlocks: s.idle,
			Ending: endings[how], Reason: why,
		})
	}
	return list, nil
}
