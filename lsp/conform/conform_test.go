package conform

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/inletlsp/inlet/lsp"
)

var update = flag.Bool("update", false, "rewrite golden files")

// book takes every order.
type book struct {
	mu   sync.Mutex
	sold []lsp.Purchase
}

func (b *book) Add(p lsp.Purchase) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sold = append(b.sold, p)
	return nil
}

// fault is how an LSP is wrong. All members may be nil.
type fault struct {
	// answer changes what is said to a message; an empty string is nothing.
	answer func(f *fake, raw, answer string) []string
	greet  string // what comes on each connection, before anything is asked
	hangUp func(raw string) bool
	slow   time.Duration // before each answer
	mute   bool          // its init does not offer LSPS
	offer  func(*lsp.Offer)
}

// fake is an LSP in memory: our own service, and what is wrong with it.
type fake struct {
	fault
	service *lsp.Service
	book    *book

	client  [33]byte // who asks
	offered [33]byte // who saw the menu last
}

func newFake(t *testing.T, wrong fault) *fake {
	t.Helper()
	f := &fake{fault: wrong, book: &book{}}
	o := lsp.DefaultOffer()
	if f.offer != nil {
		f.offer(&o)
	}
	var err error
	f.service, err = lsp.NewService(lsp.ServiceConfig{
		Offer: o, Keys: lsp.Keyring{Secret: [32]byte{1}}, Book: f.book,
		Rand: rand.NewChaCha8([32]byte{5}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// line is a connection with a fake.
type line struct {
	f      *fake
	client [33]byte
	in     chan []byte
	ended  chan struct{}
	once   sync.Once
}

func (f *fake) dial(_ context.Context, identity int) (Conn, error) {
	l := &line{
		f: f, client: [33]byte{2, byte(identity)}, in: make(chan []byte, 100), ended: make(chan struct{}),
	}
	if f.greet != "" {
		l.in <- []byte(f.greet)
	}
	return l, nil
}

func (l *line) Offers(bit int) bool { return bit == 729 && !l.f.mute }

func (l *line) Send(raw []byte) error {
	select {
	case <-l.ended:
		return io.EOF
	default:
	}
	if l.f.hangUp != nil && l.f.hangUp(string(raw)) {
		_ = l.Close()
		return nil
	}
	time.Sleep(l.f.slow) // virtual
	l.f.client = l.client
	answer := string(l.f.service.Handle(time.Now(), l.client, raw))
	answers := []string{answer}
	if l.f.answer != nil {
		answers = l.f.answer(l.f, string(raw), answer)
	}
	for _, a := range answers {
		if a != "" {
			l.in <- []byte(a)
		}
	}
	return nil
}

func (l *line) Next(ctx context.Context) ([]byte, error) {
	select {
	case raw := <-l.in:
		return raw, nil
	case <-l.ended:
		return nil, io.EOF
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *line) Close() error {
	l.once.Do(func() {
		close(l.ended)
		l.f.service.PeerGone(l.client)
	})
	return nil
}

func (f *fake) config() Config {
	return Config{
		Dial: f.dial, Patience: 10 * time.Second, Quiet: time.Second, Now: time.Now,
		Pause: func(context.Context) error { time.Sleep(150 * time.Millisecond); return nil }, // virtual
	}
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
		t.Errorf("%s differs: run go test -update and read the diff\n%s", file, got)
	}
}

// TestOurOwn has our own service pass, leave few orders, and the table be the same each
// time.
func TestOurOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, fault{})
		results, err := Run(t.Context(), f.config())
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "own.golden", Table(results))
		if Failed(results) {
			t.Error("our own service fails")
		}
		if n := len(f.book.sold); n == 0 || n > MaxOrders {
			t.Errorf("%d orders are left", n)
		}
		again, err := Run(t.Context(), newFake(t, fault{}).config())
		if err != nil || Table(again) != Table(results) {
			t.Errorf("another run says something else: %v\n%s", err, Table(again))
		}
	})
}

// TestNotThere has an LSP that cannot be reached, and one that is no LSP.
func TestNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("connection refused")
		cfg := newFake(t, fault{}).config()
		cfg.Dial = func(context.Context, int) (Conn, error) { return nil, refused }
		if _, err := Run(t.Context(), cfg); !errors.Is(err, refused) {
			t.Errorf("%v", err)
		}
		silent := newFake(t, fault{answer: func(*fake, string, string) []string { return nil }})
		if _, err := Run(t.Context(), silent.config()); !errors.Is(err, errSilent) {
			t.Errorf("%v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := Run(ctx, newFake(t, fault{}).config()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a run that is ended: %v", err)
		}
	})
}

// TestNoMenu has LSPs that sell nothing at the moment, or not to everybody.
func TestNoMenu(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, wrong := range map[string]fault{
			"empty_menu": {answer: func(_ *fake, raw, a string) []string {
				if method(raw) == "lsps2.get_info" && code(a) == 0 {
					return []string{result(raw, `{"opening_fee_params_menu":[]}`)}
				}
				return []string{a}
			}},
			"rejected": {answer: func(_ *fake, raw, a string) []string {
				if method(raw) == "lsps2.get_info" && code(a) == 0 {
					return []string{failure(raw, 1)}
				}
				return []string{a}
			}},
		} {
			results, err := Run(t.Context(), newFake(t, wrong).config())
			if err != nil || Failed(results) {
				t.Errorf("%s: %v", name, err)
			}
			golden(t, name+".golden", Table(results))
		}
	})
}

// What the fakes are made of.

func member(raw, name string) (text string) {
	var o map[string]json.RawMessage
	_ = json.Unmarshal([]byte(raw), &o)
	_ = json.Unmarshal(o[name], &text)
	return text
}

func method(raw string) string { return member(raw, "method") }

func code(answer string) int {
	var o struct{ Error struct{ Code int } }
	_ = json.Unmarshal([]byte(answer), &o)
	return o.Error.Code
}

func result(raw, text string) string {
	id, _ := json.Marshal(member(raw, "id"))
	return `{"jsonrpc":"2.0","id":` + string(id) + `,"result":` + text + `}`
}

func failure(raw string, code int) string {
	id, _ := json.Marshal(member(raw, "id"))
	c, _ := json.Marshal(code)
	return `{"jsonrpc":"2.0","id":` + string(id) + `,"error":{"code":` + string(c) + `,"message":"no"}}`
}
