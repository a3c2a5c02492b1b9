package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// pieces are of what a journal may not take at once: what fillLarge makes is ten times
// what a batch of 64 KiB has room for.
func pieces() []promise {
	return []promise{
		{words: "an import has all that was exported", try: importsHaveAll},
		{words: "an import is seen whole or not at all", try: importsAreSeenWhole},
		{words: "a store that has held something takes no import", try: importsComeFirst},
		{words: "a write that comes during an import stands, and the import fails whole", try: writesStopImports},
		{words: "an import that fails leaves nothing, and a later one succeeds", try: failedImportsLeaveNothing},
		{words: "of imports at the same time one succeeds", try: oneImportSucceeds},
		{words: "a large runtime is deleted whole, and stays away", try: largeRuntimesAreDeletedWhole},
		{words: "a large runtime that is made again has no memory", try: largeRuntimesAreMadeAgain},
		{words: "Prune removes what WouldPrune says, however much it is", try: needs[pruner](muchIsPruned)},
		{words: "Export and Import are refused if the context has ended or the store is closed", try: endedImportsAreRefused},
	}
}

// archiver is a store with the Loop's Export and Import.
type archiver interface {
	Export(ctx context.Context, w io.Writer) error
	Import(ctx context.Context, r io.Reader) (store.Totals, error)
}

// lister is a store with the Loop's Runtimes.
type lister interface {
	Runtimes(ctx context.Context, listing state.Listing) iter.Seq2[state.RuntimeSummary, error]
}

func lacksPieces(f Factory, s store.RuntimeStore) (missing string) {
	return lacksAny(no[archiver], no[batch.Committer])(f, s)
}

// openLarge continues the trial with a new store, which keeps all versions if it can.
func (tr *trial) openLarge() {
	tr.Helper()
	if lacksPast(tr.factory, tr.store) == "" {
		tr.keeping(keepAll)
	} else {
		tr.open()
	}
}

// fillSmall makes two small runtimes.
func (tr *trial) fillSmall() {
	tr.Helper()
	tr.lifecycle("first", store.RuntimeIdle, accepted(1))
	tr.setRuntime("other", store.RuntimeRetired)
}

const (
	largeWrites   = 40
	largeInputs   = 200
	largeReceipts = 2000
	largeTexts    = 10
)

// fillLarge makes a runtime of some 800 KB, with many records of each kind, by writes of
// no more than 32 KB.
func (tr *trial) fillLarge() {
	tr.Helper()
	for n := range largeWrites {
		var writes []batch.Write
		for i := range largeReceipts / largeWrites {
			writes = append(writes, batch.PutReceipt{RuntimeID: "large", Receipt: largeReceipt(n*largeReceipts/largeWrites + i)})
		}
		for i := range largeInputs / largeWrites {
			input := store.NewInputState(store.InputID{'l', byte(n), byte(i)}, store.Time{})
			input.CurrentState = store.InputConsumed
			input.PersistedInput = fmt.Appendf(nil, `"%d of %d %s"`, i, n, strings.Repeat("x", 3000))
			writes = append(writes, putting("large", input))
		}
		tr.write(writes...)
	}
	for n := range largeTexts {
		a := applying(store.RunID{9}, uint64(n))
		a.Session = &store.SessionDelta{SessionSnapshot: bytes.Repeat(fmt.Appendf(nil, "%1000d", n), 20)}
		a.SessionStoreKey = &store.SessionID{byte(n % 2)}
		tr.apply("large", a)
	}
}

func largeReceipt(n int) store.RunBoundaryReceipt {
	return store.RunBoundaryReceipt{RunID: store.RunID{byte(n % 4)}, Boundary: store.Immediate, Sequence: uint64(n)}
}

func (tr *trial) export() string {
	tr.Helper()
	var b bytes.Buffer
	require.NoError(tr, tr.store.(archiver).Export(tr.Context(), &b), "Export")
	return b.String()
}

// tryImport imports a file.
func (tr *trial) tryImport(ctx context.Context, r io.Reader) error {
	held, err := tr.store.(archiver).Import(ctx, r)
	if s, ok := tr.store.(counted); ok && err == nil && s.Stats().Held != held {
		return fmt.Errorf("an Import returned %+v, and the store holds %+v", held, s.Stats().Held)
	}
	return err
}

func (tr *trial) importAll(file string) {
	tr.Helper()
	require.NoError(tr, tr.tryImport(tr.Context(), strings.NewReader(file)), "Import")
}

