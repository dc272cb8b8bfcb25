package forward

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/lightningnetwork/lnd/graph/db/models"
	"github.com/lightningnetwork/lnd/lnwire"
)

// pastInterceptor sends replayed packets that were forwarded before around the
// interceptor, straight to the switch, whose circuit map drops the duplicate.
//
// Every time a link starts, a plain reconnect included, lnd offers it all HTLCs
// that it has not answered, also those that wait for their answer downstream. In
// front of the interceptor stands a check that fails what expires soon: an HTLC
// that the client can still claim would be failed back to the payer, and we would
// pay it ourselves. So what has a circuit is never offered again.
//
// An answer gets to the switch even when its link ends meanwhile: after the last HTLC
// of a channel that is being closed, the link ends at once, and no other link will ever
// bring what lnd gives up then. A failure that is lost there leaves the HTLC that it
// answers to expire upstream, with that channel; a payment of our own has no end.
//
// P is lnd's packet type, which has no exported name.
func pastInterceptor[P any](
	offer func(<-chan struct{}, bool, ...P) error,
	direct func(<-chan struct{}, ...P) error,
	forwarded func(models.CircuitKey) bool,
) func(<-chan struct{}, bool, ...P) error {

	return func(quit <-chan struct{}, isReplay bool, packets ...P) error {
		if !isReplay {
			if !slices.ContainsFunc(packets, func(p P) bool { return !isAnswer(p) }) {
				quit = nil // lnd's link does not wait for those; the switch has a quit of its own
			}
			return offer(quit, isReplay, packets...)
		}
		var again, fresh []P
		for _, p := range packets {
			if forwarded(incomingKey(p)) {
				again = append(again, p)
			} else {
				fresh = append(fresh, p)
			}
		}
		if len(again) > 0 {
			if err := direct(quit, again...); err != nil {
				return fmt.Errorf("forward: replay forwarded HTLCs: %w", err)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		return offer(quit, isReplay, fresh...)
	}
}

// incomingKey reads the circuit key out of lnd's packet. The fields are not
// exported and no method gives them; a test holds their names, so that a new lnd
// that renames them fails the build's tests instead of our payers.
func incomingKey(packet any) models.CircuitKey {
	v := reflect.ValueOf(packet).Elem()
	scid := v.FieldByName("incomingChanID")
	return models.CircuitKey{
		ChanID: lnwire.ShortChannelID{
			BlockHeight: uint32(scid.FieldByName("BlockHeight").Uint()),
			TxIndex:     uint32(scid.FieldByName("TxIndex").Uint()),
			TxPosition:  uint16(scid.FieldByName("TxPosition").Uint()),
		},
		HtlcID: v.FieldByName("incomingHTLCID").Uint(),
	}
}

// isAnswer says that a packet settles or fails an HTLC.
func isAnswer(packet any) bool {
	htlc := reflect.ValueOf(packet).Elem().FieldByName("htlc").Elem()
	return htlc.IsValid() && htlc.Type() != reflect.TypeFor[*lnwire.UpdateAddHTLC]()
}
