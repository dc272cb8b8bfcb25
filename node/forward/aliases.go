package forward

import (
	"slices"

	"github.com/lightningnetwork/lnd/lnwire"
)

// ownFirst puts the alias that a zero-conf channel was made with before all others.
//
// lnd's link names the first one in the channel_ready that it repeats after a reconnect,
// and the peer's invoices name that from then on. After a restart the alias manager has
// them in no order, and one may be a jit_channel_scid: what an order says of that is not
// what the channel's policy says, and it ends with the order's AliasUntil.
func ownFirst(
	get func(lnwire.ShortChannelID) []lnwire.ShortChannelID,
) func(lnwire.ShortChannelID) []lnwire.ShortChannelID {
	return func(base lnwire.ShortChannelID) []lnwire.ShortChannelID {
		aliases := get(base)
		if i := slices.Index(aliases, base); i > 0 {
			aliases[0], aliases[i] = base, aliases[0]
		}
		return aliases
	}
}
