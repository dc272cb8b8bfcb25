package lsp

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/inletlsp/inlet/lsp/checklist"
	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/lightningnetwork/lnd/lnwire"
)

// someNeeds are 1000 sat of reserve, 660 of anchors and 100 sat a part.
func someNeeds(u ChannelUse) ChannelNeeds {
	return ChannelNeeds{Reserve: 1000, Anchors: 660, CommitFee: 100 * btcutil.Amount(u.Parts)}
}

func TestChannelSize(t *testing.T) {
	needs := ChannelNeeds{Reserve: 1000, Anchors: 660, CommitFee: 340}
	for _, v := range []struct {
		p       ChannelPolicy
		forward lnwire.MilliSatoshi
		needed  btcutil.Amount
		spare   btcutil.Amount
		fits    bool
	}{
		{ChannelPolicy{}, 1, 2001, 17_999, true},
		{ChannelPolicy{}, 50_000_000, 52_000, 0, true},
		{ChannelPolicy{}, 50_000_001, 52_001, 0, true},
		{ChannelPolicy{OverprovisionPPM: 500_000}, 50_000_000, 52_000, 25_000, true},
		{ChannelPolicy{Min: 100_000}, 50_000_000, 52_000, 48_000, true},
		{ChannelPolicy{OverprovisionPPM: 500_000, Max: 60_000}, 50_000_000, 52_000, 8_000, true},
		{ChannelPolicy{Max: 52_000}, 50_000_000, 52_000, 0, true},
		{ChannelPolicy{Max: 51_999}, 50_000_000, 52_000, 0, false},
		{ChannelPolicy{OverprovisionPPM: 4_000_000_000}, 16_700_000_000, 16_702_000, 75_215, true},
		{ChannelPolicy{}, 16_775_216_000, 16_777_216, 0, false},
	} {
		c := v.p.Size(v.forward, needs)
		if c.needed() != v.needed || c.Spare != v.spare || v.p.Fits(c) != v.fits ||
			c.Forward+c.Reserve+c.Anchors+c.CommitFee+c.Spare != c.Capacity {
			t.Errorf("%+v, %d msat: %+v", v.p, v.forward, c)
		}
	}
}

// LSPS2-17, and -81 for the menu: the largest payment that is shown is one that the
// largest channel carries after the fee, in any number of parts, and not a msat less.
func TestMaxPaymentIsWhatAChannelCarries(t *testing.T) {
	const most = 1_000_000
	s, book := newService(t, func(c *ServiceConfig) {
		c.Offer.MaxPaymentSize = 4_000_000_000
		c.Channels, c.Needs = ChannelPolicy{Max: most}, someNeeds
	})
	p := served(t, s, t0, bob, `{}`)[0]
	at := func(size lnwire.MilliSatoshi) Channel {
		fee, _ := jit.OpeningFee(size, p.MinFee, p.Proportional)
		return s.market(0).channel(size-fee, 30)
	}
	if at(p.MaxPaymentSize).needed() != most || at(p.MaxPaymentSize+1).needed() <= most {
		t.Errorf("up to %d: %+v", p.MaxPaymentSize, at(p.MaxPaymentSize))
	}
	for size, code := range map[lnwire.MilliSatoshi]int{
		p.MaxPaymentSize: 0, p.MaxPaymentSize + 1: CodePaymentSizeTooLarge,
	} {
		raw, _ := json.Marshal(p)
		text, _ := json.Marshal(formatAmount(size))
		if g := buy(t, s, t0, bob, string(raw), string(text)); g.code() != code {
			t.Errorf("%d: %+v", size, g)
		}
	}

	// The fees rise after the item was promised: told at buy, before any coin moves.
	raw, _ := json.Marshal(p)
	s.cfg.Needs = func(u ChannelUse) ChannelNeeds { n := someNeeds(u); n.CommitFee *= 2; return n }
	text, _ := json.Marshal(formatAmount(p.MaxPaymentSize))
	if g := buy(t, s, t0, bob, string(raw), string(text)); g.code() != CodePaymentSizeTooLarge ||
		book.len() != 1 {
		t.Errorf("%+v", g)
	}
	// And so much that no channel carries the smallest payment: the item is not shown.
	s.cfg.Needs = func(ChannelUse) ChannelNeeds { return ChannelNeeds{CommitFee: most} }
	if menu := served(t, s, t0, bob, `{}`); len(menu) != 0 {
		t.Errorf("%+v", menu)
	}
}

