package lsp

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// LSPS2-24: the open orders of a client, and how their slots come free.
func TestOpenOrdersOfAClient(t *testing.T) {
	checklist.Shows(t, "LSPS2-24", "the orders of a client are not counted")
	s, book := newService(t, nil)
	offered := item(t, s, t0, bob)
	now := t0
	next := func() int {
		now = now.Add(time.Second)
		return buy(t, s, now, bob, offered, `"1000000"`).code()
	}
	for i := range 10 {
		if code := next(); code != 0 {
			t.Fatalf("order %d: %d", i, code)
		}
	}
	if code := next(); code != CodeClientRejected {
		t.Errorf("order 11: %d", code)
	}
	if code := buy(t, s, now, eve, item(t, s, now, eve), `"1000000"`).code(); code != 0 {
		t.Errorf("another client: %d", code)
	}
	s.Ended(book.sold[3].ID)
	s.Ended(book.sold[3].ID) // told twice
	s.Ended("unknown")
	if code := next(); code != 0 {
		t.Errorf("after one was paid: %d", code)
	}
	if code := next(); code != CodeClientRejected {
		t.Errorf("and one more: %d", code)
	}

	// The others run out with their offer; that of eve began later.
	now = t0.Add(time.Hour)
	offered = item(t, s, now, bob)
	if code := next(); code != 0 || len(s.orders.open) != 2 {
		t.Errorf("after all have run out: %d, %d slots", code, len(s.orders.open))
	}
}

// LSPS2-25: the open orders of all, under throw-away node ids, and those of a life
// before count.
func TestOpenOrdersOfAll(t *testing.T) {
	checklist.Shows(t, "LSPS2-25", "the orders of all are not counted")
	s, book := newService(t, func(c *ServiceConfig) { c.Limits.Open = 50 })
	sold, rejected := 0, 0
	for i := range 200 {
		client := [33]byte{2, byte(i), byte(i >> 8)}
		now := t0.Add(time.Duration(i) * time.Millisecond)
		switch buy(t, s, now, client, item(t, s, now, client), `"1000000"`).code() {
		case 0:
			sold++
		case CodeClientRejected:
			rejected++
		}
	}
	if sold != 50 || rejected != 150 {
		t.Errorf("%d sold, %d rejected", sold, rejected)
	}

	s, _ = newService(t, func(c *ServiceConfig) {
		c.Limits.Open, c.Open, c.Rand = 50, book.sold, newChance(2)
	})
	code := buy(t, s, t0, bob, item(t, s, t0, bob), `"1000000"`).code()
	if code != CodeClientRejected {
		t.Errorf("after a restart: %d", code)
	}
	s.Ended(book.sold[0].ID)
	if code := buy(t, s, t0, bob, item(t, s, t0, bob), `"1000000"`).code(); code != 0 {
		t.Errorf("after a restart, one ended: %d", code)
	}
}

// TestParallelBuys has exactly as many sold as there are slots, while writes overlap.
func TestParallelBuys(t *testing.T) {
	var inside, most int
	var mu sync.Mutex
	s, book := newService(t, func(c *ServiceConfig) { c.Limits.ClientPerSecond = 1000 })
	gate := make(chan struct{})
	book.added = func() {
		mu.Lock()
		inside++
		most = max(most, inside)
		mu.Unlock()
		<-gate
	}
	offered := item(t, s, t0, bob)
	codes := make(chan int, 30)
	var wait sync.WaitGroup
	for range 30 {
		wait.Go(func() { codes <- buy(t, s, t0, bob, offered, `"1000000"`).code() })
	}
	for range 20 {
		if code := <-codes; code != CodeClientRejected { // while ten are being written
			t.Errorf("code %d", code)
		}
	}
	close(gate)
	wait.Wait()
	if book.len() != 10 || most != 10 {
		t.Errorf("%d sold, %d at a time", book.len(), most)
	}
}

