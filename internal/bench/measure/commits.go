package measure

import (
	"context"
	"errors"
	"fmt"

	"github.com/loopstore/loopstore/store"
)

var sessionSizes = []struct {
	name  string
	bytes int
}{{"1KB", 1 << 10}, {"10KB", 10 << 10}, {"100KB", 100 << 10}, {"1MB", 1 << 20}}

func commitCells() (cells []cell) {
	for _, size := range sessionSizes {
		counts := []int{1, 8}
		cells = append(cells, forCallers("commit=scratch/session="+size.name, counts, commitsFromScratch(size.bytes))...)
		cells = append(cells, forCallers("commit=grown/session="+size.name, counts, commitsOfGrown(size.bytes))...)
	}
	return cells
}

func commitsFromScratch(size int) func(context.Context, *bench) error {
	return func(_ context.Context, b *bench) error {
		sessions, ids := Sessions(size), runtimeIDs(b.callers)
		b.call = func(ctx context.Context, caller, i int) error {
			return commit(ctx, b.store, ids[caller], sessions[i%2])
		}
		return b.open()
	}
}

// commitsOfGrown commits a grown session once in each of a caller's runtimes. Then it
// commits the session as it was before, which is not measured.
func commitsOfGrown(size int) func(context.Context, *bench) error {
	return func(_ context.Context, b *bench) error {
		const most, ample = 64, 4 << 20 // runtimes and bytes for each caller
		session := Session(size)
		grown := Grown(session)
		b.span = max(1, min(most, ample/size))
		ids := runtimeIDs(b.callers * b.span)
		b.call = func(ctx context.Context, caller, i int) error {
			return commit(ctx, b.store, ids[caller*b.span+i%b.span], grown)
		}
		b.renew = func(ctx context.Context) error {
			return b.spread(ctx, b.span, func(ctx context.Context, caller, i int) error {
				return commit(ctx, b.store, ids[caller*b.span+i%b.span], session)
			})
		}
		return b.open()
	}
}

// growthCells commit to a run that has many receipts.
func growthCells() (cells []cell) {
	for _, receipts := range []int{0, 1_000, 10_000, 100_000, 1_000_000} {
		cells = append(cells, cell{
			name: fmt.Sprintf("growth/receipts=%d", receipts), callers: 1, keep: true,
			setUp: func(_ context.Context, b *bench) error { setUpGrowth(b, receipts); return nil },
		})
	}
	return cells
}

func setUpGrowth(b *bench, receipts int) {
	const id = store.RuntimeID("runtime")
	sessions := Sessions(1 << 10)
	b.span = max(64, receipts/8)
	b.renew = func(ctx context.Context) error {
		if err := b.open(); err != nil {
			return err
		}
		for i := range receipts {
			err := b.store.AtomicApply(ctx, id, store.BoundaryApply{
				Receipt: store.RunBoundaryReceipt{Boundary: store.RunCheckpoint, Sequence: uint64(i)},
			})
			if err != nil {
				return fmt.Errorf("filling it: %w", err)
			}
		}
		return errors.Join(commit(ctx, b.store, id, sessions[1]), warm(ctx, b.store)) // the next call commits sessions[0], because b.span is even
	}
	b.call = func(ctx context.Context, _, i int) error { return commit(ctx, b.store, id, sessions[i%2]) }
}

// warm makes the first calls of a new store, so that they are not measured. They store
// nothing.
func warm(ctx context.Context, s store.RuntimeStore) error {
	for range 200 {
		if _, _, err := s.LoadRuntimeState(ctx, "nobody"); err != nil {
			return fmt.Errorf("warming it: %w", err)
		}
	}
	return nil
}
