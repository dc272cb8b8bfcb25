package lsp

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

var update = flag.Bool("update", false, "rewrite golden files")

var (
	t0  = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	bob = [33]byte{2, 0xb0}
	eve = [33]byte{3, 0xee}
)

// chance is a random source that a seed determines.
type chance struct {
	mu sync.Mutex
	r  *rand.ChaCha8
}

func newChance(seed byte) *chance { return &chance{r: rand.NewChaCha8([32]byte{seed})} }

func (c *chance) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.Read(b)
}

// shelf is a Book in memory.
type shelf struct {
	mu    sync.Mutex
	sold  []Purchase
	fail  []error // what the next Adds return
	added func()  // called inside Add
}

func (s *shelf) Add(p Purchase) error {
	if s.added != nil {
		s.added()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fail) > 0 {
		err := s.fail[0]
		s.fail = s.fail[1:]
		return err
	}
	s.sold = append(s.sold, p)
	return nil
}

func (s *shelf) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sold)
}

func testConfig() (ServiceConfig, *shelf) {
	book := &shelf{}
	o := DefaultOffer()
	o.MinFee, o.ProportionalPPM = 10_000, 20_000
	o.MinPaymentSize, o.MaxPaymentSize = 100_000, 4_000_000
	return ServiceConfig{
		Offer: o,
		Keys:  Keyring{Secret: [32]byte{2}, Old: []PromiseKey{{"a", [32]byte{1}}}},
		Book:  book,
		Rand:  newChance(1),
	}, book
}

func newService(t *testing.T, change func(*ServiceConfig)) (*Service, *shelf) {
	t.Helper()
	cfg, book := testConfig()
	if change != nil {
		change(&cfg)
	}
	s, err := NewService(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, book
}

// got is a decoded answer.
type got struct {
	ID     any             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

func (g got) code() int {
	if g.Error == nil {
		return 0
	}
	return g.Error.Code
}

func decode(t *testing.T, raw []byte) got {
	t.Helper()
	var g got
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatalf("answer %q: %v", raw, err)
	}
	return g
}

// call asks one thing and decodes the answer.
func call(t *testing.T, s *Service, now time.Time, client [33]byte, method, params string) got {
	t.Helper()
	raw := fmt.Sprintf(`{"jsonrpc":"2.0","id":"7","method":%q,"params":%s}`, method, params)
	return decode(t, s.Handle(now, client, []byte(raw)))
}

// item gets the menu's one item as text.
func item(t *testing.T, s *Service, now time.Time, client [33]byte) string {
	t.Helper()
	g := call(t, s, now, client, "lsps2.get_info", `{}`)
	var menu struct {
		Menu []json.RawMessage `json:"opening_fee_params_menu"`
	}
	if err := json.Unmarshal(g.Result, &menu); err != nil || len(menu.Menu) != 1 {
		t.Fatalf("menu %s: %v", g.Result, err)
	}
	return string(menu.Menu[0])
}

func buy(t *testing.T, s *Service, now time.Time, client [33]byte, item, size string) got {
	t.Helper()
	params := `{"opening_fee_params":` + item
	if size != "" {
		params += `,"payment_size_msat":` + size
	}
	return call(t, s, now, client, "lsps2.buy", params+"}")
}

func msat(n uint64) lnwire.MilliSatoshi { return lnwire.MilliSatoshi(n) }

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
		t.Errorf("%s differs: run go test -update and read the diff\n%s", file, got)
	}
}

func replace(t *testing.T, s, old, new string) string {
	t.Helper()
	if !strings.Contains(s, old) {
		t.Fatalf("%q is not in %q", old, s)
	}
	return strings.Replace(s, old, new, 1)
}
