package forward

import "testing"

// TestOwedTicker: a link that owes a signature from before gets one tick, unless it has
// given it meanwhile; nobody else gets one at once.
func TestOwedTicker(t *testing.T) {
	owes := false
	ticks := func(tk *owedTicker) bool {
		select {
		case <-tk.Ticks():
			return true
		default:
			return false
		}
	}
	idle := newOwedTicker(func() bool { return owes })
	defer idle.Stop()
	if ticks(idle) {
		t.Error("a link that owes nothing signs")
	}
	owes = true
	if ticks(idle) {
		t.Error("what a link owes later is not this ticker's")
	}

	debtor := newOwedTicker(func() bool { return owes })
	defer debtor.Stop()
	if !ticks(debtor) {
		t.Error("a link that owes a signature does not sign")
	}
	if ticks(debtor) {
		t.Error("it signs twice")
	}

	paid := newOwedTicker(func() bool { return owes })
	defer paid.Stop()
	paid.Ticks() // the link waits, and something else comes first
	owes = false
	if ticks(paid) {
		t.Error("a link that has signed signs again for nothing")
	}
}
