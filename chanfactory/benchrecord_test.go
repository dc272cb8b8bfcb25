package chanfactory_test

import (
	"sync"
	"time"
)

// record is a list that can be waited on.
type record[T any] struct {
	mu      sync.Mutex
	items   []T
	taken   map[int]bool
	changed chan struct{}
}

func newRecord[T any]() *record[T] {
	return &record[T]{taken: map[int]bool{}, changed: make(chan struct{})}
}

func (r *record[T]) add(item T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items = append(r.items, item)
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *record[T]) all() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]T(nil), r.items...)
}

// await takes the first item that matches and was not taken before.
func (r *record[T]) await(match func(T) bool) (T, bool) {
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		for i, item := range r.items {
			if !r.taken[i] && match(item) {
				r.taken[i] = true
				r.mu.Unlock()
				return item, true
			}
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			var none T
			return none, false
		}
	}
}
