package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/lightningnetwork/lnd/clock"
)

const (
	// minInterval is the least time between two writes: what changes meanwhile goes together.
	minInterval = time.Second

	// maxShare is how much of the time writing may take, as one part in so many: large books
	// make a write longer, and then there are fewer of them.
	maxShare = 20
)

// KeeperConfig is what a Keeper is made of. All fields are required.
type KeeperConfig struct {
	// Path is the file to keep.
	Path string
	Key  Key
	// Gather is what is to be written now.
	Gather func() (Contents, error)
	Clock  clock.Clock
	Log    *slog.Logger
}

// Keeper keeps a file up to date. It never stands in anybody's way: a backup that can't be written
// is told to the operator, and payments go on.
type Keeper struct {
	cfg  KeeperConfig
	wake chan struct{} // has one place: what is to be written is looked at when it is

	write func(path string, raw []byte) error // WriteFile but in tests
	last  [sha256.Size]byte                   // of what the file holds; Run's own
}

// NewKeeper makes a Keeper, which does nothing before Run.
func NewKeeper(cfg KeeperConfig) *Keeper {
	return &Keeper{cfg: cfg, wake: make(chan struct{}, 1), write: WriteFile}
}

// Changed says that what Gather gives has changed. It never blocks.
func (k *Keeper) Changed() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run writes the file, and again after each change, until ctx ends; what has changed by then is
// written yet. It always returns nil: a node without a backup is better than no node.
func (k *Keeper) Run(ctx context.Context) error {
	pause := k.save()
	for {
		select {
		case <-k.cfg.Clock.TickAfter(pause):
		case <-ctx.Done():
			return k.finish()
		}
		select {
		case <-k.wake:
			pause = k.save()
		case <-ctx.Done():
			return k.finish()
		}
	}
}

func (k *Keeper) finish() error {
	select {
	case <-k.wake:
		k.save()
	default:
	}
	return nil
}

// save writes the file unless it holds the same already, and says how long to wait before the next
// time. After an error the next change tries again.
func (k *Keeper) save() time.Duration {
	began := k.cfg.Clock.Now()
	if err := k.trySave(began); err != nil {
		k.cfg.Log.Error("the channel backup could not be written: a loss of this disk now would "+
			"lose the money in new channels", "file", k.cfg.Path, "err", err)
	}
	return max(minInterval, maxShare*k.cfg.Clock.Now().Sub(began))
}

func (k *Keeper) trySave(now time.Time) error {
	c, err := k.cfg.Gather()
	if err != nil {
		return err
	}
	c.WrittenAt = time.Time{}
	plain, err := c.encode()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(plain)
	if _, err := os.Stat(k.cfg.Path); sum == k.last && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	c.WrittenAt = now
	raw, err := Encode(c, k.cfg.Key)
	if err != nil {
		return err
	}
	if err := k.write(k.cfg.Path, raw); err != nil {
		return err
	}
	k.last = sum
	k.cfg.Log.Debug("channel backup written", "file", k.cfg.Path, "channels", len(c.Channels),
		"orders", len(c.Orders), "bytes", len(raw))
	return nil
}
