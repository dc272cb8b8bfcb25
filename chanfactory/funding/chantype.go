package funding

// ChanType is a channel_type of BOLT 2, as far as we open and accept them: all
// have option_static_remotekey.
type ChanType struct {
	// Anchors is option_anchors_zero_fee_htlc_tx (bit 22).
	Anchors bool
	// ScidAlias is option_scid_alias (bit 46).
	ScidAlias bool
	// ZeroConf is option_zeroconf (bit 50).
	ZeroConf bool
}
