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
	for _, size := range []struct {
		name    string
		bytes   int
		callers []int
	}{{"10KB", 10 << 10, []int{1, 8}}, {"1MB", 1 << 20, []int{1, 8}}, {"10MB", 10 << 20, []int{1}}} {
		cells = append(cells, forCallers("commit=appended/session="+size.name, size.callers, commitsOfAppended(size.bytes))...)
	}
	cells = append(cells, forCallers("commit=grown_lines/session=1MB", []int{1}, commitsOfSecond(store.FormatLines, func() (first, second []byte) {
		lines := Lines(1 << 20)
		return lines, append(lines, line...)
	}))...)
	return append(cells, forCallers("commit=counted/session=1MB", []int{1}, commitsOfSecond(store.FormatMeerkat, func() (first, second []byte) {
		return Counted(1<<20, 999), Grown(Counted(1<<20, 1000))
	}))...)
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

func commitsOfGrown(size int) func(context.Context, *bench) error {
	return commitsOfSecond(store.FormatUnset, func() (first, second []byte) {
		session := Session(size)
		return session, Grown(session)
	})
}

// commitsOfSecond commits the second session once in each of a caller's runtimes. Then
// it commits the first, which is not measured.
func commitsOfSecond(format store.Format, sessions func() (first, second []byte)) func(context.Context, *bench) error {
	return func(_ context.Context, b *bench) error {
		first, second := sessions()
		spread(b, len(first), 1, [2]store.SessionDelta{{SessionSnapshot: first, Format: format}, {SessionSnapshot: second, Format: format}})
		return b.open()
	}
}

// commitsOfAppended appends a line to each of a caller's runtimes, until they have grown
// by an eighth or once. Then it commits the lines as they were before, which is not
// measured.
func commitsOfAppended(size int) func(context.Context, *bench) error {
	return func(_ context.Context, b *bench) error {
		spread(b, size, max(1, size/len(line)/8), [2]store.SessionDelta{
			{SessionSnapshot: Lines(size), Format: store.FormatLines},
			{SessionSnapshot: []byte(line), Format: store.FormatLines, Append: true},
		})
		return b.open()
	}
}

// spread has each call commit the second delta, in another of a caller's runtimes. They
// all begin with the first, of about size bytes, and do so again after so many times.
func spread(b *bench, size, times int, deltas [2]store.SessionDelta) {
	const most, ample = 64, 4 << 20 // runtimes and bytes for each caller
	n := max(1, min(most, ample/size))
	b.span = n * times
	ids := runtimeIDs(b.callers * n)
	b.call = func(ctx context.Context, caller, i int) error {
		return commitDelta(ctx, b.store, ids[caller*n+i%n], deltas[1])
	}
	b.renew = func(ctx context.Context) error {
		return b.spread(ctx, n, func(ctx context.Context, caller, i int) error {
			return commitDelta(ctx, b.store, ids[caller*n+i%n], deltas[0])
		})
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
