package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 999_999_999, time.FixedZone("", 7*3600))

// pen writes records at a time that the test sets.
type pen struct {
	slog.Handler
	now time.Time
	buf *bytes.Buffer
}

// newPen is a Guard before one of the two handlers.
func newPen(asJSON bool) *pen {
	p := &pen{now: t0, buf: new(bytes.Buffer)}
	options := &slog.HandlerOptions{Level: slog.LevelDebug}
	p.Handler = New(slog.NewTextHandler(p.buf, options))
	if asJSON {
		p.Handler = New(slog.NewJSONHandler(p.buf, options))
	}
	return p
}

func (p *pen) write(t testing.TB, h slog.Handler, level slog.Level, msg string, args ...any) {
	t.Helper()
	r := slog.NewRecord(p.now, level, msg, 0)
	r.Add(args...)
	if err := h.Handle(context.Background(), r); err != nil {
		t.Fatal(err)
	}
}

// lines are what was written since the last call, each checked.
func (p *pen) lines(t testing.TB) []string {
	t.Helper()
	text := p.buf.String()
	p.buf.Reset()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if text == "" {
		lines = nil
	}
	for _, l := range lines {
		if len(l)+1 > MaxLine {
			t.Errorf("a line of %d bytes: %s", len(l)+1, l)
		}
		for _, r := range l {
			if !unicode.IsPrint(r) || r == utf8.RuneError {
				t.Errorf("%q has %U", l, r)
			}
		}
	}
	return lines
}

// What a peer may say to forge a line, colour a terminal, or turn the reading order.
var nasty = map[string]string{
	"fake line": "hello\ntime=2026-01-01T00:00:00Z level=ERROR msg=\"all coins lost\"",
	"ANSI":      "\x1b[2J\x1b[31mred\x1b[0m", "C1": "\u009b31mred", "NUL": "a\x00b", "CR": "a\rb",
	"bidi": "\u202eesrever\u202c \u2066x\u2069 \u200f", "zero width": "a\u200bb\ufeff",
	"separators": "a\u2028b\u2029c\u0085d", "no UTF-8": "\xff\xfe\xc0\xaf", "surrogate": "\xed\xa0\x80",
	"private": "\ue000\U000f0000", "tag": "\U000e0041", "DEL": "\x7f", "backspace": "aa\b\bbb",
	"64 KB": strings.Repeat("x", 64<<10), "64 KB of quotes": strings.Repeat(`"`, 64<<10),
	"64 KB bidi": strings.Repeat("\u202e", 20<<10), "wide": strings.Repeat("\U0001f4a5", 300),
}

// Annex c 31: each place of a line where text of a peer may stand.
func TestNastyText(t *testing.T) {
	for name, text := range nasty {
		for _, asJSON := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, asJSON), func(t *testing.T) {
				p := newPen(asJSON)
				p.write(t, p, slog.LevelInfo, text, "a", 1)
				p.write(t, p, slog.LevelInfo, "m", "err", errors.New(text))
				p.write(t, p, slog.LevelInfo, "m", "token", text, "raw", []byte(text))
				p.write(t, p, slog.LevelInfo, "m", text, text)
				p.write(t, p, slog.LevelInfo, "m", slog.Group("peer", "alias", text, text, 1))
				p.write(t, p.WithAttrs([]slog.Attr{slog.String("alias", text)}), slog.LevelInfo, "m",
					"err", text)
				p.write(t, p.WithGroup(text), slog.LevelInfo, "m", "err", text)
				p.write(t, p, slog.LevelError, text, "a", bug{text}, "b", lazy(text))
				lines := p.lines(t)
				if len(lines) != 8 {
					t.Errorf("8 records are %d lines", len(lines))
				}
				for _, l := range lines {
					if asJSON && !json.Valid([]byte(l)) {
						t.Errorf("no JSON: %s", l)
					}
				}
			})
		}
	}
}

type bug struct{ text string }

func (b bug) String() string { panic(b.text) }

type lazy string

func (l lazy) LogValue() slog.Value { return slog.StringValue(string(l)) }

