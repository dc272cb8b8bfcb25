package funding

import (
	"math/rand/v2"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/lightningnetwork/lnd/lnwallet/chainfee"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

func btc(sat int64) btcutil.Amount { return btcutil.Amount(sat) }

// Sizes that were measured against LDK with lnd's link on our side: 48,000 sat in one part.
func TestCapacityMeasured(t *testing.T) {
	checklist.Shows(t, "LSPS2-81", "Capacity leaves out the commitment's fee")
	room := Room{Forward: 48_000_000}
	for _, c := range []struct {
		rate        chainfee.SatPerKWeight
		fails, fits btcutil.Amount
	}{{2500, 56_900, 57_000}, {253, 50_400, 50_600}} {
		got := Capacity(room, c.rate, true, ReserveRule{})
		if got <= c.fails || got > c.fits {
			t.Errorf("at %d sat/kw: %d sat, want more than %d and at most %d",
				c.rate, got, c.fails, c.fits)
		}
	}
	atFloor := Capacity(room, 253, true, ReserveRule{})
	if got := Capacity(room, 100, true, ReserveRule{}); got != atFloor {
		t.Errorf("a feerate below the floor gave %d sat", got)
	}
	if got := Capacity(Room{Forward: ^lnwire.MilliSatoshi(0) >> 1}, 253, true,
		ReserveRule{}); got != btcutil.MaxSatoshi {
		t.Errorf("an absurd amount gave %d sat", got)
	}
	if got := Capacity(room, 253, true, ReserveRule{PPM: ppm}); got != btcutil.MaxSatoshi {
		t.Errorf("a reserve of everything gave %d sat", got)
	}
}

// The capacity fits exactly: one satoshi less does not, if the peer demands what was foreseen.
func TestCapacityIsTight(t *testing.T) {
	checklist.Shows(t, "LSPS2-81", "Capacity leaves out the reserve")
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		rule := ReserveRule{Floor: btc(r.Int64N(5000)), PPM: uint32(r.IntN(200_000))}
		if r.IntN(2) == 0 {
			rule = ReserveRule{}
		}
		parts := 1 + r.IntN(30)
		room := Room{
			Forward: lnwire.MilliSatoshi(1 + r.Int64N(5_000_000_000)), Parts: parts, Smallest: 1,
		}
		p := params()
		p.Type.Anchors = r.IntN(2) == 0
		p.CommitFeeRate = 253 + chainfee.SatPerKWeight(r.Int64N(10_000))
		p.Room = room

		fits := func(capacity btcutil.Amount) error {
			p.Capacity = capacity
			m := accept()
			m.MaxValueInFlight = lnwire.NewMSatFromSatoshis(capacity)
			m.ChannelReserve = rule.Of(capacity)
			return room.fits(p, m)
		}
		capacity := Capacity(room, p.CommitFeeRate, p.Type.Anchors, rule)
		if err := fits(capacity); err != nil {
			t.Fatalf("seed %d: %+v does not fit through %d: %v", seed, room, capacity, err)
		}
		if fits(capacity-1) == nil {
			t.Fatalf("seed %d: %+v fits through one satoshi less than %d", seed, room, capacity)
		}
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name   string
		ask    Ask
		remote []lnwire.FeatureBit
		want   string
	}{
		{"LDK", Ask{Private: true, ZeroConf: true}, []lnwire.FeatureBit{12, 23, 47, 51}, "{12,22,46,50}"},
		{"LDK without its anchor configuration", Ask{Private: true, ZeroConf: true},
			[]lnwire.FeatureBit{12, 47, 51}, "{12,46,50}"},
		{"second rung of the ladder", Ask{Private: true, ZeroConf: true, WithoutAnchors: true},
			[]lnwire.FeatureBit{12, 23, 47, 51}, "{12,46,50}"},
		{"a peer that trusts us without bit 50", Ask{Private: true, ZeroConf: true},
			[]lnwire.FeatureBit{12, 22, 46}, "{12,22,46}"},
		{"announced", Ask{}, []lnwire.FeatureBit{12, 23, 47, 51}, "{12,22}"},
		{"announced zero-conf", Ask{ZeroConf: true}, []lnwire.FeatureBit{12, 23, 47, 51}, "{12,22,50}"},
		{"private, no alias", Ask{Private: true}, []lnwire.FeatureBit{12, 23}, "{12,22}"},
		{"zero-conf, no alias", Ask{Private: true, ZeroConf: true}, []lnwire.FeatureBit{12, 23}, ""},
		{"no static_remotekey", Ask{}, []lnwire.FeatureBit{23}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Choose(c.ask, fullFeatures(), features(c.remote...))
			if c.want == "" {
				check(t, err, "features of both sides")
				return
			}
			check(t, err, "")
			if got.String() != c.want {
				t.Errorf("chose %v, want %s", got, c.want)
			}
			back, err := ParseChanType(got.Wire())
			if err != nil || back != got {
				t.Errorf("%v came back as %v, %v", got, back, err)
			}
		})
	}
}
