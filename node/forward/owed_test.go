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

// TestOwedAgain: a link that could not sign when it should have, for want of the peer's
// next revocation point, gets a tick when that comes.
func TestOwedAgain(t *testing.T) {
	owes := true
	late := newOwedTicker(func() bool { return owes })
	defer late.Stop()
	<-late.Ticks() // it could not sign
	late.Ticks()   // and waits
	late.again()
	select {
	case <-late.Ticks():
	default:
		t.Error("the link does not sign")
	}
	late.again()
	owes = false // it has signed meanwhile
	select {
	case <-late.Ticks():
		t.Error("the link signs for nothing")
	default:
	}
}