// TestNobodyWaitsForAnother has a disk that does not answer: whoever does not buy is
// answered all the same, and so are those who are too many.
func TestNobodyWaitsForAnother(t *testing.T) {
	checklist.Shows(t, "LSPS2-28", "sell holds the lock while it writes")
	synctest.Test(t, func(t *testing.T) {
		s, book := newService(t, nil)
		disk := make(chan struct{})
		book.added = func() { <-disk }
		offered := item(t, s, t0, bob)
		sold := make(chan int, 1)
		go func() { sold <- buy(t, s, t0, bob, offered, `"1000000"`).code() }()
		synctest.Wait() // the purchase waits for the disk

		answered := make(chan struct{})
		go func() {
			defer close(answered)
			for i := range 1000 {
				client := [33]byte{2, byte(i), byte(i >> 8)}
				if g := call(t, s, t0, client, "lsps2.get_info", "{}"); g.code() != 0 {
					t.Errorf("client %d: %+v", i, g)
				}
			}
			for range 20 {
				call(t, s, t0, bob, "lsps0.list_protocols", "{}")
			}
			s.PeerGone(eve)
			s.Ended("another")
		}()
		synctest.Wait()
		select {
		case <-answered:
		default:
			t.Error("others wait for the purchase of one")
		}
		close(disk)
		if code := <-sold; code != 0 {
			t.Errorf("the purchase: %d", code)
		}
		<-answered
	})
}

// TestAdmit has the node's own reasons, and its word on who must trust whom (LSPS2-21).
func TestAdmit(t *testing.T) {
	var asked []Ask
	verdict := Verdict{Refusal: "you owe for two channels"}
	s, book := newService(t, func(c *ServiceConfig) {
		c.Admit = func(now time.Time, a Ask) Verdict {
			if !now.Equal(t0) {
				t.Errorf("asked at %v", now)
			}
			asked = append(asked, a)
			return verdict
		}
	})
	offered := item(t, s, t0, bob)
	if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != CodeClientRejected ||
		g.Error.Message != verdict.Refusal || book.len() != 0 {
		t.Errorf("%+v", g)
	}
	verdict = Verdict{ClientTrustsLSP: true}
	if g := buy(t, s, t0, bob, offered, ``); g.code() != 0 || book.len() != 1 ||
		!strings.Contains(string(g.Result), `"client_trusts_lsp":true`) || !book.sold[0].ClientTrustsLSP {
		t.Errorf("%+v", g)
	}
	want := []Ask{
		{Client: bob, PaymentSize: 1_000_000, MaxPayment: 1_000_000},
		{Client: bob, MaxPayment: 4_000_000},
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %+v", asked)
	}
	buy(t, s, t0, bob, offered, `"1"`)
	if len(asked) != 2 {
		t.Error("asked about what is refused already")
	}
}

// TestSetOffer has what was promised hold when the menu changes.
func TestSetMenu(t *testing.T) {
	s, book := newService(t, nil)
	offered := item(t, s, t0, bob)
	next := DefaultOffer()
	next.MinFee, next.MinPaymentSize = 500_000, 2_000_000
	if err := s.SetMenu(next, nil); err != nil {
		t.Fatal(err)
	}
	if g := buy(t, s, t0, bob, offered, `"1000000"`); g.code() != 0 ||
		book.sold[0].OpeningFee != 20_000 {
		t.Errorf("%+v", g)
	}
	if menu := s.Menu(t0); menu[0].MinFee != 500_000 {
		t.Errorf("%+v", menu)
	}
	next.MinFee = 1 << 62
	if s.SetMenu(next, nil) == nil || s.Menu(t0)[0].MinFee != 500_000 {
		t.Error("a bad offer is taken")
	}
}

// TestVariableThatCannotBe has an offer whose fee no variable payment could bear.
func TestVariableThatCannotBe(t *testing.T) {
	s, _ := newService(t, func(c *ServiceConfig) {
		c.Offer.MinFee, c.Offer.ProportionalPPM = 90_000, 0
	})
	if g := buy(t, s, t0, bob, item(t, s, t0, bob), ``); g.code() != CodeClientRejected {
		t.Errorf("%+v", g)
	}
	if g := buy(t, s, t0, bob, item(t, s, t0, bob), `"1000000"`); g.code() != 0 {
		t.Errorf("%+v", g)
	}
}

func TestServiceConfig(t *testing.T) {
	for what, change := range map[string]func(*ServiceConfig){
		"offer": func(c *ServiceConfig) { c.Offer = Offer{} },
		"keys":  func(c *ServiceConfig) { c.Keys = Keyring{} },
		"book":  func(c *ServiceConfig) { c.Book = nil }, "rand": func(c *ServiceConfig) { c.Rand = nil },
	} {
		cfg, _ := testConfig()
		change(&cfg)
		if _, err := NewService(cfg); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
