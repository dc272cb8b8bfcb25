package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/brontide"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
	"github.com/inletlsp/inlet/lsp/conform"
)

// stranger connects to an LSP under throw-away keys. It is not package peer, because a
// tool that judges others must also see what a good node would hang up on.
type stranger struct {
	lsp  *btcec.PublicKey
	addr string

	mu   sync.Mutex
	keys map[int]*btcec.PrivateKey // guarded by mu
}

// maxWaiting is how many LSPS messages of the LSP wait to be read; beyond, it waits.
const maxWaiting = 64

// key is the key of an identity.
func (s *stranger) key(identity int) (*btcec.PrivateKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[identity]; k != nil {
		return k, nil
	}
	k, err := btcec.NewPrivateKey()
	if err != nil {
		return nil, fmt.Errorf("draw a key: %w", err)
	}
	s.keys[identity] = k
	return k, nil
}

// dial connects and exchanges init.
func (s *stranger) dial(ctx context.Context, identity int) (conform.Conn, error) {
	key, err := s.key(identity)
	if err != nil {
		return nil, err
	}
	noise, err := brontide.Dial(&keychain.PrivKeyECDH{PrivKey: key},
		&lnwire.NetAddress{IdentityKey: s.lsp, Address: lspAddr(s.addr)}, 0,
		func(network, addr string, _ time.Duration) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		})
	if err != nil {
		return nil, err
	}
	w := &lspsConn{
		noise: noise, in: make(chan []byte, maxWaiting), ended: make(chan struct{}),
		read: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, w.end)
	defer stop()
	if err := w.greet(); err != nil {
		w.end()
		return nil, err
	}
	go w.routineRead()
	return w, nil
}

// lspAddr is an address that the dialler resolves.
type lspAddr string

func (lspAddr) Network() string  { return "tcp" }
func (h lspAddr) String() string { return string(h) }

// lspsConn is a connection with a node, of which only LSPS messages are passed on.
type lspsConn struct {
	noise    *brontide.Conn
	features *lnwire.FeatureVector

	in    chan []byte
	ended chan struct{} // closed when the connection ends
	once  sync.Once
	read  chan struct{} // closed when routineRead has returned; why is valid then
	why   error

	mu sync.Mutex // held while a message is written
}

// greet exchanges init. What a client of today offers is offered, all of it optional, and
// no network is named: this tool is good for any.
func (w *lspsConn) greet() error {
	offer := lnwire.NewRawFeatureVector(
		lnwire.DataLossProtectOptional, lnwire.TLVOnionPayloadOptional,
		lnwire.StaticRemoteKeyOptional, lnwire.PaymentAddrOptional, lnwire.MPPOptional,
		lnwire.AnchorsZeroFeeHtlcTxOptional, lnwire.ShutdownAnySegwitOptional,
		lnwire.ExplicitChannelTypeOptional, lnwire.ScidAliasOptional, lnwire.ZeroConfOptional,
	)
	if err := w.send(lnwire.NewInitMessage(lnwire.NewRawFeatureVector(), offer)); err != nil {
		return fmt.Errorf("send init: %w", err)
	}
	raw, err := w.noise.ReadNextMessage()
	if err != nil {
		return fmt.Errorf("read init: %w", err)
	}
	m, err := lnwire.ReadMessage(bytes.NewReader(raw), 0)
	if err != nil {
		return fmt.Errorf("read init: %w", err)
	}
	init, ok := m.(*lnwire.Init)
	if !ok {
		return fmt.Errorf("the first message is %v and not init", m.MsgType())
	}
	both := init.Features.Clone()
	if err := both.Merge(init.GlobalFeatures); err != nil {
		return fmt.Errorf("read init: %w", err)
	}
	w.features = lnwire.NewFeatureVector(both, nil)
	return nil
}

// Offers implements conform.Offering.
func (w *lspsConn) Offers(bit int) bool {
	return w.features.IsSet(lnwire.FeatureBit(bit)) || w.features.IsSet(lnwire.FeatureBit(bit^1))
}

// routineRead passes LSPS messages on and answers pings; Close waits for it.
func (w *lspsConn) routineRead() {
	defer close(w.read)
	defer w.end()
	for {
		raw, err := w.noise.ReadNextMessage()
		if err != nil {
			w.why = err
			return
		}
		if len(raw) < lnwire.MessageTypeSize {
			w.why = errors.New("a message has no type")
			return
		}
		switch lnwire.MessageType(binary.BigEndian.Uint16(raw)) {
		case lsp.MessageType:
			select {
			case w.in <- bytes.Clone(raw[lnwire.MessageTypeSize:]):
			case <-w.ended:
				return
			}
		case lnwire.MsgPing:
			w.pong(raw)
		}
	}
}

// pong answers a ping. A failure is seen by the next read.
func (w *lspsConn) pong(raw []byte) {
	m, err := lnwire.ReadMessage(bytes.NewReader(raw), 0)
	if ping, ok := m.(*lnwire.Ping); err == nil && ok && ping.NumPongBytes < lnwire.MaxPongBytes {
		_ = w.send(lnwire.NewPong(make([]byte, ping.NumPongBytes)))
	}
}

func (w *lspsConn) send(m lnwire.Message) error {
	var b bytes.Buffer
	if _, err := lnwire.WriteMessage(&b, m, 0); err != nil {
		return err
	}
	return w.write(b.Bytes())
}

func (w *lspsConn) write(raw []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.noise.WriteMessage(raw); err != nil {
		return err
	}
	_, err := w.noise.Flush()
	return err
}

// Send implements conform.Conn.
func (w *lspsConn) Send(raw []byte) error {
	return w.write(append(binary.BigEndian.AppendUint16(nil, uint16(lsp.MessageType)), raw...))
}

// Next implements conform.Conn. What came before the end is given first.
func (w *lspsConn) Next(ctx context.Context) ([]byte, error) {
	select {
	case raw := <-w.in:
		return raw, nil
	default:
	}
	select {
	case raw := <-w.in:
		return raw, nil
	case <-w.read:
		select {
		case raw := <-w.in:
			return raw, nil
		default:
			return nil, w.why
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *lspsConn) end() {
	w.once.Do(func() {
		close(w.ended)
		_ = w.noise.Close()
	})
}

// Close implements conform.Conn.
func (w *lspsConn) Close() error {
	w.end()
	<-w.read
	return nil
}
