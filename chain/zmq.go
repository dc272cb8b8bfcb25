package chain

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/btcsuite/btcd/wire"
)

const (
	zmqTimeout = 5 * time.Second // for connecting

	// maxZMQFrame is above the largest block.
	maxZMQFrame = 8 << 20

	// maxZMQParts is above the three parts of bitcoind's messages.
	maxZMQParts = 8

	// zmqSettle is after how long a second look is taken. A subscription is not answered, so
	// a block that comes right behind it might be missed.
	zmqSettle = time.Second
)

// hearBlocks looks at the best block whenever bitcoind publishes one. What it publishes does not
// matter.
func (l *link) hearBlocks(ctx context.Context, address string) error {
	if err := l.publishes(ctx, "pubrawblock", "pubhashblock"); err != nil {
		return err
	}
	sub, err := zmqSubscribe(ctx, address, "rawblock", "hashblock")
	if err != nil {
		return fmt.Errorf("chain.bitcoind.zmq_block %s: %w", address, err)
	}
	timer := time.AfterFunc(zmqSettle, l.look)
	l.wg.Go(func() {
		<-l.broken
		timer.Stop()
	})
	l.receive(sub, func([]byte) { l.look() })
	return nil
}

// hearTxs hears each transaction that comes into the mempool, and those in blocks.
func (l *link) hearTxs(ctx context.Context, address string) error {
	if err := l.publishes(ctx, "pubrawtx"); err != nil {
		return err
	}
	sub, err := zmqSubscribe(ctx, address, "rawtx")
	if err != nil {
		return fmt.Errorf("chain.bitcoind.zmq_tx %s: %w", address, err)
	}
	l.receive(sub, func(body []byte) {
		tx := new(wire.MsgTx)
		if err := tx.Deserialize(bytes.NewReader(body)); err == nil {
			l.hear(tx)
		}
	})
	return nil
}

// publishes checks that bitcoind was started with one of the options.
func (l *link) publishes(ctx context.Context, kinds ...string) error {
	var list []struct {
		Type string `json:"type"`
	}
	if err := l.Call(ctx, "getzmqnotifications", &list); err != nil {
		return fmt.Errorf("list what it publishes: %w", err)
	}
	for _, published := range list {
		for _, kind := range kinds {
			if published.Type == kind {
				return nil
			}
		}
	}
	return fmt.Errorf("it does not publish what chain.bitcoind.zmq_block and zmq_tx need: start "+
		"it with -zmq%s", kinds[0])
}

// receive reads a subscription until the link breaks, and breaks it with the subscription.
func (l *link) receive(sub *zmqConn, hear func(body []byte)) {
	l.wg.Go(func() {
		<-l.broken
		sub.conn.Close()
	})
	l.wg.Go(func() {
		for {
			parts, err := sub.message()
			if err != nil {
				l.fail(fmt.Errorf("ZMQ: %w", err))
				return
			}
			if len(parts) >= 2 {
				hear(parts[1])
			}
		}
	})
}

// zmqConn is the subscriber's side of a connection as ZMTP 3.0 has it (rfc.zeromq.org/spec/23).
type zmqConn struct {
	conn net.Conn
	r    *bufio.Reader
}

// Flags of a ZMTP frame.
const (
	zmqMore    = 1
	zmqLong    = 2
	zmqCommand = 4
)

// zmqSubscribe connects and subscribes to messages whose first part begins with a topic.
func zmqSubscribe(ctx context.Context, address string, topics ...string) (*zmqConn, error) {
	network, addr := "tcp", strings.TrimPrefix(address, "tcp://")
	for _, scheme := range []string{"ipc://", "unix://"} {
		if path, ok := strings.CutPrefix(address, scheme); ok {
			network, addr = "unix", path
		}
	}
	dialer := net.Dialer{Timeout: zmqTimeout}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	z := &zmqConn{conn: conn, r: bufio.NewReader(conn)}
	if err := z.handshake(topics); err != nil {
		conn.Close()
		return nil, err
	}
	return z, nil
}

func (z *zmqConn) handshake(topics []string) error {
	if err := z.conn.SetDeadline(time.Now().Add(zmqTimeout)); err != nil {
		return err
	}
	// signature, version 3.0, mechanism NULL, client, filler
	greeting := make([]byte, 64)
	greeting[0], greeting[9], greeting[10] = 0xff, 0x7f, 3
	copy(greeting[12:], "NULL")
	if _, err := z.conn.Write(greeting); err != nil {
		return err
	}
	theirs := make([]byte, 64)
	if _, err := io.ReadFull(z.r, theirs); err != nil {
		return err
	}
	mechanism := string(bytes.TrimRight(theirs[12:32], "\x00"))
	if theirs[0] != 0xff || theirs[9] != 0x7f || theirs[10] < 3 || mechanism != "NULL" {
		return errors.New("no ZMQ publisher answers at this address")
	}
	ready := []byte("\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")
	if err := z.write(zmqCommand, ready); err != nil {
		return err
	}
	if flags, _, err := z.frame(); err != nil || flags&zmqCommand == 0 {
		return fmt.Errorf("the ZMQ publisher does not get ready: %w", err)
	}
	for _, topic := range topics {
		if err := z.write(0, append([]byte{1}, topic...)); err != nil {
			return err
		}
	}
	return z.conn.SetDeadline(time.Time{})
}

// write sends a short frame.
func (z *zmqConn) write(flags byte, body []byte) error {
	_, err := z.conn.Write(append([]byte{flags, byte(len(body))}, body...))
	return err
}

// message reads the parts of one message.
func (z *zmqConn) message() ([][]byte, error) {
	var parts [][]byte
	for {
		flags, body, err := z.frame()
		if err != nil {
			return nil, err
		}
		if flags&zmqCommand != 0 {
			continue
		}
		if parts = append(parts, body); len(parts) > maxZMQParts {
			return nil, fmt.Errorf("message of more than %d parts", maxZMQParts)
		}
		if flags&zmqMore == 0 {
			return parts, nil
		}
	}
}

func (z *zmqConn) frame() (flags byte, body []byte, err error) {
	if flags, err = z.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	size := make([]byte, 8)
	if flags&zmqLong != 0 {
		_, err = io.ReadFull(z.r, size)
	} else {
		size[7], err = z.r.ReadByte()
	}
	if err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint64(size)
	if length > maxZMQFrame {
		return 0, nil, fmt.Errorf("frame of %d bytes", length)
	}
	body = make([]byte, length)
	_, err = io.ReadFull(z.r, body)
	return flags, body, err
}
