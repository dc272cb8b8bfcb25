package chain

import (
	"sync"

	"github.com/lightningnetwork/lnd/chainntnfs"
)

// maxHints bounds a memoryHints. Forgetting hints costs only time.
const maxHints = 10_000

// memoryHints is a HintCache that a restart forgets.
type memoryHints struct {
	mu     sync.Mutex
	spends map[chainntnfs.SpendRequest]uint32 // guarded by mu
	confs  map[chainntnfs.ConfRequest]uint32  // guarded by mu
}

func newMemoryHints() *memoryHints {
	return &memoryHints{
		spends: make(map[chainntnfs.SpendRequest]uint32),
		confs:  make(map[chainntnfs.ConfRequest]uint32),
	}
}

func remember[K comparable](hints map[K]uint32, height uint32, keys []K) {
	for _, key := range keys {
		if len(hints) >= maxHints {
			clear(hints)
		}
		hints[key] = height
	}
}

// CommitSpendHint implements chainntnfs.SpendHintCache.
func (m *memoryHints) CommitSpendHint(height uint32, reqs ...chainntnfs.SpendRequest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	remember(m.spends, height, reqs)
	return nil
}

// QuerySpendHint implements chainntnfs.SpendHintCache.
func (m *memoryHints) QuerySpendHint(req chainntnfs.SpendRequest) (uint32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	height, ok := m.spends[req]
	if !ok {
		return 0, chainntnfs.ErrSpendHintNotFound
	}
	return height, nil
}

// PurgeSpendHint implements chainntnfs.SpendHintCache.
func (m *memoryHints) PurgeSpendHint(reqs ...chainntnfs.SpendRequest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, req := range reqs {
		delete(m.spends, req)
	}
	return nil
}

// CommitConfirmHint implements chainntnfs.ConfirmHintCache.
func (m *memoryHints) CommitConfirmHint(height uint32, reqs ...chainntnfs.ConfRequest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	remember(m.confs, height, reqs)
	return nil
}

// QueryConfirmHint implements chainntnfs.ConfirmHintCache.
func (m *memoryHints) QueryConfirmHint(req chainntnfs.ConfRequest) (uint32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	height, ok := m.confs[req]
	if !ok {
		return 0, chainntnfs.ErrConfirmHintNotFound
	}
	return height, nil
}

// PurgeConfirmHint implements chainntnfs.ConfirmHintCache.
func (m *memoryHints) PurgeConfirmHint(reqs ...chainntnfs.ConfRequest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, req := range reqs {
		delete(m.confs, req)
	}
	return nil
}