// exportedLarge returns an export of a store that was filled, and continues the trial
// with another, empty one.
func (tr *trial) exportedLarge() (file string) {
	tr.Helper()
	tr.openLarge()
	tr.fillSmall()
	tr.fillLarge()
	file = tr.export()
	require.Greater(tr, len(file), 10*64<<10, "ten batches of 64 KiB")
	tr.close()
	tr.openLarge()
	return file
}

// keeps checks that the store exports the same as want, and goes on to do so when it is
// reopened.
func (tr *trial) keeps(want, when string) {
	tr.Helper()
	require.True(tr, want == tr.export(), "%s: the store exports something else", when)
	if tr.factory.Reopen != nil {
		for range 2 {
			tr.reopen()
			require.True(tr, want == tr.export(), "%s: the store exports something else after it was reopened", when)
		}
	}
}

// A hook is a reader that ends at once, and does something first.
type hook func() error

func (h hook) Read([]byte) (int, error) {
	if err := h(); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// halfway reads a file, and calls do when half of it was read.
func halfway(file string, do func() error) io.Reader {
	half := len(file) / 2
	return io.MultiReader(strings.NewReader(file[:half]), hook(do), strings.NewReader(file[half:]))
}

// shownLarge returns what all ways of looking at the store show of it.
func (tr *trial) shownLarge() (all []string) {
	tr.Helper()
	for _, g := range tr.glances() {
		shown, err := g.shows(tr.Context())
		require.NoError(tr, err, g.name)
		all = append(all, shown)
	}
	return all
}

// alike compares what is shown, glance by glance.
func (tr *trial) alike(want, got []string, when string) {
	tr.Helper()
	for i, g := range tr.glances() {
		assert.Equal(tr, want[i], got[i], "%s: what %s shows", when, g.name)
	}
}

func importsHaveAll(tr *trial) {
	empty := tr.export()
	tr.importAll(empty)
	tr.keeps(empty, "an import of what was exported from an empty store")

	tr.openLarge()
	tr.fillSmall()
	tr.fillLarge()
	want, file := tr.shownLarge(), tr.export()
	tr.close()
	tr.openLarge()
	tr.importAll(file)
	tr.alike(want, tr.shownLarge(), "after an import")
	tr.keeps(file, "after an import")
	tr.alike(want, tr.shownLarge(), "after an import that was reopened")

	assert.EqualValues(tr, largeReceipts, tr.commit("large", committing(store.RunID{3})).Sequence, "the sequences go on")
	tr.persist("large", accepted(7))
	inputs := tr.inputs("large")
	require.Len(tr, inputs, largeInputs+1)
	assert.Equal(tr, store.InputID{7}, inputs[largeInputs].InputID, "the order of inputs goes on")
	tr.setRuntime("new", store.RuntimeIdle)
	tr.write(deleting("first"))
	tr.keeps(tr.export(), "after writes that follow an import")
}

func importsAreSeenWhole(tr *trial) {
	file := tr.exportedLarge()
	tr.changesAtOnce(func() error { return tr.tryImport(tr.Context(), strings.NewReader(file)) })
	tr.keeps(file, "after an import")
}

func importsComeFirst(tr *trial) {
	file := tr.exportedLarge()
	tr.setRuntime("a", store.RuntimeIdle)
	refused := func(when string) {
		before := tr.export()
		tr.refused("Import, "+when, tr.tryImport(tr.Context(), strings.NewReader(file)), store.ErrNotEmpty)
		tr.keeps(before, when)
	}
	refused("after a write")
	tr.write(deleting("a"))
	refused("after all was deleted")
	refused("after it was refused")
}

func writesStopImports(tr *trial) {
	file := tr.exportedLarge()
	write := func() error { return tr.store.PersistRuntimeState(tr.Context(), "first", store.RuntimeStopped) }
	require.NoError(tr, write())
	written := tr.withoutMoments(tr.shownLarge())
	tr.openLarge()
	tr.importAll(file)
	require.NoError(tr, write())
	both := tr.withoutMoments(tr.shownLarge())
	holds := func(want []string, when string) {
		tr.Helper()
		require.Equal(tr, want, tr.withoutMoments(tr.shownLarge()), when)
		tr.keeps(tr.export(), when)
		require.Equal(tr, want, tr.withoutMoments(tr.shownLarge()), "%s: after it was reopened", when)
	}

	tr.openLarge()
	tr.refused("Import, with a write while it reads", tr.tryImport(tr.Context(), halfway(file, write)), store.ErrNotEmpty)
	holds(written, "after a write while an import reads")
	for n := range repeats(12) {
		tr.openLarge()
		var outcome error
		wait := func() {}
		err := tr.tryImport(tr.Context(), io.MultiReader(strings.NewReader(file), hook(func() error {
			wait = tr.behind(4*n, func() { outcome = write() }) // one comes between each two pieces, or so
			return nil
		})))
		wait()
		require.NoError(tr, outcome, "a write during an import")
		if err == nil {
			holds(both, "after a write that came behind an import")
			continue
		}
		tr.refused("Import, with a write while it stores", err, store.ErrNotEmpty)
		holds(written, "after a write during an import")
		tr.close()
	}
}

func failedImportsLeaveNothing(tr *trial) {
	file := tr.exportedLarge()
	empty := tr.export()
	unreadable, cancelled := errors.New("it cannot be read"), context.Canceled
	for n, c := range []struct {
		words  string
		reader func(cancel func()) io.Reader
		want   error // nil for any
	}{
		{"a reader that fails", func(func()) io.Reader {
			return halfway(file, func() error { return unreadable })
		}, unreadable},
		{"a context that ends while it reads", func(cancel func()) io.Reader {
			return halfway(file, func() error { cancel(); return nil })
		}, cancelled},
		{"a context that ends when all is read", func(cancel func()) io.Reader {
			return io.MultiReader(strings.NewReader(file), hook(func() error { cancel(); return nil }))
		}, cancelled},
		{"a file that ends early", func(func()) io.Reader { return strings.NewReader(file[:len(file)/2]) }, nil},
		{"a file without its last line", func(func()) io.Reader {
			return strings.NewReader(file[:1+strings.LastIndexByte(file[:len(file)-1], '\n')])
		}, nil},
		{"a file with another letter", func(func()) io.Reader {
			at := strings.LastIndex(file, "xxxx")
			return strings.NewReader(file[:at] + "y" + file[at+1:])
		}, nil},
	} {
		tr.openLarge()
		ctx, cancel := context.WithCancel(tr.Context())
		err := tr.tryImport(ctx, c.reader(cancel))
		cancel()
		require.Error(tr, err, "Import of %s", c.words)
		if c.want != nil {
			require.ErrorIs(tr, err, c.want, "Import of %s", c.words)
		}
		if n%2 == 0 {
			tr.keeps(empty, c.words)
		}
		tr.importAll(file)
		tr.keeps(file, c.words)
		tr.close()
	}
	for n := range repeats(12) { // the context ends while it stores
		tr.openLarge()
		ctx, cancel := context.WithCancel(tr.Context())
		wait := cancel
		err := tr.tryImport(ctx, io.MultiReader(strings.NewReader(file), hook(func() error {
			wait = tr.behind(4*n, cancel)
			return nil
		})))
		wait()
		if err != nil {
			tr.refused("Import, cancelled while it stores", err, cancelled)
			if n%2 == 0 {
				tr.keeps(empty, "an import that was cancelled while it stored")
			}
			tr.importAll(file)
		}
		tr.keeps(file, "an import that was cancelled while it stored")
		tr.close()
	}
}

func oneImportSucceeds(tr *trial) {
	file := tr.exportedLarge()
	outcomes := make([]error, 4)
	require.NoError(tr, together(len(outcomes), func(n int) error {
		outcomes[n] = tr.tryImport(tr.Context(), strings.NewReader(file))
		return nil
	}))
	done := 0
	for _, err := range outcomes {
		if err == nil {
			done++
		} else {
			tr.refused("Import beside another one", err, store.ErrNotEmpty)
		}
	}
	require.Equal(tr, 1, done, "imports that succeeded")
	tr.keeps(file, "after imports at the same time")
}

// smallAndLarge fills the store, and returns what is held without what is large.
func (tr *trial) smallAndLarge() (small []string) {
	tr.Helper()
	tr.openLarge()
	tr.fillSmall()
	small = tr.shownLarge()
	tr.fillLarge()
	return small
}

// withoutMoments returns what is shown but for what has the store's revision.
func (tr *trial) withoutMoments(shown []string) (rest []string) {
	for i, g := range tr.glances() {
		if !g.moment {
			rest = append(rest, shown[i])
		}
	}
	return rest
}

func largeRuntimesAreDeletedWhole(tr *trial) {
	small := tr.smallAndLarge()
	tr.changesAtOnce(func() error {
		_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{deleting("large")}})
		return err
	})
	gone := tr.shownLarge()
	require.Equal(tr, tr.withoutMoments(small), tr.withoutMoments(gone), "what is left of a large runtime")
	tr.keeps(tr.export(), "after a large runtime was deleted")
	tr.alike(gone, tr.shownLarge(), "after it was reopened")
}

