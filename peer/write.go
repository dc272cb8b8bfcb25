package peer

import (
	"fmt"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

const (
	// flushEvery is after how many messages those who wait for their bytes to
	// leave are told, however many more are queued.
	flushEvery = 32
	// linger is how long a connection that we end may take to send what is
	// queued and to see the peer hang up.
	linger = time.Second
)

// SendMessage queues messages in this order behind all that was queued before,
// together. With sync it returns after their bytes were handed to the network
// (which doesn't say that the peer has them), without after they were queued.
//
// When the queue is full it waits for room, at most Limits.Write: then the peer
// doesn't read, and the connection ends with ErrSlowReader. It also ends when
// the peer takes longer than that for one message. A message that can't be
// encoded is an error and nothing of this call is sent. After the end it returns
// the reason of the end; whether messages of an unfinished call left is then
// unknown.
func (c *Conn) SendMessage(sync bool, msgs ...lnwire.Message) error {
	timer := time.NewTimer(c.limits.Write)
	defer timer.Stop()
	return c.send(&c.queue.urgent, timer.C, sync, msgs)
}

// SendMessageLazy is SendMessage for what can wait, such as gossip: it is sent
// when nothing else is queued, has an eighth of the queue's room, and waits for
// room as long as the connection lasts.
func (c *Conn) SendMessageLazy(sync bool, msgs ...lnwire.Message) error {
	return c.send(&c.queue.lazy, nil, sync, msgs)
}

func (c *Conn) send(l *lane, timeout <-chan time.Time, sync bool, msgs []lnwire.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	items := make([]outgoing, len(msgs))
	for i, msg := range msgs {
		raw, err := encode(msg)
		if err != nil {
			return err
		}
		items[i].raw = raw
	}
	done := make(chan error, 1)
	if sync {
		items[len(items)-1].done = done
	}
	if c.ended() {
		return c.gaveUp()
	}
	if !c.queue.push(l, items, c.quit, timeout) {
		if !c.ended() {
			c.kill(ErrSlowReader)
		}
		return c.gaveUp()
	}
	if !sync {
		return nil
	}
	select {
	case err := <-done:
		return err
	case <-c.writeEnd:
	}
	// The writer's last words may have been these.
	select {
	case err := <-done:
		return err
	default:
		return c.gaveUp()
	}
}

// gaveUp is what a sender gets after the end.
func (c *Conn) gaveUp() error {
	<-c.quit
	return fmt.Errorf("peer: send: %w", c.reason)
}

// tell queues a warning for the peer, if there is room, and must be followed by
// Disconnect. BOLT 1: "For simplicity of diagnosis, it's often useful to tell a
// peer that something is incorrect."
func (c *Conn) tell(reason error) {
	raw, err := encode(&lnwire.Warning{Data: []byte(Printable([]byte(reason.Error())))})
	if err == nil {
		c.queue.tryPush(&c.queue.urgent, []outgoing{{raw: raw}})
	}
}

// routineWrite writes and pings until the connection ends, then closes the
// socket. Whoever starts it waits for writeEnd.
func (c *Conn) routineWrite() {
	defer close(c.writeEnd)
	defer c.wire.Close()
	timer := time.NewTimer(c.limits.Ping)
	defer timer.Stop()
	for {
		if err := c.writeQueued(); err != nil {
			c.kill(err)
			return
		}
		select {
		case <-c.queue.more:
		case <-timer.C:
			wait, dead := c.pings.check(time.Now())
			switch {
			case dead:
				c.kill(ErrPingTimeout)
				return
			case wait == 0:
				c.ping()
				wait = c.limits.Pong
			}
			timer.Reset(wait)
		case <-c.quit:
			c.farewell()
			return
		}
	}
}

// ping queues a ping unless one is under way. The channel is closed when the
// pong comes.
func (c *Conn) ping() <-chan struct{} {
	msg, answered := c.pings.begin(time.Now())
	if msg != nil {
		if raw, err := encode(msg); err == nil {
			c.queue.force(outgoing{raw: raw})
		}
	}
	return answered
}

// alive asks the peer for a sign of life within that time.
func (c *Conn) alive(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-c.ping():
		return true
	case <-c.quit:
		return false
	case <-timer.C:
		return false
	}
}

// writeQueued writes all that is queued.
func (c *Conn) writeQueued() error {
	for !c.ended() {
		more, err := c.writeSome()
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
	return nil
}

// writeSome writes a few messages, flushes, and tells those who wait.
func (c *Conn) writeSome() (more bool, err error) {
	var waiting []chan<- error
	for range flushEvery {
		item, ok := c.queue.pop()
		if !ok {
			break
		}
		more = true
		if item.done != nil {
			waiting = append(waiting, item.done)
		}
		if err = c.writeOne(item.raw); err != nil {
			break
		}
	}
	if err == nil && more {
		err = c.wire.flush()
	}
	if err != nil {
		err = writeError(err)
	}
	for _, done := range waiting {
		done <- err
	}
	return more, err
}

// writeOne writes one message. The peer has Limits.Write for it, and no longer
// than hangUp.
func (c *Conn) writeOne(raw []byte) error {
	_ = c.wire.SetWriteDeadline(time.Now().Add(c.limits.Write))
	if c.ended() { // asked after, for Disconnect sets it only once
		_ = c.wire.SetWriteDeadline(c.hangUp)
	}
	return c.wire.write(raw)
}

// farewell sends what is queued and hangs up. It waits until the peer has hung
// up too, while the reader throws away what still comes: a socket that is closed
// over unread bytes makes the peer lose our last words.
func (c *Conn) farewell() {
	for more := true; more; {
		var err error
		if more, err = c.writeSome(); err != nil {
			return
		}
	}
	half, ok := c.wire.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	timer := time.NewTimer(time.Until(c.hangUp))
	defer timer.Stop()
	select {
	case <-c.readEnd:
	case <-timer.C:
	}
}
