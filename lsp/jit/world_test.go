package jit

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/lntypes"
	"github.com/lightningnetwork/lnd/lnwire"
)

var update = flag.Bool("update", false, "rewrite golden files")

const tip = 100 // the height of the stories

var (
	t0     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	first  = point(1)
	second = point(2)
)

func point(n byte) wire.OutPoint { return wire.OutPoint{Hash: chainhash.Hash{n}} }

// fixed sells a channel for a payment of 1,000,000 msat; the fee is 20,000.
func fixed() Terms {
	t := Terms{
		Client:               [33]byte{2, 0xc1},
		SCID:                 lnwire.ShortChannelID{BlockHeight: 16_060_000, TxIndex: 7, TxPosition: 9},
		PaymentSize:          1_000_000,
		MinFee:               10_000,
		PPM:                  20_000,
		MinPayment:           100_000,
		MaxPayment:           4_000_000,
		ValidUntil:           t0.Add(time.Hour),
		AliasUntil:           t0.Add(2 * time.Hour),
		CLTVExpiryDelta:      144,
		MaxClientToSelfDelay: 2016,
		MinLifetime:          4320,
		Rules:                DefaultRules(),
	}
	t.Rules.HTLCMin = 1000
	return t
}

// variable sells a channel for whatever comes.
func variable() Terms {
	t := fixed()
	t.PaymentSize = 0
	return t
}

// trusting withholds the funding until the claim.
func trusting(t Terms) Terms {
	t.ClientTrustsLSP = true
	return t
}

// part is HTLC number i of the payment hash.
func part(hash byte, i uint64, amt lnwire.MilliSatoshi) Part {
	return Part{
		Key:            CircuitKey{lnwire.ShortChannelID{BlockHeight: 5}, i},
		Hash:           lntypes.Hash{hash},
		Amount:         amt,
		IncomingAmount: amt,
		IncomingExpiry: tip + 144 + 50,
		OutgoingExpiry: tip + 50,
	}
}

func arrive(hash byte, i uint64, amt lnwire.MilliSatoshi) PartArrived {
	return PartArrived{Part: part(hash, i, amt), Height: tip}
}

func key(i uint64) CircuitKey { return CircuitKey{lnwire.ShortChannelID{BlockHeight: 5}, i} }

func usable(p wire.OutPoint, conn Conn) ChannelUsable {
	return ChannelUsable{Point: p, Conn: conn, HTLCMin: 1000, MaxHTLCs: 50}
}

// say writes an event or a command in one line.
func say(v any) string {
	switch v := v.(type) {
	case PartArrived:
		s := fmt.Sprintf("part %d of payment %x, %d", v.Part.Key.Index, v.Part.Hash[0],
			uint64(v.Part.Amount))
		if v.Refuse != 0 {
			s += " (the node is full)"
		}
		return s
	case ClientOnline:
		return fmt.Sprintf("client online %d", v.Conn)
	case OpenSigned:
		return fmt.Sprintf("open signed %d", v.Point.Hash[0])
	case OpenFailed:
		s := "open failed " + []string{"", "ours", "refused", "gone", "terms", "timeout"}[v.Fault]
		if v.CanRetryWithoutAnchors {
			s += ", anchors"
		}
		return s
	case ChannelUsable:
		return fmt.Sprintf("channel %d usable %d", v.Point.Hash[0], v.Conn)
	case ChannelGone:
		if v.Unfunded {
			return fmt.Sprintf("channel %d dropped", v.Point.Hash[0])
		}
		return fmt.Sprintf("channel %d gone", v.Point.Hash[0])
	case ChannelRefused:
		return fmt.Sprintf("channel %d refused", v.Point.Hash[0])
	case PartClaimed:
		return fmt.Sprintf("claimed %d", v.Key.Index)
	case PartFailed:
		if v.Ours {
			return fmt.Sprintf("failed %d by ourselves", v.Key.Index)
		}
		return fmt.Sprintf("failed %d", v.Key.Index)
	case PartStuck:
		return fmt.Sprintf("stuck %d", v.Key.Index)
	case PartGone:
		return fmt.Sprintf("off the channel %d", v.Key.Index)
	case PreimageKnown:
		return fmt.Sprintf("preimage of %x known", v.Hash[0])
	case Height:
		return fmt.Sprintf("height %d", v.Height)
	case Restarted:
		return fmt.Sprintf("restart, %s, %d parts", sayFunding(v.Funding), len(v.Outstanding))
	case OpenChannel:
		s := fmt.Sprintf("open channel, attempt %d over %d: %d in %d parts", v.Attempt, v.Conn,
			uint64(v.Receives), v.Parts)
		if v.WithoutAnchors {
			s += ", no anchors"
		}
		if v.Withhold {
			s += ", withheld"
		}
		return s
	case DropChannel:
		return fmt.Sprintf("drop channel %d", v.Point.Hash[0])
	case BroadcastFunding:
		return fmt.Sprintf("broadcast %d", v.Point.Hash[0])
	case RegisterAlias:
		return fmt.Sprintf("register alias of %d", v.Point.Hash[0])
	case ForwardPart:
		return fmt.Sprintf("forward %d: %d, extra_fee %d", v.Key.Index, uint64(v.Amount),
			uint64(v.ExtraFee))
	case ResumePart:
		return fmt.Sprintf("resume %d: %d, extra_fee %d", v.Key.Index, uint64(v.Amount),
			uint64(v.ExtraFee))
	case FailPart:
		return fmt.Sprintf("fail %d: %v, %s", v.Key.Index, v.Code, v.Reason)
	}
	name := strings.TrimPrefix(fmt.Sprintf("%T", v), "jit.")
	return map[string]string{
		"ClientGone": "client gone", "Tick": "tick", "WakeClient": "wake client",
		"CancelOpen": "cancel open", "Finished": "finished",
	}[name]
}

func sayFunding(f *Funding) string {
	switch {
	case f == nil:
		return "no funding"
	case f.Gone && f.Withheld:
		return fmt.Sprintf("%d dropped", f.Point.Hash[0])
	case f.Gone:
		return fmt.Sprintf("%d closed", f.Point.Hash[0])
	case f.Withheld:
		return fmt.Sprintf("%d withheld", f.Point.Hash[0])
	}
	return fmt.Sprintf("%d funded", f.Point.Hash[0])
}

// render takes one step and writes it down.
func render(o Order, now time.Time, ev Event) (Order, string) {
	next, cmds, err := o.Step(now, ev)
	line := fmt.Sprintf("%7v  %-16s  %-30s  ", now.Sub(t0), o.State.Name(), say(ev))
	if err != nil {
		return next, line + "unexpected\n"
	}
	line += next.State.Name() + "\n"
	for _, c := range cmds {
		line += "             " + say(c) + "\n"
	}
	return next, line
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs: run go test -update and read the diff", file)
	}
}
