package funding

import (
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp/checklist"
)

func limits() Limits {
	return Limits{
		MinCapacity: 20_000, MaxCapacity: 1_000_000_000, MaxToSelfDelay: 2016,
		MaxCommitFeeRate: 25_000,
	}
}

// check reports whether an error says what it should; an empty want means none.
func check(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, want %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestCheckAccept(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Params, *lnwire.AcceptChannel)
		want   string
	}{
		{"as LDK sends it", func(*Params, *lnwire.AcceptChannel) {}, ""},
		{"no channel_type", func(_ *Params, m *lnwire.AcceptChannel) { m.ChannelType = nil },
			"channel_type is not the proposed {12,22,46,50}"},
		{"another channel_type", func(_ *Params, m *lnwire.AcceptChannel) {
			m.ChannelType = ChanType{Anchors: true}.Wire()
		}, "channel_type is not the proposed"},
		{"minimum_depth in a zero-conf channel", func(_ *Params, m *lnwire.AcceptChannel) {
			m.MinAcceptDepth = 1
		}, "to be used unconfirmed"},
		{"minimum_depth in an ordinary channel", func(p *Params, m *lnwire.AcceptChannel) {
			p.ZeroConf, m.MinAcceptDepth = false, 6
		}, ""},
		{"minimum_depth beyond what is watched", func(p *Params, m *lnwire.AcceptChannel) {
			p.ZeroConf, m.MinAcceptDepth = false, 145
		}, "minimum_depth 145"},
		{"to_self_delay at the limit", func(_ *Params, m *lnwire.AcceptChannel) {
			m.CsvDelay = 2016
		}, ""},
		{"to_self_delay above", func(_ *Params, m *lnwire.AcceptChannel) { m.CsvDelay = 2017 },
			"to_self_delay 2017 is more than 2016"},
		{"to_self_delay above the order's", func(p *Params, _ *lnwire.AcceptChannel) {
			p.MaxToSelfDelay = 143
		}, "to_self_delay 144 is more than 143"},
		{"dust below 354", func(_ *Params, m *lnwire.AcceptChannel) { m.DustLimit = 353 },
			"dust_limit_satoshis 353"},
		{"dust above", func(p *Params, m *lnwire.AcceptChannel) {
			p.Demands.Reserve, m.ChannelReserve, m.DustLimit = 2000, 2000, 1063
		}, "dust_limit_satoshis 1063 is more than 1062"},
		{"dust above our reserve demand", func(p *Params, m *lnwire.AcceptChannel) {
			m.DustLimit, m.ChannelReserve = 1001, 1100
		}, "more than our channel_reserve_satoshis 1000"},
		{"reserve below our dust", func(_ *Params, m *lnwire.AcceptChannel) {
			m.ChannelReserve = 353
		}, "less than our dust_limit_satoshis 354"},
		{"reserve below its dust", func(_ *Params, m *lnwire.AcceptChannel) {
			m.DustLimit, m.ChannelReserve = 500, 499
		}, "channel_reserve_satoshis 499 is less than dust_limit_satoshis 500"},
		{"reserve of a fifth", func(_ *Params, m *lnwire.AcceptChannel) { m.ChannelReserve = 20_000 },
			""},
		{"reserve above a fifth", func(_ *Params, m *lnwire.AcceptChannel) {
			m.ChannelReserve = 20_001
		}, "more than a fifth"},
		{"four HTLCs", func(_ *Params, m *lnwire.AcceptChannel) { m.MaxAcceptedHTLCs = 4 },
			"max_accepted_htlcs 4"},
		{"484 HTLCs", func(_ *Params, m *lnwire.AcceptChannel) { m.MaxAcceptedHTLCs = 484 },
			"max_accepted_htlcs 484"},
		{"in-flight below five HTLCs", func(_ *Params, m *lnwire.AcceptChannel) {
			m.MaxValueInFlight, m.HtlcMinimum = 4999, 1000
		}, "max_htlc_value_in_flight_msat 4999"},
		{"upfront taproot script", func(_ *Params, m *lnwire.AcceptChannel) {
			m.UpfrontShutdownScript = append([]byte{0x51, 0x20}, make([]byte, 32)...)
		}, ""},
		{"upfront legacy script", func(_ *Params, m *lnwire.AcceptChannel) {
			m.UpfrontShutdownScript = append([]byte{0x76, 0xa9, 0x14}, make([]byte, 22)...)
		}, "upfront_shutdown_script"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, m := params(), accept()
			c.change(&p, m)
			check(t, CheckAccept(p, m), c.want)
		})
	}
}

