package jetstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	js "github.com/nats-io/nats.go/jetstream"
)

// An account is what is known of the account's storage, which all streams of an account
// use up. It is what the servers said when they were asked last, and what the partitions of
// this engine have stored and given back since.
type account struct {
	mu     sync.Mutex
	info   *js.AccountInfo // nil if nobody has answered
	asked  time.Time
	since  int64     // bytes of all replicas, stored since the servers were believed
	belief time.Time // when they were
}

const (
	nearLimit = time.Second     // how often the account is asked for, if its limit is near
	lag       = 3 * time.Second // after which the servers have told each other what they have
)

// take notes what was stored, or given back if it is negative.
func (a *account) take(bytes int64, replicas int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.since += bytes * int64(replicas)
}

// left returns how many bytes a stream with so many replicas may still take, and how many
// it could have if there were no other. What is known may be as old as age.
func (a *account) left(ctx context.Context, e *Engine, replicas int, age time.Duration) (left, total int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.info == nil || !limited(a.info) { // nobody answers a user who lacks the right to ask
		age = askEvery
	}
	if time.Since(a.asked) >= age {
		a.ask(ctx, e)
	}
	if a.info == nil {
		return endless, endless
	}
	return shareOf(a.info, replicas, a.since)
}

// ask asks the servers. Those of a cluster may not know yet what each other has stored, so
// within a moment after the last time they are not believed that there is more room.
func (a *account) ask(ctx context.Context, e *Engine) {
	a.asked = time.Now()
	ctx, cancel := e.within(ctx)
	defer cancel()
	info, err := e.js.AccountInfo(ctx)
	switch {
	case err != nil:
	case a.info != nil && time.Since(a.belief) < lag && used(info) < used(a.info)+a.since:
	default:
		a.info, a.since, a.belief = info, 0, time.Now()
	}
}

// used returns how many bytes an account uses.
func used(info *js.AccountInfo) (bytes int64) {
	bytes = int64(info.Store)
	for _, tier := range info.Tiers {
		bytes += int64(tier.Store)
	}
	return bytes
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
func shareOf(info *js.AccountInfo, replicas int, since int64) (left, total int64) {
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
	return (most - used - since) / n, most / n
}