// LSPS2-17: what cannot reach us; zero is nothing at all.
func TestInbound(t *testing.T) {
	checklist.Shows(t, "LSPS2-17", "an inbound of zero is not looked at")
	can := Unlimited()
	var asked [33]byte
	s, _ := newService(t, func(c *ServiceConfig) {
		c.Liquidity = func(client [33]byte) Liquidity { asked = client; return can }
	})
	offered := item(t, s, t0, bob)
	for _, v := range []struct {
		inbound lnwire.MilliSatoshi
		size    string
		code    int
	}{
		{1_000_000, `"1000000"`, 0}, {999_999, `"1000000"`, CodePaymentSizeTooLarge},
		{0, `"100000"`, CodePaymentSizeTooLarge}, {0, ``, CodePaymentSizeTooLarge}, {1, ``, 0},
	} {
		can.Inbound = v.inbound
		if g := buy(t, s, t0, bob, offered, v.size); g.code() != v.code || asked != bob {
			t.Errorf("%+v: %+v", v, g)
		}
	}
}

// LSPS2-03 and the coin check of buy: the coins less what open orders have claimed.
func TestCoins(t *testing.T) {
	checklist.Shows(t, "LSPS2-03", "an item is shown without coins for it")
	can := Unlimited()
	s, book := newService(t, func(c *ServiceConfig) {
		c.Liquidity = func([33]byte) Liquidity { return can }
		c.FeeRate = func() SatPerKWeight { return 1000 }
		c.Channels.Min = 100_000
		c.Offer.MaxPaymentSize = 400_000_000
	})
	const each = 100_000 + FundingWeight // the channel and its transaction
	can.Coins = 2*each + 50_000
	offered := item(t, s, t0, bob)
	if g := buy(t, s, t0, bob, offered, `"300000000"`); g.code() != CodePaymentSizeTooLarge {
		t.Errorf("more than there is: %+v", g)
	}
	for i, code := range []int{0, 0, CodePaymentSizeTooLarge} {
		if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != code {
			t.Errorf("order %d: %+v", i, g)
		}
	}
	if menu := served(t, s, t0, eve, `{}`); len(menu) != 0 || s.Closed(t0) == "" ||
		len(s.Menu(t0)) != 1 {
		t.Errorf("all is claimed: %+v, %q", menu, s.Closed(t0))
	}
	if g := buy(t, s, t0, bob, offered, ``); g.code() != CodeClientRejected {
		t.Errorf("a variable one: %+v", g)
	}

	// The wallet has leased the coins of the first: its claim is theirs now.
	s.Funded(book.sold[0].ID)
	s.Funded(book.sold[0].ID)
	can.Coins = each
	if menu := served(t, s, t0, eve, `{}`); len(menu) != 0 {
		t.Errorf("%+v", menu)
	}
	s.Ended(book.sold[1].ID)
	s.Ended(book.sold[0].ID)
	if menu := served(t, s, t0, eve, `{}`); len(menu) != 1 || s.Closed(t0) != "" {
		t.Errorf("one is dead: %+v", menu)
	}
	if g := buy(t, s, t0, bob, offered, ``); g.code() != 0 {
		t.Errorf("%+v", g)
	}
	// LSPS2-27: it runs out, and gives back its claim and its place.
	later := t0.Add(time.Hour)
	if menu := served(t, s, later, eve, `{}`); len(menu) != 1 || len(s.orders.open) != 0 ||
		s.orders.claimed != 0 {
		t.Errorf("%+v, %d open, %d claimed", menu, len(s.orders.open), s.orders.claimed)
	}
}

