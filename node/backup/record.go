package backup

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/keychain"
	"github.com/lightningnetwork/lnd/lnwire"
)

// contentsV1 is Contents as it is written.
type contentsV1 struct {
	WrittenAt time.Time   `json:"written_at"`
	Network   string      `json:"network"`
	NodeID    string      `json:"node_id"`
	Channels  []channelV1 `json:"channels"`
	Orders    []orderV1   `json:"orders,omitempty"`
}

type orderV1 struct {
	ID     string          `json:"id"`
	Record json.RawMessage `json:"record"`
}

type channelV1 struct {
	Point           string    `json:"channel_point"`
	Scid            uint64    `json:"scid,omitempty"`
	BroadcastHeight uint32    `json:"broadcast_height"`
	Peer            string    `json:"peer"`
	Addresses       []string  `json:"addresses,omitempty"`
	CapacitySat     int64     `json:"capacity_sat"`
	Type            uint64    `json:"type"`
	Initiator       bool      `json:"initiator"`
	Private         bool      `json:"private"`
	Local           localV1   `json:"local"`
	Remote          remoteV1  `json:"remote"`
	RevocationRoot  [2]uint32 `json:"revocation_root"`
	ThawHeight      uint32    `json:"thaw_height,omitempty"`
	FundingTx       string    `json:"funding_tx,omitempty"`
}

// localV1 has family and index of each key.
type localV1 struct {
	CSVDelay   uint16    `json:"csv_delay_blocks"`
	MultiSig   [2]uint32 `json:"multisig"`
	Revocation [2]uint32 `json:"revocation"`
	Payment    [2]uint32 `json:"payment"`
	Delayed    [2]uint32 `json:"delayed"`
	HTLCs      [2]uint32 `json:"htlcs"`
}

type remoteV1 struct {
	CSVDelay   uint16 `json:"csv_delay_blocks"`
	MultiSig   string `json:"multisig"`
	Revocation string `json:"revocation"`
	Payment    string `json:"payment"`
	Delayed    string `json:"delayed"`
	HTLCs      string `json:"htlcs"`
}

func (c Contents) record() contentsV1 {
	r := contentsV1{
		WrittenAt: c.WrittenAt.UTC(), Network: c.Network, NodeID: hex.EncodeToString(c.NodeID[:]),
		Channels: make([]channelV1, 0, len(c.Channels)),
	}
	for _, ch := range c.Channels {
		r.Channels = append(r.Channels, ch.record())
	}
	for _, o := range c.Orders {
		r.Orders = append(r.Orders, orderV1(o))
	}
	return r
}

func (ch Channel) record() channelV1 {
	l, p := ch.Local, ch.Remote
	r := channelV1{
		Point: ch.Point.String(), Scid: ch.Scid.ToUint64(), BroadcastHeight: ch.BroadcastHeight,
		Peer: keyText(ch.Peer), Addresses: ch.Addresses, CapacitySat: int64(ch.Capacity),
		Type: uint64(ch.Type), Initiator: ch.Initiator, Private: ch.Private,
		Local: localV1{
			CSVDelay: l.CSVDelay, MultiSig: pair(l.MultiSig), Revocation: pair(l.Revocation),
			Payment: pair(l.Payment), Delayed: pair(l.Delayed), HTLCs: pair(l.HTLCs),
		},
		Remote: remoteV1{
			CSVDelay: p.CSVDelay, MultiSig: keyText(p.MultiSig), Revocation: keyText(p.Revocation),
			Payment: keyText(p.Payment), Delayed: keyText(p.Delayed), HTLCs: keyText(p.HTLCs),
		},
		RevocationRoot: pair(ch.RevocationRoot), ThawHeight: ch.ThawHeight,
	}
	if ch.FundingTx != nil {
		var b bytes.Buffer
		_ = ch.FundingTx.Serialize(&b) // a buffer takes everything
		r.FundingTx = hex.EncodeToString(b.Bytes())
	}
	return r
}

func pair(l keychain.KeyLocator) [2]uint32 { return [2]uint32{uint32(l.Family), l.Index} }

func locator(p [2]uint32) keychain.KeyLocator {
	return keychain.KeyLocator{Family: keychain.KeyFamily(p[0]), Index: p[1]}
}

func keyText(k *btcec.PublicKey) string { return hex.EncodeToString(k.SerializeCompressed()) }

func (r contentsV1) contents() (Contents, error) {
	c := Contents{WrittenAt: r.WrittenAt, Network: r.Network}
	id, err := hex.DecodeString(r.NodeID)
	if err != nil || len(id) != len(c.NodeID) {
		return c, fmt.Errorf("node id %.80q", r.NodeID)
	}
	copy(c.NodeID[:], id)
	for _, raw := range r.Channels {
		ch, err := raw.channel()
		if err != nil {
			return c, fmt.Errorf("channel %.80q: %w", raw.Point, err)
		}
		c.Channels = append(c.Channels, ch)
	}
	for _, o := range r.Orders {
		c.Orders = append(c.Orders, Order(o))
	}
	return c, nil
}

func (r channelV1) channel() (Channel, error) {
	point, err := wire.NewOutPointFromString(r.Point)
	if err != nil {
		return Channel{}, err
	}
	var keys keyReader
	ch := Channel{
		Point: *point, Scid: lnwire.NewShortChanIDFromInt(r.Scid),
		BroadcastHeight: r.BroadcastHeight, Peer: keys.read(r.Peer), Addresses: r.Addresses,
		Capacity: btcutil.Amount(r.CapacitySat), Type: channeldb.ChannelType(r.Type),
		Initiator: r.Initiator, Private: r.Private,
		Local: LocalKeys{
			CSVDelay: r.Local.CSVDelay, MultiSig: locator(r.Local.MultiSig),
			Revocation: locator(r.Local.Revocation), Payment: locator(r.Local.Payment),
			Delayed: locator(r.Local.Delayed), HTLCs: locator(r.Local.HTLCs),
		},
		Remote: RemoteKeys{
			CSVDelay: r.Remote.CSVDelay, MultiSig: keys.read(r.Remote.MultiSig),
			Revocation: keys.read(r.Remote.Revocation), Payment: keys.read(r.Remote.Payment),
			Delayed: keys.read(r.Remote.Delayed), HTLCs: keys.read(r.Remote.HTLCs),
		},
		RevocationRoot: locator(r.RevocationRoot), ThawHeight: r.ThawHeight,
	}
	if keys.err != nil {
		return Channel{}, keys.err
	}
	if r.FundingTx == "" {
		return ch, nil
	}
	raw, err := hex.DecodeString(r.FundingTx)
	if err != nil {
		return Channel{}, err
	}
	ch.FundingTx = new(wire.MsgTx)
	if err := ch.FundingTx.Deserialize(bytes.NewReader(raw)); err != nil {
		return Channel{}, fmt.Errorf("funding transaction: %w", err)
	}
	return ch, nil
}

// keyReader reads public keys and keeps the first error.
type keyReader struct{ err error }

func (k *keyReader) read(text string) *btcec.PublicKey {
	raw, err := hex.DecodeString(text)
	if err == nil {
		var key *btcec.PublicKey
		if key, err = btcec.ParsePubKey(raw); err == nil {
			return key
		}
	}
	if k.err == nil {
		k.err = fmt.Errorf("public key %.80q: %w", text, err)
	}
	return nil
}
