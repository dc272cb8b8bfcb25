package forward

import (
	"slices"
	"testing"

	"github.com/lightningnetwork/lnd/lnwire"
)

// TestOwnAliasFirst: the channel_ready that a link repeats names the channel's own alias,
// in whatever order a start has loaded the others.
func TestOwnAliasFirst(t *testing.T) {
	own, jit, other := inBlock(16_000_000), inBlock(16_139_547), inBlock(1)
	for _, loaded := range [][]lnwire.ShortChannelID{
		{own, jit, other}, {jit, own, other}, {jit, other, own},
	} {
		get := ownFirst(func(lnwire.ShortChannelID) []lnwire.ShortChannelID {
			return slices.Clone(loaded)
		})
		got := get(own)
		if got[0] != own || len(got) != 3 || !slices.Contains(got, jit) || !slices.Contains(got, other) {
			t.Errorf("%v became %v", loaded, got)
		}
	}
	// A channel that is no zero-conf one is not among its own aliases.
	get := ownFirst(func(lnwire.ShortChannelID) []lnwire.ShortChannelID {
		return []lnwire.ShortChannelID{other}
	})
	if got := get(own); !slices.Equal(got, []lnwire.ShortChannelID{other}) {
		t.Errorf("got %v", got)
	}
}

func inBlock(block uint32) lnwire.ShortChannelID { return lnwire.ShortChannelID{BlockHeight: block} }