// TestClaimsOfALifeBefore count, and may be overbooked.
func TestClaimsOfALifeBefore(t *testing.T) {
	s, book := newService(t, nil)
	buy(t, s, t0, bob, item(t, s, t0, bob), `"1000000"`)
	buy(t, s, t0, bob, item(t, s, t0, bob), ``)
	can := Unlimited()
	can.Coins = 59_999
	for over, code := range map[uint32]int{0: CodePaymentSizeTooLarge, 100: 0} {
		s, _ = newService(t, func(c *ServiceConfig) {
			c.Liquidity = func([33]byte) Liquidity { return can }
			c.Open, c.Rand, c.Channels.OverbookPPM = book.sold, newChance(9), over
		})
		offered := servedAnyway(s, bob)
		if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != code {
			t.Errorf("%d: %+v", over, g)
		}
	}
}

// servedAnyway is an item of the menu of before.
func servedAnyway(s *Service, client [33]byte) string {
	p := s.Menu(t0)[0]
	p.Promise = s.cfg.Keys.signer(t0).promise(client, p, "")
	raw, _ := json.Marshal(p)
	return string(raw)
}

// TestParallelBuysAndCoins has no coin promised twice while writes overlap.
func TestParallelBuysAndCoins(t *testing.T) {
	can := Unlimited()
	can.Coins = 5 * 20_000
	s, book := newService(t, func(c *ServiceConfig) {
		c.Liquidity = func([33]byte) Liquidity { return can }
		c.Limits.ClientPerSecond, c.Limits.ClientOpen = 1000, 1000
	})
	offered := item(t, s, t0, bob)
	done := make(chan int)
	for range 40 {
		go func() { done <- buy(t, s, t0, bob, offered, `"1000000"`).code() }()
	}
	codes := map[int]int{}
	for range 40 {
		codes[<-done]++
	}
	if codes[0] != 5 || codes[CodePaymentSizeTooLarge] != 35 || book.len() != 5 {
		t.Errorf("%v", codes)
	}
}

// TestOverbooking promises the coins twice, but no channel that they don't fund at all.
func TestOverbooking(t *testing.T) {
	can := Unlimited()
	can.Coins = 50_000
	s, _ := newService(t, func(c *ServiceConfig) {
		c.Liquidity = func([33]byte) Liquidity { return can }
		c.Channels.OverbookPPM = 1_000_000
		c.Offer.MaxPaymentSize = 60_000_000
	})
	offered := item(t, s, t0, bob)
	for i, v := range []struct {
		size string
		code int
	}{
		{`"60000000"`, CodePaymentSizeTooLarge}, // 58,800 sat of 50,000
		{`"50000000"`, 0}, {`"50000000"`, 0},    // 98,000 sat of 100,000
		{`"1000000"`, CodePaymentSizeTooLarge},
	} {
		if g := buy(t, s, t0, bob, offered, v.size); g.code() != v.code {
			t.Errorf("order %d: %+v", i, g)
		}
	}
}

// TestRoomIsTakenMeanwhile: another client buys while the node thinks about this one. The
// last coins and the last place are sold once.
func TestRoomIsTakenMeanwhile(t *testing.T) {
	for what, code := range map[string]int{
		"coins": CodePaymentSizeTooLarge, "place": CodeClientRejected, "token": CodeClientRejected,
	} {
		can, meanwhile := Unlimited(), func() {}
		token := shopToken()
		s, book := newService(t, func(c *ServiceConfig) {
			c.Liquidity = func([33]byte) Liquidity { return can }
			c.Admit = func(time.Time, Ask) Verdict {
				act := meanwhile
				meanwhile = func() {}
				act()
				return Verdict{}
			}
			switch what {
			case "coins":
				can.Coins = 30_000
			case "place":
				c.Limits.Open = 1
			case "token":
				token.MaxOpen = 1
			}
			c.Tokens = []Token{token}
		})
		offered, evesOffer := itemFor(t, s, t0, bob, asShop), itemFor(t, s, t0, eve, asShop)
		meanwhile = func() {
			if g := buy(t, s, t0, eve, evesOffer, `"1000000"`); g.code() != 0 {
				t.Errorf("%s: %+v", what, g)
			}
		}
		if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != code || book.len() != 1 {
			t.Errorf("%s: %+v, %d sold", what, g, book.len())
		}
	}
}
