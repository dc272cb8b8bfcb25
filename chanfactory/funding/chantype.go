package funding

import (
	"errors"
	"fmt"

	"github.com/lightningnetwork/lnd/lnwire"
)

var (
	// ErrFeatures: the two init messages do not allow the channel.
	ErrFeatures = errors.New("funding: the features of both sides do not allow this channel")

	// ErrChanType: the channel_type is missing or not one of ours.
	ErrChanType = errors.New("funding: unsupported channel_type")
)

// ChanType is a channel_type of BOLT 2, as far as we open and accept them: all of them have
// option_static_remotekey (bit 12).
type ChanType struct {
	// Anchors is option_anchors (bit 22).
	Anchors bool
	// ScidAlias is option_scid_alias (bit 46): the real scid is never used.
	ScidAlias bool
	// ZeroConf is option_zeroconf (bit 50). A channel can be used unconfirmed without it, if the
	// acceptor answers with minimum_depth 0.
	ZeroConf bool
}

// Ask is what the opener wants of the type.
type Ask struct {
	Private        bool
	ZeroConf       bool
	WithoutAnchors bool
}

// Choose finds the best channel_type that both init messages allow. Errors: ErrFeatures.
func Choose(a Ask, local, remote *lnwire.FeatureVector) (ChanType, error) {
	both := func(bit lnwire.FeatureBit) bool { return Both(local, remote, bit) }
	if !both(lnwire.StaticRemoteKeyOptional) {
		return ChanType{}, fmt.Errorf("%w: option_static_remotekey (bit 12) is missing", ErrFeatures)
	}
	// A channel that is used before it has a place in the chain needs another name.
	if a.ZeroConf && !both(lnwire.ScidAliasOptional) {
		return ChanType{}, fmt.Errorf("%w: option_scid_alias (bit 46) is missing", ErrFeatures)
	}
	return ChanType{
		Anchors: !a.WithoutAnchors && both(lnwire.AnchorsZeroFeeHtlcTxOptional),
		// BOLT 2: "MUST NOT send `channel_type` with the `option_scid_alias` bit set."
		// (for announced channels)
		ScidAlias: a.Private && both(lnwire.ScidAliasOptional),
		// bLIP-52 does not want the bit in the type, LDK takes the channel without it.
		ZeroConf: a.ZeroConf && both(lnwire.ZeroConfOptional),
	}, nil
}

// Both says whether both sides offered a feature, as optional or as required.
func Both(local, remote *lnwire.FeatureVector, bit lnwire.FeatureBit) bool {
	return local.HasFeature(bit) && remote.HasFeature(bit)
}

// Wire is the type as it goes into open_channel and accept_channel.
func (t ChanType) Wire() *lnwire.ChannelType {
	bits := lnwire.NewRawFeatureVector(lnwire.StaticRemoteKeyRequired)
	if t.Anchors {
		bits.Set(lnwire.AnchorsZeroFeeHtlcTxRequired)
	}
	if t.ScidAlias {
		bits.Set(lnwire.ScidAliasRequired)
	}
	if t.ZeroConf {
		bits.Set(lnwire.ZeroConfRequired)
	}
	return (*lnwire.ChannelType)(bits)
}

// ParseChanType reads a peer's channel_type. Errors: ErrChanType.
func ParseChanType(w *lnwire.ChannelType) (ChanType, error) {
	if w == nil {
		return ChanType{}, fmt.Errorf("%w: it is missing", ErrChanType)
	}
	bits := lnwire.RawFeatureVector(*w)
	t := ChanType{
		Anchors:   bits.IsSet(lnwire.AnchorsZeroFeeHtlcTxRequired),
		ScidAlias: bits.IsSet(lnwire.ScidAliasRequired),
		ZeroConf:  bits.IsSet(lnwire.ZeroConfRequired),
	}
	if !t.equals(w) {
		return ChanType{}, fmt.Errorf("%w: %v", ErrChanType, t)
	}
	return t, nil
}

func (t ChanType) equals(w *lnwire.ChannelType) bool {
	if w == nil {
		return false
	}
	ours, theirs := lnwire.RawFeatureVector(*t.Wire()), lnwire.RawFeatureVector(*w)
	return ours.Equals(&theirs)
}

// String lists the feature bits.
func (t ChanType) String() string {
	s := "{12"
	if t.Anchors {
		s += ",22"
	}
	if t.ScidAlias {
		s += ",46"
	}
	if t.ZeroConf {
		s += ",50"
	}
	return s + "}"
}

// allowed says why a type that a peer proposes can't be had.
func (t ChanType) allowed(private bool, local *lnwire.FeatureVector) error {
	switch {
	case t.Anchors && !local.HasFeature(lnwire.AnchorsZeroFeeHtlcTxOptional):
		return fmt.Errorf("%w: %v needs option_anchors, which we did not offer", ErrChanType, t)
	case t.ScidAlias && !local.HasFeature(lnwire.ScidAliasOptional):
		return fmt.Errorf("%w: %v needs option_scid_alias, which we did not offer", ErrChanType, t)
	case t.ZeroConf && !local.HasFeature(lnwire.ZeroConfOptional):
		return fmt.Errorf("%w: %v needs option_zeroconf, which we did not offer", ErrChanType, t)
	case t.ScidAlias && !private:
		return fmt.Errorf("%w: option_scid_alias in an announced channel", ErrChanType)
	}
	return nil
}
