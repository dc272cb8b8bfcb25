package jit

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lightningnetwork/lnd/lntypes"
)

type named struct {
	what  string
	order Order
}

// states has every state, and the ones with inner variants in each of them.
func states() []named {
	sets := []Set{{lntypes.Hash{1}, t0, []Part{part(1, 1, 400_000), part(1, 2, 600_000)}}}
	some := []Set{{lntypes.Hash{1}, t0, []Part{part(1, 1, 400_000)}}}
	try := Try{Attempt: 1, Since: t0.Add(50 * time.Second), Conn: 7}
	ch := Channel{Point: first, HTLCMin: 1000, MaxHTLCs: 50, Conn: 7, OpenedOn: 7, UsedOn: 7}
	away := ch
	away.Conn = 0
	withheld := ch
	withheld.Withheld = true
	fees := []Answer{
		{Key: key(1), Amount: 380_000, ExtraFee: 20_000, Expiry: 294},
		{Key: key(2), Amount: 600_000, Expiry: 294},
	}
	pending := []CircuitKey{key(1), key(2)}
	claim := AwaitClaim{Hash: lntypes.Hash{1}, Fee: 20_000, Pending: pending, Channel: ch}
	late := claim
	late.Channel, late.Pending = withheld, pending[:1]

	list := []struct {
		what     string
		state    State
		answered []Answer
	}{
		{"no part", AwaitParts{}, nil},
		{"a part", AwaitParts{some, nil}, nil},
		{"a part; an open is being cancelled", AwaitParts{some, &Ending{}}, nil},
		{"a part; a channel is being dropped", AwaitParts{some, &Ending{&first}}, nil},
		{"the client is away", AwaitClient{Sets: sets, Fee: 20_000}, nil},
		{"an open is being cancelled", AwaitClient{sets, 20_000, try, &Ending{}}, nil},
		{"a channel is being dropped", AwaitClient{sets, 20_000, try, &Ending{&first}}, nil},
		{"before funding_signed", AwaitChannel{sets, 20_000, try, nil}, nil},
		{"after it", AwaitChannel{sets, 20_000, try, &away}, nil},
		{"two parts", claim, fees},
		{"the last part, withheld", late, fees},
		{"usable", Owed{nil, ch}, nil},
		{"usable, a part", Owed{some, ch}, nil},
		{"client away", Owed{nil, away}, nil},
		{"usable", Paid{nil, ch, 20_000, 20_000, 0}, fees},
		{"client away, a part", Paid{some, away, 20_000, 20_000, 0}, nil},
		{"", Dead{}, nil},
	}
	var out []named
	for _, l := range list {
		o := New("order", fixed())
		if strings.Contains(l.what, "withheld") || strings.Contains(l.what, "dropped") {
			o = New("order", trusting(fixed()))
		}
		o.State, o.Answered = l.state, l.answered
		out = append(out, named{l.what, o})
	}
	return out
}

// events has every event, and the ones with inner variants in each of them.
func events() []Event {
	return []Event{
		arrive(1, 1, 400_000), arrive(1, 9, 600_000), arrive(2, 9, 600_000), arrive(2, 9, 1_000_000),
		ClientOnline{7}, ClientOnline{8}, ClientGone{},
		OpenSigned{first}, OpenSigned{second},
		OpenFailed{FaultOurs, "no coins", false}, OpenFailed{FaultRefused, "no", false},
		OpenFailed{FaultRefused, "no", true}, OpenFailed{FaultGone, "gone", false},
		OpenFailed{FaultTerms, "odd", false}, OpenFailed{FaultTimeout, "slow", false},
		usable(first, 7), usable(first, 8), usable(second, 7),
		ChannelGone{Point: first}, ChannelGone{first, true}, ChannelGone{Point: second},
		ChannelRefused{first, "no"}, ChannelRefused{second, "no"},
		PartClaimed{key(1)}, PartClaimed{key(9)}, PartFailed{Key: key(1)}, PartFailed{Key: key(9)},
		PartGone{key(1)}, PartGone{key(9)},
		PreimageKnown{lntypes.Hash{1}}, PreimageKnown{lntypes.Hash{2}},
		Height{tip}, Height{tip + 200}, Tick{},
		outstanding(nil, 1, 2), outstanding(live(first), 1, 2), outstanding(live(first)),
		outstanding(&Funding{Point: first, Withheld: true}, 1, 2),
		outstanding(&Funding{Point: first, Gone: true}, 1, 2),
		outstanding(&Funding{Point: first, Withheld: true, Gone: true}, 1, 2),
	}
}

// TestMatrix writes every state with every event, so that a review sees each cell.
func TestMatrix(t *testing.T) {
	var b strings.Builder
	for _, s := range states() {
		b.WriteString("# " + s.order.State.Name())
		if s.what != "" {
			b.WriteString(": " + s.what)
		}
		b.WriteString("\n")
		for _, ev := range events() {
			_, text := render(s.order, t0.Add(time.Minute), ev)
			b.WriteString(text)
		}
		b.WriteString("\n")
	}
	golden(t, "matrix.golden", b.String())
}

// TestUnexpected has it that an event which means nothing changes nothing, be it
// that a deadline has passed meanwhile.
func TestUnexpected(t *testing.T) {
	cells := 0
	for _, s := range states() {
		for _, ev := range events() {
			before := record(t, s.order)
			next, cmds, err := s.order.Step(t0.Add(20*time.Hour), ev)
			if !bytes.Equal(before, record(t, s.order)) {
				t.Fatalf("%s, %s: the step changed the old order", s.order.State.Name(), say(ev))
			}
			if err == nil {
				continue
			}
			cells++
			var unexpected *UnexpectedError
			if !errors.As(err, &unexpected) || len(cmds) != 0 || !reflect.DeepEqual(next, s.order) {
				t.Errorf("%s, %s: %v with %d commands", s.order.State.Name(), say(ev), err, len(cmds))
			}
			if !strings.Contains(err.Error(), s.order.State.Name()) {
				t.Errorf("the error does not name the state: %v", err)
			}
		}
	}
	if cells == 0 {
		t.Error("no event was unexpected")
	}
}

// TestReplayChangesNothing offers each held part and each answered one again.
func TestReplayChangesNothing(t *testing.T) {
	for _, s := range states() {
		o := s.order
		for _, p := range append(o.Held(), part(1, 1, 400_000)) {
			next, _, err := o.Step(t0.Add(time.Minute), PartArrived{Part: p, Height: tip})
			known := holds(o.State, p.Key) || len(o.Answered) > 0
			if known && (err != nil || !bytes.Equal(record(t, o), record(t, next))) {
				t.Errorf("%s (%s): a replay of %d changed it", o.State.Name(), s.what, p.Key.Index)
			}
		}
	}
}

func record(t *testing.T, o Order) []byte {
	t.Helper()
	b, err := Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
