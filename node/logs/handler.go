// Package logs makes a node's log safe on a network of strangers. A Guard stands in
// front of any slog.Handler:
//
//   - Text from peers can't draw on a terminal, forge a line or turn the reading order:
//     in messages, keys and values only printable characters are left.
//   - A value has at most 256 bytes and a line at most 512.
//   - A flood doesn't fill the disk: each message has a rate, and all lines together
//     write less than 1 MB a minute. What was left out is counted and told later.
//   - Errors are for what an operator must act on, such as trouble with our own money.
//     They are always written; only a repetition, word for word within a minute, is
//     counted instead.
//
// So the rule for who logs: what a peer can cause as often as it likes is a Warn or
// less. The clock of all limits is the time in the records.
package logs

import (
	"context"
	"log/slog"
)

// The sizes that hold for each line, in bytes.
const (
	MaxValue = 256
	MaxLine  = 512

	// maxKey is for the keys of attributes, which are ours.
	maxKey = 64
	// overhead is what a handler of log/slog writes around message and attributes: time,
	// level, quotes. The rest of it is for attributes that the handler had before.
	overhead = 112
)

// Guard is a slog.Handler. Make it with New.
type Guard struct {
	next   slog.Handler
	limits *limits
	prefix int    // length of the groups' names in a key
	used   int    // what the attributes of With take of a line
	with   string // those attributes
}

// New puts a Guard in front of a handler, unless it is one. The handler should be one
// of log/slog, without AddSource: the length of a line is theirs.
func New(next slog.Handler) *Guard {
	if g, ok := next.(*Guard); ok {
		return g
	}
	return &Guard{next: next, limits: newLimits(next)}
}

// Enabled implements slog.Handler.
func (g *Guard) Enabled(ctx context.Context, level slog.Level) bool {
	return g.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (g *Guard) WithAttrs(attrs []slog.Attr) slog.Handler {
	room := line{prefix: g.prefix, room: MaxLine - overhead - MaxValue - g.used}
	before := room.room
	own := *g
	fitted := room.fit(attrs)
	own.next = g.next.WithAttrs(fitted)
	own.used += before - room.room
	for _, a := range fitted {
		own.with += a.String() + "\n"
	}
	return &own
}

// WithGroup implements slog.Handler.
func (g *Guard) WithGroup(name string) slog.Handler {
	name = clean(name, maxKey)
	own := *g
	own.next = g.next.WithGroup(name)
	own.prefix += cost(name) + len(`.`)
	own.used += groupCost
	return &own
}

// Handle implements slog.Handler.
func (g *Guard) Handle(ctx context.Context, r slog.Record) error {
	room := line{prefix: g.prefix, room: MaxLine - overhead - g.used}
	out := slog.NewRecord(r.Time, r.Level, room.text(r.Message), r.PC)
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	out.AddAttrs(room.fit(attrs)...)
	write, news := g.limits.admit(out, g.with, MaxLine-room.room)
	for _, n := range news {
		if err := g.tell(ctx, r, n); err != nil {
			return err
		}
	}
	if !write {
		return nil
	}
	return g.next.Handle(ctx, out)
}

// tell writes that lines were left out.
func (g *Guard) tell(ctx context.Context, r slog.Record, n news) error {
	if !g.next.Enabled(ctx, n.level) {
		return nil
	}
	out := slog.NewRecord(r.Time, n.level, "more lines like this were left out", 0)
	out.AddAttrs(slog.String("line", n.message), slog.Int("count", n.count))
	return g.limits.top.Handle(ctx, out)
}

// line is what is left of a line while it is filled.
type line struct {
	prefix, room int
}

// groupCost is what stands around a group's members.
const groupCost = 5

// fit cleans attributes and makes them fit, the first ones first. How many were left
// out is their last one.
func (l *line) fit(attrs []slog.Attr) []slog.Attr {
	fitted := make([]slog.Attr, 0, len(attrs)+1)
	out := 0
	for _, a := range attrs {
		a, ok := l.attr(a)
		if !ok {
			out++
			continue
		}
		fitted = append(fitted, a)
	}
	if out > 0 {
		fitted = append(fitted, slog.Int("left_out", out))
	}
	return fitted
}

// attr cleans one attribute; false when it does not fit.
func (l *line) attr(a slog.Attr) (slog.Attr, bool) {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return a, true // handlers leave it out
	}
	a.Key = clean(a.Key, maxKey)
	key := l.prefix + cost(a.Key) + len(`,:`)
	if a.Value.Kind() == slog.KindGroup {
		return l.group(a, key)
	}
	text, isText := textOf(a.Value)
	if !isText {
		if l.room < key+scalarCost {
			return a, false
		}
		l.room -= key + scalarCost
		return a, true
	}
	if l.room < key+minValue {
		return a, false
	}
	l.room -= key
	a.Value = slog.StringValue(l.text(text))
	return a, true
}

// group cleans the members of a group.
func (l *line) group(a slog.Attr, key int) (slog.Attr, bool) {
	if l.room < key+minValue {
		return a, false
	}
	inner := line{prefix: l.prefix + cost(a.Key) + len(`.`), room: l.room - key - groupCost}
	before := inner.room
	a.Value = slog.GroupValue(inner.fit(a.Value.Group())...)
	l.room -= before - inner.room + key + groupCost
	return a, true
}

// text cleans a text and cuts it to what fits.
func (l *line) text(s string) string {
	s = clean(s, MaxValue)
	if over := cost(s) - max(l.room, minValue); over > 0 {
		s = cut(s, max(l.room, minValue))
	}
	l.room -= cost(s)
	return s
}