// What has nothing to clean is not changed.
func TestPlainLine(t *testing.T) {
	p := newPen(false)
	log := slog.New(p).With("part", "peer")
	p.write(t, log.Handler(), slog.LevelWarn, "peer sent an error", "peer", [33]byte{2, 0xab},
		"n", 7, "d", time.Second, "err", errors.New("märchen \"1\""))
	want := `time=2026-01-01T12:00:00.999+07:00 level=WARN msg="peer sent an error" part=peer peer=02ab` +
		strings.Repeat("0", 62) + ` n=7 d=1s err="märchen \"1\""`
	if lines := p.lines(t); len(lines) != 1 || lines[0] != want {
		t.Errorf("got  %s\nwant %s", lines, want)
	}
}

func TestValueIsCut(t *testing.T) {
	p := newPen(true)
	p.write(t, p, slog.LevelInfo, "m", "err", strings.Repeat("é", 200), "n", 1)
	var got struct {
		Err string `json:"err"`
		N   int    `json:"n"`
	}
	if err := json.Unmarshal([]byte(p.lines(t)[0]), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Err) > MaxValue || len(got.Err) < MaxValue-5 || !strings.HasSuffix(got.Err, "é...") {
		t.Errorf("%d bytes: %s", len(got.Err), got.Err)
	}
	if got.N != 1 {
		t.Error("what follows is lost")
	}
}

// A line that is full says how many attributes have no place in it.
func TestLineIsFull(t *testing.T) {
	p := newPen(false)
	var args []any
	for i := range 40 {
		args = append(args, fmt.Sprint("k", i), strings.Repeat("v", 200))
	}
	p.write(t, p, slog.LevelInfo, "m", args...)
	if l := p.lines(t)[0]; !strings.Contains(l, "left_out=38") || !strings.Contains(l, "k0=vvv") {
		t.Errorf("%s", l)
	}
	log := slog.New(p).With(args...)
	p.write(t, log.Handler(), slog.LevelInfo, strings.Repeat("m", 200), "err", "x")
	if l := p.lines(t)[0]; !strings.Contains(l, strings.Repeat("m", 200)) {
		t.Errorf("the attributes of the logger leave no place for the message: %s", l)
	}
}

// Annex c 31: a flood writes less than 1 MB in any minute, at every level below error,
// and what was left out is told.
func TestFlood(t *testing.T) {
	for _, kinds := range []int{1, 5, 200, 100_000} {
		t.Run(fmt.Sprint(kinds), func(t *testing.T) {
			p := newPen(false)
			written, counted, lines, said := 0, 0, 0, 0
			for i := range 200_000 {
				p.now = t0.Add(time.Duration(i) * time.Minute / 200_000)
				p.write(t, p, slog.LevelWarn, fmt.Sprint("kind ", i%kinds), "err", strings.Repeat("x", 400))
				said++
				if i%1000 == 999 {
					written += p.buf.Len()
					lines, counted = count(p.lines(t), lines, counted)
				}
			}
			if written > 1_000_000 {
				t.Errorf("%d bytes in a minute", written)
			}
			p.now = p.now.Add(tellEvery)
			for range kinds/maxNews + 1 {
				p.now = p.now.Add(tellEvery)
				p.write(t, p, slog.LevelInfo, "it is over")
				lines, counted = count(p.lines(t), lines, counted)
			}
			if lines+counted != said+kinds/maxNews+1 {
				t.Errorf("%d lines and %d told of are not the %d that were said", lines, counted, said)
			}
		})
	}
}

// count adds the lines, and what they tell of others.
func count(batch []string, lines, counted int) (int, int) {
	for _, l := range batch {
		var n int
		if _, tail, ok := strings.Cut(l, " count="); ok {
			_, _ = fmt.Sscan(tail, &n)
			counted += n
			continue
		}
		lines++
	}
	return lines, counted
}

// One message in a flood of another is written.
func TestOthersInAFlood(t *testing.T) {
	p := newPen(false)
	for range 10_000 {
		p.write(t, p, slog.LevelInfo, "peer connected")
	}
	p.lines(t)
	p.write(t, p, slog.LevelInfo, "order paid")
	if lines := p.lines(t); len(lines) != 1 {
		t.Errorf("%d lines", len(lines))
	}
}

