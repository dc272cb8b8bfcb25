package admission_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/admission"
)

// shop is a Service with a Gate behind it, as a node composes them, less the disk.
type shop struct {
	*testing.T
	now     time.Time
	service *lsp.Service
	gate    *admission.Gate
	bytes   int // that orders would take in the store
	sold    []lsp.Purchase
}

func newShop(t *testing.T) *shop {
	s := &shop{
		T: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		gate: admission.New(admission.DefaultLimits(), admission.Auto),
	}
	var err error
	s.service, err = lsp.NewService(lsp.ServiceConfig{
		Offer: lsp.DefaultOffer(), Keys: lsp.Keyring{Secret: [32]byte{1}}, Book: s,
		Rand: rand.NewChaCha8([32]byte{9}),
		Admit: func(now time.Time, a lsp.Ask) lsp.Verdict {
			v := s.gate.Judge(now, admission.Ask{
				Client: a.Client, Token: a.Token, Capacity: a.MaxPayment.ToSatoshis(),
			})
			return lsp.Verdict{Refusal: v.Refusal, ClientTrustsLSP: v.ClientTrustsLSP}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Add implements lsp.Book.
func (s *shop) Add(p lsp.Purchase) error {
	raw, err := lsp.MarshalPurchase(p)
	s.bytes += len(raw)
	s.sold = append(s.sold, p)
	s.gate.Put(s.now, admission.Order{ID: p.ID, Client: p.Client, Trusting: p.ClientTrustsLSP})
	return err
}

// expire ends the orders whose offer has run out, as the order machines do.
func (s *shop) expire() {
	for len(s.sold) > 0 && !s.now.Before(s.sold[0].Params.ValidUntil) {
		o := admission.Order{ID: s.sold[0].ID, Client: s.sold[0].Client, Stage: admission.Ended}
		s.gate.Put(s.now, o)
		s.service.Ended(s.sold[0].ID)
		s.sold = s.sold[1:]
	}
}

// ask sends one request and gives the code of its answer, 0 for success.
func (s *shop) ask(client [33]byte, method, params string) (result json.RawMessage, code int) {
	s.Helper()
	raw := s.service.Handle(s.now, client, fmt.Appendf(nil,
		`{"jsonrpc":"2.0","id":"0123456789abcdef","method":%q,"params":%s}`, method, params))
	var a struct {
		Result json.RawMessage
		Error  *struct{ Code int }
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		s.Fatalf("%s: %q", err, raw)
	}
	if a.Error != nil {
		return nil, a.Error.Code
	}
	return a.Result, 0
}

// buy asks for the menu and buys from it.
func (s *shop) buy(client [33]byte) int {
	s.Helper()
	result, code := s.ask(client, "lsps2.get_info", `{}`)
	if code != 0 {
		return code
	}
	var menu struct {
		Items []json.RawMessage `json:"opening_fee_params_menu"`
	}
	if err := json.Unmarshal(result, &menu); err != nil || len(menu.Items) == 0 {
		s.Fatalf("menu %s: %v", result, err)
	}
	_, code = s.ask(client, "lsps2.buy", fmt.Sprintf(
		`{"opening_fee_params":%s,"payment_size_msat":"100000000"}`, menu.Items[0]))
	return code
}

func throwaway(i int) [33]byte { return [33]byte{3, 0x77, byte(i), byte(i >> 8), byte(i >> 16)} }

// LSPS2-25: ten thousand throw-away node ids, of which each connects, buys what it gets and leaves,
// twice over. What is remembered has bounds that do not depend on how many there are, a request at
// the end costs no more than one at the beginning, and when the orders have run out nothing is left
// and everybody can buy again.
func TestFloodOfIDs(t *testing.T) {
	s := newShop(t)
	heap := liveHeap()
	most, codes := 0, map[int]int{}
	marks := map[int]uint64{} // what was allocated before so many clients
	for i := range 20_000 {
		s.now = s.now.Add(2 * time.Millisecond)
		s.expire()
		if i%500 == 0 {
			marks[i] = allocated()
		}
		client := throwaway(i % 10_000)
		codes[s.buy(client)]++
		s.service.PeerGone(client)
		most = max(most, len(s.sold))
	}
	early, late := marks[2000]-marks[1500], marks[19_500]-marks[19_000]
	grown := int64(liveHeap()) - int64(heap)
	t.Logf("answers by code: %v; %d orders at most, %d bytes each in the store; %d kB of memory; "+
		"%d and %d bytes a client", codes, most, s.bytes/codes[0], grown/1024, early/500, late/500)
	if codes[0] != 1000 || codes[0]+codes[lsp.CodeClientRejected] != 20_000 {
		t.Errorf("answers by code: %v", codes)
	}
	if grown > 16<<20 {
		t.Errorf("the flood left %d bytes in memory", grown)
	}
	if late > early+early/2 {
		t.Errorf("a client costs %d bytes in the end, %d in the beginning", late/500, early/500)
	}
	if s.bytes/codes[0] > 2000 {
		t.Errorf("an order takes %d bytes", s.bytes/codes[0])
	}
	if r := s.gate.Report(s.now, 10); r.All.Waiting != 1000 || r.All.Unpaid != 0 {
		t.Errorf("%+v", r.All)
	}

	s.now = s.now.Add(2 * time.Hour)
	s.expire()
	if r := s.gate.Report(s.now, 10); r.All != (admission.Account{}) || len(r.Clients) != 0 {
		t.Errorf("left: %+v", r)
	}
	if code := s.buy([33]byte{2, 0xb0}); code != 0 {
		t.Errorf("an honest client afterwards: %d", code)
	}
	runtime.KeepAlive(s)
}

// TestFloodThatOnlyAsks: ids that buy nothing leave nothing in the gate, and the service forgets
// them when others come.
func TestFloodThatOnlyAsks(t *testing.T) {
	s := newShop(t)
	heap := liveHeap()
	for i := range 50_000 {
		s.now = s.now.Add(2 * time.Millisecond)
		if _, code := s.ask(throwaway(i), "lsps2.get_info", `{}`); code != 0 {
			t.Fatalf("id %d: code %d", i, code)
		}
		s.service.PeerGone(throwaway(i))
	}
	grown := int64(liveHeap()) - int64(heap)
	t.Logf("%d kB of memory", grown/1024)
	if r := s.gate.Report(s.now, 10); r.All != (admission.Account{}) || s.bytes != 0 ||
		grown > 4<<20 {
		t.Errorf("%d bytes stored, %d in memory, %+v", s.bytes, grown, r.All)
	}
	runtime.KeepAlive(s)
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// allocated is what was allocated so far: unlike time it does not depend on the machine.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
