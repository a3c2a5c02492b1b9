package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
)

// An account is what the servers say of the account's storage. All partitions of an engine
// share it, so that they do not all ask.
type account struct {
	mu    sync.Mutex
	info  *js.AccountInfo // nil if nobody has answered
	until time.Time       // it is not asked for again
}

const (
	limitedFor   = time.Second // other streams use the account's storage up too
	unlimitedFor = time.Minute // also where nobody answers: the user may lack the right to ask
)

// left returns how many bytes a stream with so many replicas may still take, and how many
// it could have if there were no other.
func (a *account) left(ctx context.Context, e *Engine, replicas int) (left, total int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); now.After(a.until) {
		a.info, _ = once(ctx, e, e.js.AccountInfo)
		a.until = time.Now().Add(unlimitedFor)
		if a.info != nil && limited(a.info) {
			a.until = time.Now().Add(limitedFor)
		}
	}
	if a.info == nil {
		return endless, endless
	}
	return shareOf(a.info, replicas)
}

// limited reports whether an account has a limit of its storage.
func limited(info *js.AccountInfo) bool {
	for _, tier := range info.Tiers {
		if tier.Limits.MaxStore >= 0 {
			return true
		}
	}
	return info.Tiers == nil && info.Limits.MaxStore >= 0
}

// shareOf divides by the replicas, because the servers count each of them. An account's
// tier has its limit for one replica.
func shareOf(info *js.AccountInfo, replicas int) (left, total int64) {
	most, used, n := info.Limits.MaxStore, int64(info.Store), int64(replicas)
	if info.Tiers != nil {
		tier, ok := info.Tiers[fmt.Sprintf("R%d", replicas)]
		if !ok || tier.Limits.MaxStore < 0 {
			return endless, endless
		}
		most, used = tier.Limits.MaxStore*n, int64(tier.Store)
	}
	if most < 0 {
		return endless, endless
	}
	return (most - used) / n, most / n
}
