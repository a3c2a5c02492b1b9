package archive_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/state"
)

// busy returns a State of so many runtimes, each with inputs, receipts and a
// session document of some KB.
func busy(b *testing.B, runtimes, messages int) *state.State {
	held := new(state.State)
	for i := range runtimes {
		for n := range 4 {
			input := store.NewInputState(store.NewInputID(), store.Time{})
			input.PersistedInput = []byte(`{"input_type":"prompt","message":"hello"}`)
			_, err := ops.Run(held, ops.CommitSessionBoundary{RuntimeID: store.RuntimeID(strings.Repeat("r", 1+i%9) + input.InputID.String()[:8]), Commit: store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: documentOf(store.NewSessionID(), messages+n, "x")},
				RunID:   store.NewRunID(), Boundary: store.RunStart, InputUpdates: []store.InputState{input},
			}})
			require.NoError(b, err)
		}
	}
	return held
}

func eachSize(b *testing.B, run func(*testing.B, *state.State)) {
	for name, size := range map[string][2]int{"of=records": {500, 1}, "of=snapshots": {10, 20_000}} {
		b.Run(name, func(b *testing.B) { run(b, busy(b, size[0], size[1])) })
	}
}

func BenchmarkWrite(b *testing.B) {
	eachSize(b, func(b *testing.B, held *state.State) {
		var file bytes.Buffer
		require.NoError(b, archive.Write(&file, held.Image()))
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			require.NoError(b, archive.Write(io.Discard, held.Image()))
		}
	})
}

func BenchmarkRead(b *testing.B) {
	eachSize(b, func(b *testing.B, held *state.State) {
		var file bytes.Buffer
		require.NoError(b, archive.Write(&file, held.Image()))
		b.SetBytes(int64(file.Len()))
		for b.Loop() {
			_, err := archive.Read(bytes.NewReader(file.Bytes()))
			require.NoError(b, err)
		}
	})
}
