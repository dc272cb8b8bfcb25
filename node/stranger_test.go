package node_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/lightningnetwork/lnd/brontide"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"

	"github.com/inletlsp/inlet/lsp"
)

// stranger is the other end of a connection, by hand: BOLT 8 is lnd's, the rest is
// what the test makes of it.
type stranger struct {
	*brontide.Conn
}

func newKey() *btcec.PrivateKey {
	key, err := btcec.NewPrivateKey()
	if err != nil {
		panic(err)
	}
	return key
}

// dialTimeout is for a machine with one busy core.
const dialTimeout = 30 * time.Second

// knock makes a connection as the node of that key; nothing is said yet.
func knock(as keychain.SingleKeyECDH, to *btcec.PublicKey, addr string) (*stranger, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	conn, err := brontide.Dial(as,
		&lnwire.NetAddress{IdentityKey: to, Address: tcp}, dialTimeout,
		func(network, address string, timeout time.Duration) (net.Conn, error) {
			return net.DialTimeout(network, address, timeout)
		})
	if err != nil {
		return nil, err
	}
	return &stranger{conn}, nil
}

// greet makes a connection and exchanges init.
func greet(as *btcec.PrivateKey, to *btcec.PublicKey, addr string) (*stranger, error) {
	return greetAs(ecdh(as), to, addr)
}

func ecdh(key *btcec.PrivateKey) keychain.SingleKeyECDH { return &keychain.PrivKeyECDH{PrivKey: key} }

func greetAs(as keychain.SingleKeyECDH, to *btcec.PublicKey, addr string) (*stranger, error) {
	s, err := knock(as, to, addr)
	if err != nil {
		return nil, err
	}
	if err = s.say(strangerInit()); err == nil {
		_, err = s.hear(lnwire.MsgInit)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func strangerInit() *lnwire.Init {
	return lnwire.NewInitMessage(lnwire.NewRawFeatureVector(), lnwire.NewRawFeatureVector(
		lnwire.DataLossProtectRequired, lnwire.TLVOnionPayloadRequired,
		lnwire.StaticRemoteKeyRequired, lnwire.PaymentAddrRequired,
		lnwire.AnchorsZeroFeeHtlcTxOptional, lnwire.ExplicitChannelTypeOptional,
		lnwire.ScidAliasOptional, lnwire.ZeroConfOptional))
}

// say sends one message.
func (s *stranger) say(m lnwire.Message) error {
	var buf bytes.Buffer
	if _, err := lnwire.WriteMessage(&buf, m, 0); err != nil {
		return err
	}
	return s.send(buf.Bytes())
}

// send sends raw bytes as one message.
func (s *stranger) send(raw []byte) error {
	_, err := s.Write(raw)
	return err
}

// hear reads until a message of the type comes.
func (s *stranger) hear(kind lnwire.MessageType) (lnwire.Message, error) {
	if err := s.SetReadDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, err
	}
	for {
		raw, err := s.ReadNextMessage()
		if err != nil {
			return nil, err
		}
		m, err := lnwire.ReadMessage(bytes.NewReader(raw), 0)
		if err != nil {
			return nil, fmt.Errorf("message %x: %w", raw[:min(len(raw), 40)], err)
		}
		if m.MsgType() == kind {
			return m, nil
		}
		if e, ok := m.(*lnwire.Error); ok {
			return nil, fmt.Errorf("error: %s", e.Data)
		}
	}
}

// ask sends an LSPS request and returns the result.
func (s *stranger) ask(id, method string, params any) (json.RawMessage, error) {
	raw, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": id, "method": method, "params": params,
	})
	if err != nil {
		return nil, err
	}
	if err := s.sayLSPS(raw); err != nil {
		return nil, err
	}
	for {
		m, err := s.hear(lsp.MessageType)
		if err != nil {
			return nil, err
		}
		var answer struct {
			ID     string          `json:"id"`
			Result json.RawMessage `json:"result"`
			Error  json.RawMessage `json:"error"`
		}
		if err := json.Unmarshal(m.(*lnwire.Custom).Data, &answer); err != nil {
			return nil, err
		}
		switch {
		case answer.ID != id:
		case answer.Error != nil:
			return nil, errors.New(string(answer.Error))
		default:
			return answer.Result, nil
		}
	}
}

func (s *stranger) sayLSPS(payload []byte) error {
	return s.send(append([]byte{byte(lsp.MessageType >> 8), byte(lsp.MessageType & 255)}, payload...))
}

// drain reads until the connection ends.
func (s *stranger) drain() {
	_ = s.SetReadDeadline(time.Time{})
	for {
		if _, err := s.ReadNextMessage(); err != nil {
			return
		}
	}
}
