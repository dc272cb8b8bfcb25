package jit

import "time"

// turn is one step in the making.
type turn struct{}

// Step moves the order by one event at time now. The error is always an
// *UnexpectedError, and then the order is as it was.
func (o Order) Step(now time.Time, ev Event) (Order, []Command, error) {
	return o, nil, &UnexpectedError{o.State, ev}
}

// New is an order as it stands when it was just bought.
func New(id string, t Terms) Order { return Order{ID: id, Terms: t} }

// Deadline is when the order wants a Tick. It follows from the state, so nothing
// is lost in a restart.
func (o Order) Deadline() (time.Time, bool) { return o.State.deadline(&o.Terms) }

// DeadlineHeight is the block height from which the order wants a Height.
func (o Order) DeadlineHeight() (uint32, bool) { return o.State.deadlineHeight(&o.Terms) }

// Marshal gives the order's record.
func Marshal(o Order) ([]byte, error) { return nil, nil }

// Unmarshal reads what Marshal gave.
func Unmarshal(b []byte) (Order, error) { return Order{}, nil }

// Held are the parts that are neither forwarded nor failed.
func (o Order) Held() []Part { return nil }

// Channel is the order's channel, if it has one.
func (o Order) Channel() (Channel, bool) { return Channel{}, false }

// Unpaid says that parts may leave only over the order's own channel.
func (o Order) Unpaid() bool { return false }

// Done says that the record may be deleted: no part is held, none that was
// answered can come back, and none will be taken any more.
func (o Order) Done(now time.Time) bool { return false }
