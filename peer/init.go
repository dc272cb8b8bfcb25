package peer

import (
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/lightningnetwork/lnd/feature"
	"github.com/lightningnetwork/lnd/lnwire"
	"github.com/lightningnetwork/lnd/tlv"
)

const (
	// networksType is the TLV `networks` of init, a list of chain hashes.
	networksType tlv.Type = 1
	// maxFeatureBytes is how long a feature vector may be: lnwire's bit numbers
	// have 16 bits and would wrap beyond, so that bit 65536 would pass for bit 0.
	maxFeatureBytes = 65536 / 8
)

// newInit is our init. lnwire.Init has no member for `networks`, so the TLV is
// written into its extra data.
func newInit(features *lnwire.RawFeatureVector, chain chainhash.Hash) (*lnwire.Init, error) {
	// BOLT 1: "SHOULD set `networks` to all chains it will gossip or open
	// channels for."
	networks := chain[:]
	extra, err := lnwire.EncodeRecords([]tlv.Record{
		tlv.MakePrimitiveRecord(networksType, &networks),
	})
	if err != nil {
		return nil, fmt.Errorf("encode networks: %w", err)
	}
	// BOLT 1: "SHOULD NOT set features greater than 13 in `globalfeatures`."
	init := lnwire.NewInitMessage(lnwire.NewRawFeatureVector(), features)
	init.ExtraData = extra
	return init, nil
}

// parseInit reads a peer's first message.
func parseInit(raw []byte) (*lnwire.Init, error) {
	// BOLT 1: "MUST send `init` as the first Lightning message for any connection."
	if kind, ok := messageType(raw); !ok || kind != lnwire.MsgInit {
		return nil, fmt.Errorf("%w: message of type %d came first", ErrNoInit, kind)
	}
	if err := checkFeatureLength(raw); err != nil {
		return nil, err
	}
	msg, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return msg.(*lnwire.Init), nil
}

// checkFeatureLength looks at the two feature vectors before lnwire does.
func checkFeatureLength(raw []byte) error {
	rest := raw[lnwire.MessageTypeSize:]
	for range 2 {
		if len(rest) < 2 {
			return fmt.Errorf("%w: init is cut off", ErrMalformed)
		}
		size := int(rest[0])<<8 | int(rest[1])
		if size > maxFeatureBytes {
			return fmt.Errorf("%w: %d bytes of features in init", ErrMalformed, size)
		}
		if len(rest) < 2+size {
			return fmt.Errorf("%w: init is cut off", ErrMalformed)
		}
		rest = rest[2+size:]
	}
	return nil
}

// checkInit applies BOLT 1 to the peer's init, given what ours offered, and
// returns the peer's features.
func checkInit(
	theirs *lnwire.Init, ours *lnwire.RawFeatureVector, chain chainhash.Hash,
) (*lnwire.FeatureVector, error) {
	if err := checkNetworks(theirs.ExtraData, chain); err != nil {
		return nil, err
	}
	// BOLT 1: "MUST combine (bitwise OR) the two feature bitmaps into one logical
	// `features` map."
	both := theirs.Features.Clone()
	for _, bit := range bits(theirs.GlobalFeatures) {
		both.Set(bit)
	}
	// BOLT 1: "upon receiving unknown _even_ feature bits that are non-zero: MUST
	// close the connection." Known is what we do, not what lnwire has a name for.
	known := lnwire.NewFeatureVector(both, offered(ours))
	if err := feature.ValidateRequired(known); err != nil {
		return nil, fmt.Errorf("%w: bits %v", ErrFeatures, sorted(known.UnknownRequiredFeatures()))
	}
	remote := lnwire.NewFeatureVector(both, lnwire.Features)
	// BOLT 1: "if the feature vector does not set all known, transitive
	// dependencies: MUST close the connection."
	if err := feature.ValidateDeps(remote); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFeatures, err)
	}
	return remote, nil
}

// checkNetworks refuses a peer that names chains and not ours. One that names
// none may be on any.
func checkNetworks(extra lnwire.ExtraOpaqueData, chain chainhash.Hash) error {
	var networks []byte
	types, err := extra.ExtractRecords(&blobRecord{networksType, &networks})
	if err != nil {
		return fmt.Errorf("%w: init: %w", ErrMalformed, err)
	}
	if _, named := types[networksType]; !named {
		return nil
	}
	if len(networks)%chainhash.HashSize != 0 {
		return fmt.Errorf("%w: %d bytes of networks in init", ErrMalformed, len(networks))
	}
	// BOLT 1: "upon receiving `networks` containing no common chains MAY close the
	// connection."
	for hash := range slices.Chunk(networks, chainhash.HashSize) {
		if chainhash.Hash(hash) == chain {
			return nil
		}
	}
	return ErrWrongNetwork
}

// blobRecord is one TLV whose value is taken as bytes.
type blobRecord struct {
	kind  tlv.Type
	value *[]byte
}

func (b *blobRecord) Record() tlv.Record { return tlv.MakePrimitiveRecord(b.kind, b.value) }

// offered gives the bits of a vector, and their twins, names: what has a name
// counts as known.
func offered(ours *lnwire.RawFeatureVector) map[lnwire.FeatureBit]string {
	names := make(map[lnwire.FeatureBit]string)
	for _, bit := range bits(ours) {
		names[bit], names[bit^1] = "offered", "offered"
	}
	return names
}

// bits lists what a vector sets.
func bits(raw *lnwire.RawFeatureVector) []lnwire.FeatureBit {
	set := lnwire.NewFeatureVector(raw, nil).Features()
	list := make([]lnwire.FeatureBit, 0, len(set))
	for bit := range set {
		list = append(list, bit)
	}
	return list
}

// sorted is a short, steady list for an error text.
func sorted(list []lnwire.FeatureBit) []lnwire.FeatureBit {
	const enough = 8
	slices.Sort(list)
	return list[:min(len(list), enough)]
}

// greet exchanges init.
func (m *Manager) greet(c *Conn) error {
	// Copied, for others may look at it as long as the connection lasts.
	ours := m.cfg.Features(c.pub).Clone()
	init, err := newInit(ours, m.cfg.ChainHash)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	if err := c.SendMessage(false, init); err != nil {
		return err
	}
	raw, err := c.wire.read(m.cfg.Limits.Handshake, m.cfg.Limits.Write)
	if err != nil {
		return fmt.Errorf("peer: %w: %w", ErrNoInit, readError(err))
	}
	theirs, err := parseInit(raw)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	remote, err := checkInit(theirs, ours, m.cfg.ChainHash)
	if err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	c.local = lnwire.NewFeatureVector(ours, lnwire.Features)
	c.remote = remote
	return nil
}
