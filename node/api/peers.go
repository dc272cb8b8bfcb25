package api

import "context"

// Peers shows and changes the connections to other nodes.
type Peers interface {
	Peers(ctx context.Context) (*PeerList, error)

	// Connect dials the peer and returns once the init messages are exchanged; it is no error
	// when the peer is connected already.
	Connect(ctx context.Context, r ConnectRequest) (*Peer, error)

	Disconnect(ctx context.Context, r DisconnectRequest) error
}

// PeerList is the answer of /v1/peers.
type PeerList struct {
	Peers []Peer `json:"peers"`
}

// Peer is a connected peer.
type Peer struct {
	// NodeID is the peer's public key in hex.
	NodeID string `json:"node_id"`

	// Address is HOST:PORT at the other end of the connection.
	Address string `json:"address"`

	// Inbound is true when the peer dialled us.
	Inbound bool `json:"inbound"`

	// Channels counts the channels that we share, pending ones too.
	Channels int `json:"channels"`
}

// ConnectRequest is the request of /v1/peers/connect.
type ConnectRequest struct {
	// Peer is PUBKEY@HOST:PORT.
	Peer string `json:"peer"`
}

// DisconnectRequest is the request of /v1/peers/disconnect.
type DisconnectRequest struct {
	NodeID string `json:"node_id"`
}

func (r ConnectRequest) validate() *Error {
	if r.Peer == "" {
		return missing("peer", "PUBKEY@HOST:PORT")
	}
	return nil
}

func (r DisconnectRequest) validate() *Error {
	if r.NodeID == "" {
		return missing("node_id", "the peer's public key")
	}
	return nil
}
