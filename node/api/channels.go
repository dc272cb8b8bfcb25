package api

import "context"

// Channels shows, opens and closes channels. Opening and closing go on in the node when ctx ends;
// the caller only stops waiting.
type Channels interface {
	Channels(ctx context.Context) (*ChannelList, error)

	// OpenChannel returns when the funding transaction was broadcast.
	OpenChannel(ctx context.Context, r OpenRequest) (*OpenResponse, error)

	// CloseChannel returns when a closing transaction was broadcast.
	CloseChannel(ctx context.Context, r CloseRequest) (*CloseResponse, error)
}

// ChannelList is the answer of /v1/channels.
type ChannelList struct {
	Channels []Channel `json:"channels"`
}

// ChannelState says where a channel is in its life.
type ChannelState string

// The states of a channel.
const (
	ChannelOpening      ChannelState = "opening"       // not both channel_ready yet
	ChannelOpen         ChannelState = "open"          // both channel_ready exchanged
	ChannelClosing      ChannelState = "closing"       // cooperative close under way
	ChannelForceClosing ChannelState = "force_closing" // a commitment transaction is out
	ChannelRestored     ChannelState = "restored"      // from a backup: its peer is asked to close it
)

// Channel is one channel.
type Channel struct {
	// ChannelPoint is TXID:INDEX of the funding output.
	ChannelPoint string `json:"channel_point"`

	// Scid is BLOCKxTXxOUTPUT of the confirmed funding output, empty before it confirms.
	Scid string `json:"scid"`

	// Aliases are the short channel ids by which the channel is also known to the switch.
	Aliases []string `json:"aliases"`

	// Peer is the other node's public key.
	Peer string `json:"peer"`

	CapacitySat Sat `json:"capacity_sat"`

	// LocalMsat and RemoteMsat are the balances in our commitment transaction.
	LocalMsat  Msat `json:"local_msat"`
	RemoteMsat Msat `json:"remote_msat"`

	Private   bool `json:"private"`
	ZeroConf  bool `json:"zero_conf"`
	Confirmed bool `json:"confirmed"`

	// Active is true when the peer is connected and the link carries payments.
	Active bool `json:"active"`

	// ChannelType names the negotiated type: anchors or static_remote_key.
	ChannelType string `json:"channel_type"`

	// OrderID is the LSP order that the channel was opened for, empty for any other.
	OrderID string `json:"order_id"`

	State ChannelState `json:"state"`
}

// OpenRequest is the request of /v1/channels/open.
type OpenRequest struct {
	// Peer is PUBKEY@HOST:PORT, or PUBKEY alone of a connected peer.
	Peer string `json:"peer"`

	CapacitySat Sat `json:"capacity_sat"`

	// PushMsat is given to the peer at opening, for nothing.
	PushMsat Msat `json:"push_msat,omitempty"`

	// Private keeps the channel out of gossip.
	Private bool `json:"private,omitempty"`

	// ZeroConf asks to use the channel before its funding confirms.
	ZeroConf bool `json:"zero_conf,omitempty"`

	// FeeRateSatPerVb is the funding transaction's fee rate; 0 estimates it.
	FeeRateSatPerVb uint64 `json:"fee_rate_sat_per_vb,omitempty"`
}

// OpenResponse is the answer of /v1/channels/open.
type OpenResponse struct {
	ChannelPoint string `json:"channel_point"`
	FundingTxid  string `json:"funding_txid"`
}

// CloseRequest is the request of /v1/channels/close.
type CloseRequest struct {
	ChannelPoint string `json:"channel_point"`

	// Force publishes our commitment transaction instead of asking the peer.
	Force bool `json:"force,omitempty"`

	// BreakMinLifetime closes a channel that a client has paid for, or is paying for, before it has
	// stayed as long as the offer promised.
	BreakMinLifetime bool `json:"break_min_lifetime,omitempty"`

	// FeeRateSatPerVb is the closing transaction's fee rate; 0 estimates it. A forced close has
	// its fee fixed already, so there it sets what the sweep of our output pays.
	FeeRateSatPerVb uint64 `json:"fee_rate_sat_per_vb,omitempty"`
}

// CloseResponse is the answer of /v1/channels/close.
type CloseResponse struct {
	ClosingTxid string `json:"closing_txid"`
}

func (r OpenRequest) validate() *Error {
	switch {
	case r.Peer == "":
		return missing("peer", "PUBKEY@HOST:PORT")
	case r.CapacitySat == 0:
		return missing("capacity_sat", "the size of the channel")
	case r.PushMsat/1000 > Msat(r.CapacitySat):
		return invalid("push_msat is more than the capacity", "a push is a gift to the peer")
	}
	return nil
}

func (r CloseRequest) validate() *Error {
	if r.ChannelPoint == "" {
		return missing("channel_point", "TXID:INDEX as in the list of channels")
	}
	return nil
}
