package node

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/lightningnetwork/lnd/channeldb"
	"github.com/lightningnetwork/lnd/kvdb"

	"github.com/inletlsp/inlet/node/backup"
	"github.com/inletlsp/inlet/node/orders"
	"github.com/inletlsp/inlet/node/store"
	"github.com/inletlsp/inlet/wallet"
)

// Errors of a restore, and of calls that a restored channel can't serve.
var (
	// ErrRestored: the channel came from a backup. Its state is not known, so nothing is signed
	// for it; the peer closes it.
	ErrRestored = errors.New("node: the channel was restored from a backup: its state is lost, " +
		"and to publish an old one would cost all of it. Its peer is asked to close it whenever " +
		"it is connected")

	// ErrBackupLeft: there is a backup in the directory that nobody asked to restore, and the new
	// node would write over it.
	ErrBackupLeft = errors.New("node: the directory has a channel backup, which the new node would " +
		"overwrite: restore from it, or move it away")

	// ErrBackupNetwork: the backup is of another network.
	ErrBackupNetwork = errors.New("node: the backup is of another network")

	// ErrBackupWords: a backup is restored with the words of its wallet only.
	ErrBackupWords = errors.New("node: a backup can be restored only together with the 24 words " +
		"of its wallet")
)

// restoredBucket holds what is left to do for each restored channel, by its outpoint.
var restoredBucket = []byte("inlet-restored")

// restoredV1 is a restored channel in restoredBucket.
type restoredV1 struct {
	V int `json:"v"`
	// FundingTx is ours and may not be confirmed.
	FundingTx string `json:"funding_tx,omitempty"`
}

// openBackup reads the backup that Create is to restore.
func openBackup(o CreateOptions) (*wallet.Keys, backup.Contents, error) {
	var none backup.Contents
	if len(o.Words) == 0 {
		return nil, none, ErrBackupWords
	}
	keys, err := wallet.KeysOfWords(o.Words, nil, o.Params)
	if err != nil {
		return nil, none, err
	}
	c, err := backup.Decode(o.Backup, keys.DeriveSecret(backup.Purpose))
	if err != nil {
		return nil, none, fmt.Errorf("node: read the backup: %w", err)
	}
	if c.Network != o.Params.Name {
		return nil, none, fmt.Errorf("%w: it is of %s, and this node is for %s", ErrBackupNetwork,
			c.Network, o.Params.Name)
	}
	return keys, c, nil
}

// noBackupLeft refuses a directory whose backup would be overwritten unread.
func noBackupLeft(dir string) error {
	path := filepath.Join(dir, backup.FileName)
	switch _, err := os.Stat(path); {
	case err == nil:
		return fmt.Errorf("%w (%s)", ErrBackupLeft, path)
	case errors.Is(err, os.ErrNotExist):
		return nil
	default:
		return fmt.Errorf("node: %w", err)
	}
}

// restore puts what is in a backup into a store that has no wallet yet. The wallet is made last: a
// store that has one has all of the backup, however a restore was cut off.
func restore(db *store.DB, keys *wallet.Keys, c backup.Contents, chain chainhash.Hash) error {
	channels, err := channeldb.CreateWithBackend(db)
	if err != nil {
		return fmt.Errorf("node: open channel database: %w", err)
	}
	var shells []*channeldb.ChannelShell
	for _, b := range c.Channels {
		switch _, err := channels.ChannelStateDB().FetchChannel(b.Point); {
		case err == nil:
			continue // a restore that was cut off has put it there
		case !noChannel(err):
			return fmt.Errorf("node: look up channel %v: %w", b.Point, err)
		}
		shell, err := b.Shell(keys, chain)
		if err != nil {
			return err
		}
		shells = append(shells, &channeldb.ChannelShell{NodeAddrs: netAddrs(b.Addresses), Chan: shell})
	}
	if err := restoreNotes(db, c.Channels); err != nil {
		return err
	}
	books := make([]orders.Book, 0, len(c.Orders))
	for _, o := range c.Orders {
		books = append(books, orders.Book(o))
	}
	if err := orders.Restore(db, books); err != nil {
		return err
	}
	if err := channels.ChannelStateDB().RestoreChannelShells(shells...); err != nil {
		return fmt.Errorf("node: restore channels: %w", err)
	}
	return nil
}

func noChannel(err error) bool {
	return errors.Is(err, channeldb.ErrChannelNotFound) ||
		errors.Is(err, channeldb.ErrNoChanDBExists) || errors.Is(err, channeldb.ErrNoActiveChannels)
}

// netAddrs are the addresses as channeldb keeps them beside ours. It is no loss when a name can't be
// resolved: we dial by our own record.
func netAddrs(addrs []string) []net.Addr {
	var list []net.Addr
	for _, a := range addrs {
		host, _, err := net.SplitHostPort(a)
		if err != nil || net.ParseIP(host) == nil {
			continue
		}
		if tcp, err := net.ResolveTCPAddr("tcp", a); err == nil {
			list = append(list, tcp)
		}
	}
	return list
}

