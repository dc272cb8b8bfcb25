package peer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/brontide"
	"github.com/lightningnetwork/lnd/keychain"
)

// smallMessage is the size up to which messages are read into one buffer that
// the connection keeps: an update_add_htlc, and so nearly all, fits.
const smallMessage = 2048

// secure is a connection after BOLT 8. One goroutine may read while one writes.
//
// It is brontide's Machine over any net.Conn, not brontide's Listener: that one
// lets 50 silent sockets keep everybody out for 5 seconds, leaves handshakes
// running after it is closed, and takes only TCP.
type secure struct {
	net.Conn
	remote *btcec.PublicKey
	noise  *brontide.Machine
	in     *bufio.Reader // reader only
	out    *bufio.Writer // writer only: one packet for many small messages
	small  []byte        // reader only
}

func newSecure(conn net.Conn, noise *brontide.Machine, remote *btcec.PublicKey) *secure {
	return &secure{
		Conn: conn, remote: remote, noise: noise,
		in: bufio.NewReader(conn), out: bufio.NewWriter(conn),
	}
}

// initiate is the dialler's part of the handshake with that node. The caller
// sets conn's deadline, and closes conn on an error.
func initiate(
	conn net.Conn, key keychain.SingleKeyECDH, remote *btcec.PublicKey,
) (*secure, error) {
	noise := brontide.NewBrontideMachine(true, key, remote)
	one, err := noise.GenActOne()
	if err != nil {
		return nil, fmt.Errorf("make act one: %w", err)
	}
	if _, err := conn.Write(one[:]); err != nil {
		return nil, fmt.Errorf("send act one: %w", err)
	}
	var two [brontide.ActTwoSize]byte
	if _, err := io.ReadFull(conn, two[:]); err != nil {
		return nil, fmt.Errorf("read act two: %w", err)
	}
	if err := noise.RecvActTwo(two); err != nil {
		return nil, fmt.Errorf("check act two: %w", err)
	}
	three, err := noise.GenActThree()
	if err != nil {
		return nil, fmt.Errorf("make act three: %w", err)
	}
	if _, err := conn.Write(three[:]); err != nil {
		return nil, fmt.Errorf("send act three: %w", err)
	}
	return newSecure(conn, noise, remote), nil
}

// respond is the listener's part. The caller sets conn's deadline, and closes
// conn on an error.
func respond(conn net.Conn, key keychain.SingleKeyECDH) (*secure, error) {
	noise := brontide.NewBrontideMachine(false, key, nil)
	var one [brontide.ActOneSize]byte
	if _, err := io.ReadFull(conn, one[:]); err != nil {
		return nil, fmt.Errorf("read act one: %w", err)
	}
	if err := noise.RecvActOne(one); err != nil {
		return nil, fmt.Errorf("check act one: %w", err)
	}
	two, err := noise.GenActTwo()
	if err != nil {
		return nil, fmt.Errorf("make act two: %w", err)
	}
	if _, err := conn.Write(two[:]); err != nil {
		return nil, fmt.Errorf("send act two: %w", err)
	}
	var three [brontide.ActThreeSize]byte
	if _, err := io.ReadFull(conn, three[:]); err != nil {
		return nil, fmt.Errorf("read act three: %w", err)
	}
	if err := noise.RecvActThree(three); err != nil {
		return nil, fmt.Errorf("check act three: %w", err)
	}
	remote, err := provenKey(noise)
	if err != nil {
		return nil, err
	}
	return newSecure(conn, noise, remote), nil
}

// provenKey is the static key that act three proved to a responder. A Machine
// keeps it in an unexported field, and only brontide's own TCP listener can ask
// for it, so it is read by name. Another lnd without this field fails each
// handshake, and with that every test here.
func provenKey(noise *brontide.Machine) (*btcec.PublicKey, error) {
	field := reflect.ValueOf(noise).Elem().FieldByName("remoteStatic")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*btcec.PublicKey]() || field.IsNil() {
		return nil, errors.New("BUG: brontide does not tell the peer's key")
	}
	return (*btcec.PublicKey)(field.UnsafePointer()), nil
}

// read returns the next message, valid until the next read. It waits for its
// beginning as long as idle, and for the rest as long as body.
func (s *secure) read(idle, body time.Duration) ([]byte, error) {
	// Where the peer has hung up a deadline may fail (net.Pipe's does), but what
	// it said before is in our buffer and counts. A broken socket fails to read.
	_ = s.SetReadDeadline(time.Now().Add(idle))
	size, err := s.noise.ReadHeader(s.in)
	if err != nil {
		return nil, err
	}
	_ = s.SetReadDeadline(time.Now().Add(body))
	return s.noise.ReadBody(s.in, s.room(int(size)))
}

// room is a buffer of that size. Only the small one is kept: else each peer
// could make us hold 64 KiB for it.
func (s *secure) room(size int) []byte {
	if size > smallMessage {
		return make([]byte, size)
	}
	if s.small == nil {
		s.small = make([]byte, smallMessage)
	}
	return s.small[:size]
}

// write encrypts one message into the buffer, which goes out when it is full.
func (s *secure) write(raw []byte) error {
	if err := s.noise.WriteMessage(raw); err != nil {
		return err
	}
	_, err := s.noise.Flush(s.out)
	return err
}

// flush hands all that was written to the network.
func (s *secure) flush() error { return s.out.Flush() }