// What is to go over the channel at once must fit, on the terms that the peer answered with.
func TestCheckAcceptRoom(t *testing.T) {
	checklist.Shows(t, "LSPS2-83", "Room.fits does not look at max_htlc_value_in_flight_msat")
	for _, c := range []struct {
		name   string
		change func(*Params, *lnwire.AcceptChannel)
		want   string
	}{
		{"room: in-flight of ten percent", func(p *Params, m *lnwire.AcceptChannel) {
			p.Room, m.MaxValueInFlight = Room{Forward: 48_000_000}, 10_000_000
		}, "max_htlc_value_in_flight_msat 10000000 is less than the 48000000 to forward"},
		{"room: parts", func(p *Params, m *lnwire.AcceptChannel) {
			p.Room, m.MaxAcceptedHTLCs = Room{Forward: 6_000_000, Parts: 6}, 5
		}, "max_accepted_htlcs 5 is less than the 6 parts"},
		{"room: htlc_minimum", func(p *Params, m *lnwire.AcceptChannel) {
			p.Room, m.HtlcMinimum = Room{Forward: 6_000_000, Parts: 6}, 1_000_001
		}, "htlc_minimum_msat 1000001 is more than the smallest part, 1000000"},
		{"room: reserve", func(p *Params, m *lnwire.AcceptChannel) {
			p.Room, m.ChannelReserve = Room{Forward: 80_000_000}, 19_999
		}, "channel_reserve_satoshis 19999 leaves too little"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, m := params(), accept()
			c.change(&p, m)
			check(t, CheckAccept(p, m), c.want)
		})
	}
}

