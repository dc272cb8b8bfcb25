package peer

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lightningnetwork/lnd/lnwire"
)

// reader is the receiving half of a connection: one goroutine.
type reader struct {
	conn  *Conn
	cfg   *Config
	log   *peerLog
	pings bucket // pings, and pongs that answer nothing
	bytes bucket // of a stranger
}

func newReader(c *Conn, cfg *Config, log *peerLog) *reader {
	rate := float64(cfg.Limits.ReadRate)
	return &reader{
		conn: c, cfg: cfg, log: log,
		pings: bucket{burst: pingBurst, perSecond: pingsPerSecond},
		bytes: bucket{burst: readBurst * rate, perSecond: rate},
	}
}

// loop reads until the connection is over. It returns after the writer has.
func (r *reader) loop() {
	c := r.conn
	for {
		c.pings.reading(time.Now(), true)
		raw, err := c.wire.read(c.limits.Idle, c.limits.Write)
		if err != nil {
			c.kill(readError(err))
			break
		}
		if c.ended() {
			continue // see farewell
		}
		c.pings.reading(time.Now(), false)
		if err := r.receive(raw); err != nil {
			c.tell(err)
			c.Disconnect(err)
			continue
		}
		r.throttle(len(raw))
	}
	close(c.readEnd)
	<-c.writeEnd
}

// receive acts on one message. An error ends the connection.
func (r *reader) receive(raw []byte) error {
	msg, err := decode(raw)
	if msg == nil {
		return err
	}
	switch msg := msg.(type) {
	case *lnwire.Init:
		return fmt.Errorf("%w: a second init", ErrMalformed)
	case *lnwire.Ping:
		return r.ping(msg)
	case *lnwire.Pong:
		if r.conn.pings.pong(msg) {
			return nil
		}
		// BOLT 1: "if `byteslen` does not correspond to any `ping`'s
		// `num_pong_bytes` value it has sent: MAY close the connection."
		return r.flood()
	case *lnwire.Error:
		r.said("peer sent an error", msg.ChanID, msg.Data)
	case *lnwire.Warning:
		// BOLT 1: "SHOULD log the message for later diagnosis."
		r.said("peer sent a warning", msg.ChanID, msg.Data)
	case *lnwire.Custom:
		if msg.Type%2 == 0 && !r.cfg.KnownCustom(msg.Type) {
			return unknown(msg.Type)
		}
	}
	r.conn.touch()
	r.cfg.Handler.Message(r.conn, msg)
	return nil
}

// ping answers a ping.
func (r *reader) ping(msg *lnwire.Ping) error {
	if err := r.flood(); err != nil {
		return err
	}
	// BOLT 1: "if `num_pong_bytes` is less than 65532: MUST respond by sending a
	// `pong` message, with `byteslen` equal to `num_pong_bytes`. otherwise [...]
	// MUST ignore the `ping`."
	if msg.NumPongBytes > lnwire.MaxPongBytes {
		return nil
	}
	// Zeros, and never memory that held something else.
	pong := lnwire.NewPong(make([]byte, msg.NumPongBytes))
	if err := r.conn.SendMessage(false, pong); err != nil && !r.conn.ended() {
		return err
	}
	return nil
}

func (r *reader) flood() error {
	if r.pings.take(time.Now(), 1) > 0 {
		return ErrPingFlood
	}
	return nil
}

// said logs a peer's own words.
func (r *reader) said(what string, id lnwire.ChannelID, data []byte) {
	r.log.say(slog.LevelWarn, what, "peer", hexKey(r.conn.pub), "chan", id.String(),
		"err", Printable(data))
}

// throttle makes a stranger that sends too fast wait.
func (r *reader) throttle(size int) {
	wait := r.bytes.take(time.Now(), float64(size))
	if wait == 0 {
		return
	}
	if r.cfg.KnownPeer(r.conn.pub) {
		r.bytes.refill()
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.conn.quit:
	}
}

// readError says why reading ended.
func readError(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("peer hung up")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("peer was silent for too long: %w", err)
	}
	return fmt.Errorf("read from peer: %w", err)
}

// writeError says why writing ended.
func writeError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrSlowReader, err)
	}
	return fmt.Errorf("write to peer: %w", err)
}