// restoreNotes stores where the peers are, and the fundings that only we can publish.
func restoreNotes(db kvdb.Backend, channels []backup.Channel) error {
	err := kvdb.Update(db, func(tx kvdb.RwTx) error {
		peers, err := tx.CreateTopLevelBucket(peersBucket)
		if err != nil {
			return err
		}
		notes, err := tx.CreateTopLevelBucket(restoredBucket)
		if err != nil {
			return err
		}
		for _, ch := range channels {
			if err := restoreNote(peers, notes, ch); err != nil {
				return err
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return fmt.Errorf("node: restore peers: %w", err)
	}
	return nil
}

func restoreNote(peers, notes kvdb.RwBucket, ch backup.Channel) error {
	if len(ch.Addresses) > 0 {
		raw, err := json.Marshal(peerAddrV1{1, ch.Addresses[0]})
		if err != nil {
			return err
		}
		if err := peers.Put(ch.Peer.SerializeCompressed(), raw); err != nil {
			return err
		}
	}
	note := restoredV1{V: 1}
	if ch.FundingTx != nil {
		var b bytes.Buffer
		if err := ch.FundingTx.Serialize(&b); err != nil {
			return err
		}
		note.FundingTx = hex.EncodeToString(b.Bytes())
	}
	raw, err := json.Marshal(note)
	if err != nil {
		return err
	}
	return notes.Put(pointKey(ch.Point), raw)
}

// restoredFundings are the funding transactions of restored channels that are open still. They may
// not have reached the network: then the coins are in the wallet, and the peer's part is lost unless
// we publish what we had signed.
func (n *Node) restoredFundings() (map[wire.OutPoint]*wire.MsgTx, error) {
	out := map[wire.OutPoint]*wire.MsgTx{}
	chans, err := n.channels.ChannelStateDB().FetchAllChannels()
	if err != nil {
		return nil, fmt.Errorf("node: load channels: %w", err)
	}
	for _, ch := range chans {
		if !ch.HasChanStatus(channeldb.ChanStatusRestored) {
			continue
		}
		tx, err := n.restoredFunding(ch.FundingOutpoint)
		if err != nil {
			return nil, err
		}
		if tx != nil {
			out[ch.FundingOutpoint] = tx
		}
	}
	return out, nil
}

func (n *Node) restoredFunding(point wire.OutPoint) (*wire.MsgTx, error) {
	var raw []byte
	err := kvdb.View(n.store, func(tx kvdb.RTx) error {
		if b := tx.ReadBucket(restoredBucket); b != nil {
			raw = bytes.Clone(b.Get(pointKey(point)))
		}
		return nil
	}, func() { raw = nil })
	if err != nil || raw == nil {
		return nil, err
	}
	var note restoredV1
	if err := json.Unmarshal(raw, &note); err != nil {
		return nil, fmt.Errorf("node: decode restored channel %v: %w", point, err)
	}
	if note.FundingTx == "" {
		return nil, nil
	}
	serialized, err := hex.DecodeString(note.FundingTx)
	if err != nil {
		return nil, fmt.Errorf("node: decode restored channel %v: %w", point, err)
	}
	tx := new(wire.MsgTx)
	if err := tx.Deserialize(bytes.NewReader(serialized)); err != nil {
		return nil, fmt.Errorf("node: decode restored channel %v: %w", point, err)
	}
	return tx, nil
}

// warnUnmarked tells the operator when an old copy of the database could not have been noticed.
func (n *Node) warnUnmarked() error {
	if !n.store.Unmarked() {
		return nil
	}
	chans, err := n.channels.ChannelStateDB().FetchAllChannels()
	if err != nil {
		return fmt.Errorf("node: load channels: %w", err)
	}
	if len(chans) > 0 {
		n.log.Warn("the file inlet.marker was missing beside the database, so nobody can say whether "+
			"this is the newest database. If it was copied or restored from an earlier time, stop the "+
			"node at once: an old state of a channel can cost all of it. Restore from the 24 words and "+
			"channels.backup instead", "file", n.store.Path(), "channels", len(chans))
	}
	return nil
}

// publishRestored gives the network the fundings that a backup had: at each start, while the channel
// is open.
func (n *Node) publishRestored() error {
	txs, err := n.restoredFundings()
	if err != nil {
		return err
	}
	for point, tx := range txs {
		if err := n.wallet.Publish(tx, "funding of a restored channel"); err != nil {
			n.log.Warn("the funding of a restored channel is not accepted by the network; it may "+
				"be confirmed and spent already", "chan", point.String(), "err", err)
		}
	}
	return nil
}
