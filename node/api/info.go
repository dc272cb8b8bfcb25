package api

import "context"

// Empty is the request or response of a call that needs none: {}.
type Empty struct{}

// Informer tells about the node as a whole.
type Informer interface {
	Info(ctx context.Context) (*Info, error)
}

// Stopper ends the node.
type Stopper interface {
	// Stop starts a graceful stop and returns at once. It is called once for each request, so it
	// must bear being called again.
	Stop(ctx context.Context) error
}

// Info is the answer of /v1/info.
type Info struct {
	// NodeID is the node's public key, 33 bytes in hex.
	NodeID string `json:"node_id"`

	// Alias is the configured name.
	Alias string `json:"alias"`

	// Network is mainnet, testnet, signet or regtest.
	Network string `json:"network"`

	// Version is the program's version.
	Version string `json:"version"`

	// BlockHeight is the height of the best block that the node has seen.
	BlockHeight uint32 `json:"block_height"`

	// SyncedToChain is false while the backend catches up or can't be reached.
	SyncedToChain bool `json:"synced_to_chain"`

	// URIs are PUBKEY@HOST:PORT, from external_addresses or else the bound listeners.
	URIs []string `json:"uris"`

	// Peers counts the connected peers.
	Peers int `json:"peers"`

	// Channels counts the channels by state.
	Channels ChannelCounts `json:"channels"`

	// LSP tells whether liquidity is sold here.
	LSP LSPInfo `json:"lsp"`
}

// ChannelCounts counts channels: usable now, usable when the peer is back, not yet open or
// closing.
type ChannelCounts struct {
	Active   int `json:"active"`
	Inactive int `json:"inactive"`
	Pending  int `json:"pending"`
}

// LSPInfo is the service part of Info.
type LSPInfo struct {
	Enabled bool `json:"enabled"`

	// Protocols are the numbers that lsps0.list_protocols gives, for instance [2].
	Protocols []int `json:"protocols"`
}

// StopResponse is the answer of /v1/stop. The connection stays open until the process ends, so
// reading on to its end waits for the stop.
type StopResponse struct {
	Stopping bool `json:"stopping"`
}