// Errors are about our own money: each is written whatever else is; the same words
// within a minute are counted.
func TestErrorsAreWritten(t *testing.T) {
	p := newPen(false)
	for i := range 5_000 {
		p.write(t, p, slog.LevelWarn, fmt.Sprint("flood ", i), "err", strings.Repeat("x", 400))
	}
	p.lines(t)
	for i := range 3 * maxErrors {
		p.write(t, p, slog.LevelError, "cannot force-close", "chan", i)
	}
	if n := len(p.lines(t)); n != 3*maxErrors {
		t.Errorf("%d errors are written, want all", n)
	}
	for range 100 {
		p.write(t, p, slog.LevelError, "cannot force-close", "chan", 1)
	}
	if n := len(p.lines(t)); n != 0 {
		t.Errorf("%d repetitions are written", n)
	}
	with := p.WithAttrs([]slog.Attr{slog.String("order", "o1")})
	p.write(t, with, slog.LevelError, "cannot force-close", "chan", 1)
	if n := len(p.lines(t)); n != 1 {
		t.Error("another order's error counts as a repetition")
	}
	p.now = p.now.Add(sameError)
	p.write(t, p, slog.LevelError, "cannot force-close", "chan", 1)
	all := strings.Join(p.lines(t), "\n")
	if !strings.Contains(all, "chan=1") || !strings.Contains(all, "count=100") {
		t.Errorf("a minute later: %s", all)
	}
}

// Annex c 39: the log goes on when the clock jumps, in either direction.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		p := newPen(false)
		for range 1000 {
			p.write(t, p, slog.LevelInfo, "m")
			p.write(t, p, slog.LevelError, "e")
		}
		p.lines(t)
		p.now = p.now.Add(jump)
		for i := range 10 {
			p.now = p.now.Add(time.Second)
			p.write(t, p, slog.LevelError, "e", "i", i)
			p.write(t, p, slog.LevelInfo, "m")
		}
		if n := len(p.lines(t)); n < 20 {
			t.Errorf("after %v: %d lines", jump, n)
		}
	}
}

// What is remembered has a bound.
func TestMemory(t *testing.T) {
	p := newPen(false)
	g := p.Handler.(*Guard)
	for i := range 10_000 {
		p.now = p.now.Add(time.Second / 50)
		p.write(t, p, slog.LevelInfo, fmt.Sprint("m", i))
		p.write(t, p, slog.LevelError, fmt.Sprint("e", i))
		if len(g.limits.messages) > maxMessages || len(g.limits.errors) > maxErrors {
			t.Fatalf("%d messages, %d errors", len(g.limits.messages), len(g.limits.errors))
		}
	}
	p.now = p.now.Add(time.Hour)
	for range 2 {
		p.now = p.now.Add(tellEvery)
		p.write(t, p, slog.LevelInfo, "m")
	}
	if len(g.limits.messages) != 1 || len(g.limits.errors) != 0 {
		t.Errorf("%d messages, %d errors stay", len(g.limits.messages), len(g.limits.errors))
	}
}

func TestGuardOnce(t *testing.T) {
	g := New(slog.DiscardHandler)
	if New(g) != g {
		t.Error("a guard before a guard")
	}
}

// FuzzLine has every line short, printable and whole.
func FuzzLine(f *testing.F) {
	for _, text := range nasty {
		f.Add(text[:min(len(text), 600)], "err", "x\\\"\n", uint8(3))
	}
	f.Fuzz(func(t *testing.T, msg, key, value string, shape uint8) {
		p := newPen(shape&1 == 0)
		var h slog.Handler = p
		if shape&2 != 0 {
			h = h.WithAttrs([]slog.Attr{slog.String(key, value), slog.String("peer", value)})
		}
		if shape&4 != 0 {
			h = h.WithGroup(key)
		}
		p.write(t, h, slog.Level(int(shape>>4)), msg, key, value, "err", errors.New(value), "n", len(key),
			slog.Group(key, value, msg, "raw", []byte(value)), "at", t0, "ok", true, "d", time.Hour)
		lines := p.lines(t)
		if len(lines) != 1 || shape&1 == 0 && !json.Valid([]byte(lines[0])) {
			t.Errorf("%q", lines)
		}
	})
}
