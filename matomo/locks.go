package matomo

import (
	"context"
	"sync"

	"github.com/matomo-scim/bridge/matomo/access"
)

// keyLock lets one goroutine at a time work on a set of logins. Matomo's
// setUserAccess deletes rows and inserts others without a transaction: two
// calls for one login at once were seen to leave two roles on a site. A set is
// taken as a whole, so two callers cannot wait for each other.
type keyLock struct {
	mu   sync.Mutex // guards held
	held map[string]chan struct{}
}

// lock waits until none of the logins is held, then holds them all; the
// function returned lets them go.
func (k *keyLock) lock(ctx context.Context, logins []string) (unlock func(), err error) {
	keys := make([]string, len(logins))
	for i, l := range logins {
		keys[i] = access.FoldLogin(l)
	}
	mine := make(chan struct{})
	for {
		k.mu.Lock()
		busy := k.firstHeldLocked(keys)
		if busy == nil {
			for _, key := range keys {
				k.held[key] = mine
			}
			k.mu.Unlock()
			return func() { k.release(keys, mine) }, nil
		}
		k.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// firstHeldLocked returns what to wait for, or nil when all keys are free.
func (k *keyLock) firstHeldLocked(keys []string) chan struct{} {
	for _, key := range keys {
		if ch, ok := k.held[key]; ok {
			return ch
		}
	}
	return nil
}

// release lets the keys go and wakes everybody who waits for one of them.
func (k *keyLock) release(keys []string, mine chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, key := range keys {
		delete(k.held, key)
	}
	close(mine)
}
