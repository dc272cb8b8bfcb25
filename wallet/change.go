package wallet

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcwallet/waddrmgr"
	"github.com/lightningnetwork/lnd/kvdb"
)

// coinsBucket holds the change addresses that are ready for use.
const (
	coinsBucket = "inlet-coins"
	changeKey   = "change"
)

// Change addresses are made some at a time and ahead of their use: btcwallet derives, checks and
// stores one in two to three milliseconds, which is most of what reserving a channel costs. They
// are stored, so that restarts leave no gap in the branch: a restore stops searching at one.
const (
	changeReady = 8
	changeLow   = 4
)

// changePool hands out change addresses of the wallet (BIP 86, branch 1).
type changePool struct {
	wallet *Wallet
	low    chan struct{} // addresses are running short

	mu    sync.Mutex
	read  bool              // guarded by mu; the stored ones have been read
	ready []btcutil.Address // guarded by mu; at most changeReady
}

// changeList is the stored form.
type changeList struct {
	V         int      `json:"v"`
	Addresses []string `json:"addresses"`
}

// newChangePool makes a pool that fills itself as soon as routineFill runs.
func newChangePool(w *Wallet) *changePool {
	p := &changePool{wallet: w, low: make(chan struct{}, 1)}
	p.low <- struct{}{}

	return p
}

// take gives an address that nobody else gets. After a crash one that was taken shortly before
// may come again, which costs privacy and nothing else.
func (p *changePool) take() (btcutil.Address, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ready) == 0 {
		if err := p.fill(); err != nil {
			return nil, err
		}
	}
	addr := p.ready[0]
	p.ready = p.ready[1:]
	if len(p.ready) <= changeLow {
		select {
		case p.low <- struct{}{}:
		default:
		}
	}

	return addr, nil
}

// warm makes the pool full.
func (p *changePool) warm() error {
	p.mu.Lock()
	defer p.mu.Unlock()

	return p.fill()
}

// routineFill keeps the pool filled; the source's WaitForShutdown waits for it.
func (p *changePool) routineFill() {
	for {
		select {
		case <-p.low:
			if err := p.warm(); err != nil {
				p.wallet.log.Error("cannot make change addresses ahead", "err", err)
			}
		case <-p.wallet.source.quit:
			return
		}
	}
}

// fill derives what is missing and stores the list, in one write. mu is held.
func (p *changePool) fill() error {
	if err := p.load(); err != nil {
		return err
	}
	missing := changeReady - len(p.ready)
	if missing == 0 {
		return nil
	}

	w := p.wallet
	manager, err := w.base.Manager.FetchScopedKeyManager(waddrmgr.KeyScopeBIP0086)
	if err != nil {
		return fmt.Errorf("wallet: make change addresses: %w", err)
	}
	var all []btcutil.Address
	err = kvdb.Update(w.opts.DB, func(tx kvdb.RwTx) error {
		made, err := manager.NextInternalAddresses(tx.ReadWriteBucket([]byte(addrmgrBucket)),
			waddrmgr.DefaultAccountNum, uint32(missing))
		if err != nil {
			return err
		}
		list := changeList{V: recordVersion}
		for _, addr := range p.ready {
			all = append(all, addr)
			list.Addresses = append(list.Addresses, addr.EncodeAddress())
		}
		for _, addr := range made {
			all = append(all, addr.Address())
			list.Addresses = append(list.Addresses, addr.Address().EncodeAddress())
		}
		raw, err := json.Marshal(list)
		if err != nil {
			return err
		}

		return tx.ReadWriteBucket([]byte(coinsBucket)).Put([]byte(changeKey), raw)
	}, func() { all = nil })
	if err != nil {
		return fmt.Errorf("wallet: make change addresses: %w", err)
	}
	if err := w.source.NotifyReceived(all[len(p.ready):]); err != nil {
		return fmt.Errorf("wallet: watch change addresses: %w", err)
	}
	p.ready = all

	return nil
}

// load reads the stored addresses once, and leaves out the ones that were used meanwhile. mu is
// held.
func (p *changePool) load() error {
	if p.read {
		return nil
	}
	w := p.wallet
	var ready []btcutil.Address
	err := kvdb.View(w.opts.DB, func(tx kvdb.RTx) error {
		raw := tx.ReadBucket([]byte(coinsBucket)).Get([]byte(changeKey))
		if raw == nil {
			return nil
		}
		var list changeList
		if err := json.Unmarshal(raw, &list); err != nil || list.V != recordVersion {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		ns := tx.ReadBucket([]byte(addrmgrBucket))
		for _, text := range list.Addresses {
			addr, err := btcutil.DecodeAddress(text, w.opts.Params)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			managed, err := w.base.Manager.Address(ns, addr)
			if err != nil {
				return err
			}
			if !managed.Used(ns) {
				ready = append(ready, addr)
			}
		}

		return nil
	}, func() { ready = nil })
	if err != nil {
		return fmt.Errorf("wallet: read change addresses: %w", err)
	}
	p.ready, p.read = ready, true

	return nil
}
