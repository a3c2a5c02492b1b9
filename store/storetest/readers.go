package storetest

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func readers() []promise {
	return []promise{
		{words: "a reader shows what the operations find", try: readersAgree},
		{words: "a reader follows a runtime that is deleted and made again", try: needs[batch.Committer](readersFollow)},
		{words: "every reader sees a write that has returned, and keeps seeing it", try: readersSeeWhatReturned},
		{words: "the parts of a batch on several runtimes are seen together", try: needs[batch.Committer](func(tr *trial) { tr.batchesAreSeenWhole(tr.reader("a"), tr.reader("b")) })},
		{words: "a reader gets ErrClosed after Close", try: needs[io.Closer](readersAreClosed)},
	}
}

// read returns a reader's view.
func (tr *trial) read(reader look) *state.View {
	tr.Helper()
	v, err := reader(tr.Context())
	require.NoError(tr, err, "a reader")
	return v
}

func readersAgree(tr *trial) {
	a, none := tr.reader("a"), tr.reader("none")
	tr.isEmpty(tr.read(a), "a")
	tr.isEmpty(tr.read(none), "none")
	tr.fill("a")
	for mark := range uint32(3) {
		for _, w := range writes() {
			require.NoError(tr, w.do(tr.Context(), tr.store, "a", mark+1), w.name)
			want := tr.view("a")
			for range 2 {
				require.Equal(tr, want, tr.shown(tr.read(a)), "a reader that was used before, after %s", w.name)
			}
			require.Equal(tr, want, tr.shown(tr.read(tr.reader("a"))), "a new reader, after %s", w.name)
			require.Equal(tr, tr.read(tr.reader("a")).Version(), tr.read(a).Version(), "the version after %s", w.name)
		}
	}
	tr.isEmpty(tr.read(none), "none")
}

func readersFollow(tr *trial) {
	a := tr.reader("a")
	for mark := range uint32(4) {
		tr.isEmpty(tr.read(a), "a")
		tr.persist("a", attempted(1, mark+1))
		assert.Equal(tr, mark+1, markOf(tr.read(a)))
		tr.write(deleting("a"))
	}
}

// Some callers share a reader, and the others have their own.
func readersSeeWhatReturned(tr *trial) {
	shared := tr.reader("a")
	var begun, returned atomic.Uint32
	var over atomic.Bool
	err := together(callers, func(caller int) error {
		if caller == 0 {
			defer over.Store(true)
			for mark := uint32(1); mark <= uint32(repeats(400)); mark++ {
				begun.Store(mark)
				if err := tr.store.PersistInputState(tr.Context(), "a", attempted(1, mark)); err != nil {
					return err
				}
				returned.Store(mark)
				for range mark % 16 { // let others look
					runtime.Gosched()
				}
			}
			return nil
		}
		reader := shared
		if caller%2 == 0 {
			reader = tr.reader("a")
		}
		var seen uint32
		for !over.Load() {
			low := max(seen, returned.Load())
			v, err := reader(tr.Context())
			if err != nil {
				return err
			}
			if seen = markOf(v); seen < low || seen > begun.Load() {
				return fmt.Errorf("a reader shows mark %d, although mark %d had returned or was seen (the last write that began is %d)", seen, low, begun.Load())
			}
			runtime.Gosched()
		}
		return nil
	})
	require.NoError(tr, err)
}

func readersAreClosed(tr *trial) {
	tr.fill("a")
	looked, never, none := tr.reader("a"), tr.reader("a"), tr.reader("none")
	tr.read(looked)
	tr.read(none)
	tr.close()
	for _, reader := range []look{looked, never, none, tr.reader("a")} {
		_, err := reader(tr.Context())
		tr.refused("a reader", err, store.ErrClosed)
	}
}