func largeRuntimesAreMadeAgain(tr *trial) {
	tr.smallAndLarge()
	large := tr.shownLarge()
	for turn := range 3 {
		tr.write(deleting("large"))
		if turn == 1 && tr.factory.Reopen != nil {
			tr.reopen()
		}
		require.EqualValues(tr, 0, tr.commit("large", committing(store.RunID{1})).Sequence, "the first sequence of a runtime that is made again")
		tr.persist("large", accepted(7))
		again := func(when string) {
			require.Len(tr, tr.inputs("large"), 1, when)
			for n := range largeReceipts {
				_, ok, err := tr.store.LoadBoundaryReceipt(tr.Context(), "large", store.RunID{byte(n % 4)}, uint64(n))
				require.NoError(tr, err)
				require.False(tr, ok, "%s: receipt %d of the runtime before", when, n)
			}
		}
		again("a runtime that is made again")
		tr.keeps(tr.export(), "a runtime that is made again")
		again("a runtime that is made again, after it was reopened")
		tr.write(deleting("large"))
		tr.fillLarge()
		require.Equal(tr, tr.withoutMoments(large), tr.withoutMoments(tr.shownLarge()), "a large runtime that is made again")
		tr.keeps(tr.export(), "a large runtime that is made again")
	}
}

func muchIsPruned(tr *trial) {
	keep := store.Retention{
		Runs: 2, ReceiptsPerRun: 5, Inputs: store.Keep{Last: 100}, Payloads: store.Keep{Last: 10}, Sessions: store.Keep{Last: 2},
	}
	for n := range repeats(8) {
		tr.smallAndLarge()
		p := tr.store.(pruner)
		would, err := p.WouldPrune(tr.Context(), "large", keep)
		require.NoError(tr, err, "WouldPrune")
		require.Equal(tr, []int{3, largeInputs - 100, 90}, []int{would.Runs, would.InputStates, would.Payloads}, "WouldPrune")
		var did state.Removed
		if n > 0 { // the first ones end early
			ctx, cancel := context.WithCancel(tr.Context())
			wait := tr.behind(2*n, cancel)
			did, err = p.Prune(ctx, "large", keep)
			wait()
			if err != nil {
				tr.refused("Prune", err, context.Canceled)
				partial, ok := errors.AsType[*state.PartialError](err)
				require.Equal(tr, did != state.Removed{}, ok, "a Prune that ends early says what it has removed: %v", err)
				if ok {
					require.Equal(tr, did, partial.Removed, "what Prune returns, and its error")
				}
			}
		}
		if n%2 == 1 && tr.factory.Reopen != nil {
			tr.reopen()
			p = tr.store.(pruner)
		}
		rest, err := p.Prune(tr.Context(), "large", keep)
		require.NoError(tr, err, "Prune")
		require.Equal(tr, would, did.Plus(rest), "Prune removes what WouldPrune has said")
		for _, look := range []func(context.Context, store.RuntimeID, store.Retention) (state.Removed, error){p.WouldPrune, p.Prune} {
			more, err := look(tr.Context(), "large", keep)
			require.NoError(tr, err)
			require.Zero(tr, more, "there is no more to remove")
		}
		require.Len(tr, tr.inputs("large"), 100, "after Prune")
		tr.keeps(tr.export(), "after Prune")
		tr.close()
	}
}

// behind does f on a goroutine of its own, after some loads, and returns what waits for it.
func (tr *trial) behind(loads int, f func()) (wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range loads {
			_, _, _ = tr.store.LoadRuntimeState(tr.Context(), "first")
		}
		f()
	}()
	return func() { <-done }
}

func endedImportsAreRefused(tr *trial) {
	tr.fillSmall()
	file := tr.export()
	tr.open()
	empty := tr.export()
	refuse := func(ctx context.Context, want error) {
		tr.refused("Export", tr.store.(archiver).Export(ctx, io.Discard), want)
		tr.refused("Import", tr.tryImport(ctx, strings.NewReader(file)), want)
	}
	for _, e := range tr.ended() {
		refuse(e.ctx, e.err)
	}
	tr.keeps(empty, "after calls under contexts that have ended")
	tr.importAll(file)
	if has[io.Closer](tr) {
		tr.close()
		refuse(tr.Context(), store.ErrClosed)
	}
}
