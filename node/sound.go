package node

import (
	"github.com/btcsuite/btcd/wire"

	"github.com/inletlsp/inlet/chain"
	"github.com/inletlsp/inlet/node/store"
)

// soundSource is the chain for a node whose store can be written. When that has failed memory is ahead
// of the disk, and a transaction that leaves now might be of something that the next start knows
// nothing of.
type soundSource struct {
	chain.Source
	store *store.DB
}

// Broadcast implements chain.Source. The wallet broadcasts through it too.
func (s soundSource) Broadcast(tx *wire.MsgTx, label string) error {
	if err := s.store.Err(); err != nil {
		return err
	}
	return s.Source.Broadcast(tx, label)
}