func TestCheckOpen(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Proposal)
		want   string
	}{
		{"as we send it", func(*Proposal) {}, ""},
		{"another chain", func(o *Proposal) { o.Msg.ChainHash = chainhash.Hash{1} }, "chain_hash"},
		{"no channel_type", func(o *Proposal) { o.Msg.ChannelType = nil }, "it is missing"},
		{"taproot", func(o *Proposal) {
			o.Msg.ChannelType = (*lnwire.ChannelType)(lnwire.NewRawFeatureVector(180, 46, 50))
		}, "unsupported channel_type"},
		{"legacy keys", func(o *Proposal) {
			o.Msg.ChannelType = (*lnwire.ChannelType)(lnwire.NewRawFeatureVector())
		}, "unsupported channel_type"},
		{"a type that we did not offer", func(o *Proposal) { o.Local = features(12) },
			"needs option_anchors"},
		{"scid_alias announced", func(o *Proposal) { o.Msg.ChannelFlags = 1 },
			"option_scid_alias in an announced channel"},
		{"undefined flags", func(o *Proposal) { o.Msg.ChannelFlags = 0xfe }, ""},
		{"too small", func(o *Proposal) { o.Msg.FundingAmount = 19_999 }, "less than 20000"},
		{"negative", func(o *Proposal) { o.Msg.FundingAmount = -1 }, "less than 20000"},
		{"too large", func(o *Proposal) { o.Msg.FundingAmount = 1_000_000_001 }, "more than"},
		{"large without the feature", func(o *Proposal) { o.Msg.FundingAmount = LargeChannel },
			"option_support_large_channel"},
		{"large with the feature", func(o *Proposal) {
			o.Local, o.Remote = features(12, 19, 23, 47, 51), features(19)
			o.Msg.FundingAmount = LargeChannel
		}, ""},
		{"feerate 252", func(o *Proposal) { o.Msg.FeePerKiloWeight = 252 }, "feerate_per_kw 252"},
		{"feerate 253", func(o *Proposal) { o.Msg.FeePerKiloWeight = 253 }, ""},
		{"feerate too high", func(o *Proposal) { o.Msg.FeePerKiloWeight = 25_001 },
			"feerate_per_kw 25001"},
		{"push of all", func(o *Proposal) { o.Msg.PushAmount = 100_000_000 }, "commitment fee"},
		{"push of more", func(o *Proposal) { o.Msg.PushAmount = 100_000_001 }, "push_msat"},
		{"push that overflows", func(o *Proposal) { o.Msg.PushAmount = ^lnwire.MilliSatoshi(0) },
			"push_msat"},
		{"push down to dust", func(o *Proposal) { o.Msg.PushAmount = 96_000_000 }, "are dust"},
		{"both below the reserve", func(o *Proposal) {
			o.Msg.FundingAmount, o.Msg.FeePerKiloWeight = 20_000, 15_000
			o.Msg.ChannelReserve = 4000
		}, "both sides have less"},
		{"to_self_delay", func(o *Proposal) { o.Msg.CsvDelay = 2017 }, "to_self_delay"},
		{"negative dust", func(o *Proposal) { o.Msg.DustLimit = -1 }, "dust_limit_satoshis -1"},
		{"negative reserve", func(o *Proposal) { o.Msg.ChannelReserve = -1 }, "is less than dust"},
		{"dust above the reserve", func(o *Proposal) {
			o.Msg.DustLimit, o.Msg.ChannelReserve = 600, 599
		}, "channel_reserve_satoshis 599"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Proposal{
				Chain: *chaincfg.RegressionNetParams.GenesisHash, Limits: limits(),
				Local: fullFeatures(), Remote: fullFeatures(), Msg: open(),
			}
			c.change(&o)
			_, err := o.Check()
			check(t, err, c.want)
		})
	}
}

// What we propose must pass the rules that we apply to others.
func TestOwnProposalPasses(t *testing.T) {
	o := Proposal{
		Chain: *chaincfg.RegressionNetParams.GenesisHash, Limits: limits(),
		Local: fullFeatures(), Remote: fullFeatures(), Msg: open(),
	}
	got, err := o.Check()
	if err != nil {
		t.Fatal(err)
	}
	want := params()
	if got.Type != want.Type || got.Capacity != want.Capacity || got.Private != want.Private ||
		got.CommitFeeRate != want.CommitFeeRate || got.PendingID != want.PendingID {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := CheckRequest(want, limits(), fullFeatures(), fullFeatures()); err != nil {
		t.Error(err)
	}
	small := want
	small.Capacity = 20_000 - 1
	check(t, CheckRequest(small, limits(), fullFeatures(), fullFeatures()), "less than")
}

// An acceptor's demands are lifted to the opener's dust limit, or the channel would be invalid.
func TestAcceptorLiftsReserve(t *testing.T) {
	m := open()
	m.DustLimit, m.ChannelReserve = 1062, 1062
	o, _ := NewAcceptor(params(), m)
	o, _, err := o.Step(start, Judged{ZeroConf: true, Demands: demands()})
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Params.Demands.Reserve; got != 1062 {
		t.Errorf("channel_reserve_satoshis %d, want 1062", got)
	}
}

func TestDelay(t *testing.T) {
	for capacity, want := range map[int64]uint16{
		20_000: 144, 1_000_000: 144, 1 << 23: 1008, 1 << 24: 2016, 1_000_000_000: 2016,
	} {
		if got := Delay(1 * btc(capacity)); got != want {
			t.Errorf("delay of %d sat: %d, want %d", capacity, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := Printable([]byte("no\x1b[2J\x00\xff way")); got != "no?[2J?? way" {
		t.Errorf("got %q", got)
	}
	if got := len(Printable(make([]byte, 65_000))); got != maxPeerText {
		t.Errorf("kept %d bytes of a peer's text", got)
	}
}
