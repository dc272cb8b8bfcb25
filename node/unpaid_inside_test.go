package node

import (
	"testing"
	"time"

	"github.com/inletlsp/inlet/lsp/jit"
	"github.com/inletlsp/inlet/node/orders"
)

func TestUnpaidEnding(t *testing.T) {
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := orders.Record{Order: jit.Order{State: jit.Owed{}, Terms: jit.Terms{ValidUntil: end}}}
	paid, held := r, r
	paid.Order.State = jit.Paid{}
	held.Order.State = jit.Owed{Sets: []jit.Set{{Parts: []jit.Part{{}}}}}
	const after = 2 * time.Hour
	for _, c := range []struct {
		what  string
		r     orders.Record
		at    time.Duration
		after time.Duration
		want  ending
	}{
		{"the offer stands", r, -time.Second, after, stays},
		{"it ran out a moment ago", r, after - 1, after, stays},
		{"it ran out long ago", r, after, after, byAgreed},
		{"the client is given time", r, 2*after - 1, after, byAgreed},
		{"the client does not come", r, 2 * after, after, byForce},
		{"never", r, 1000 * after, 0, stays},
		{"paid", paid, 3 * after, after, stays},
		{"a payment is held", held, 3 * after, after, stays},
	} {
		if got := unpaidEnding(c.r, end.Add(c.at), c.after); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}
