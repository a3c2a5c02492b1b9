package peers_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/bench/measure"
	"github.com/loopstore/loopstore/internal/bench/peers"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// Only a store that keeps every promise may be timed.
func TestConformance(t *testing.T) {
	for _, p := range peers.All() {
		t.Run(p.Name, func(t *testing.T) {
			storetest.Run(t, storetest.Factory{Open: func(t testing.TB) store.RuntimeStore {
				s, err := p.Open()
				require.NoError(t, err)
				if p.Name == "buntdb" && strings.Contains(t.Name(), "/closing/") {
					t.Cleanup(func() { awaitManagers(t) })
				}
				return s
			}})
		})
	}
}

// An input comes back as it was written, even where a peer keeps it in JSON.
func TestInputsComeBackByteForByte(t *testing.T) {
	run := store.RunID{1}
	document := []byte(`{"id":"0195b1c2-0000-7000-8000-000000000001","messages":[],` +
		`"created_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"updated_at":{"secs_since_epoch":1,"nanos_since_epoch":0}}`)
	ways := []func(store.RuntimeStore, store.InputState) error{
		func(s store.RuntimeStore, state store.InputState) error {
			return s.PersistInputState(t.Context(), "a", state)
		},
		func(s store.RuntimeStore, state store.InputState) error {
			commit := store.LifecycleCommit{RuntimeState: store.RuntimeIdle, InputStates: []store.InputState{state}}
			return s.AtomicLifecycleCommit(t.Context(), "a", commit)
		},
		func(s store.RuntimeStore, state store.InputState) error {
			receipt := store.RunBoundaryReceipt{RunID: run, Boundary: store.RunStart}
			return s.AtomicApply(t.Context(), "a", store.BoundaryApply{Receipt: receipt, InputUpdates: []store.InputState{state}})
		},
		func(s store.RuntimeStore, state store.InputState) error {
			_, err := s.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{
				Session: store.SessionDelta{SessionSnapshot: document}, RunID: run, Boundary: store.RunStart,
				InputUpdates: []store.InputState{state},
			})
			return err
		},
	}
	inputs := []string{"", "{}", " [ 1.0E5,\n\t-0 ]\r\n", `{"a":"\u0041\/", "a" : null}`, "\"\u2028é\"\n\n"}
	for _, p := range peers.All() {
		s, err := p.Open()
		require.NoError(t, err, p.Name)
		for i, text := range inputs {
			state := store.NewInputState(store.InputID{1}, store.Time{})
			if text != "" {
				state.PersistedInput = []byte(text)
			}
			for way, put := range ways {
				require.NoError(t, put(s, state), "%s, input %d, way %d", p.Name, i, way)
				got, ok, err := s.LoadInputState(t.Context(), "a", state.InputID)
				require.NoError(t, err, p.Name)
				require.True(t, ok, p.Name)
				assert.Equal(t, state.PersistedInput, got.PersistedInput, "%s, input %d, way %d", p.Name, i, way)
				all, err := s.LoadInputStates(t.Context(), "a")
				require.NoError(t, err, p.Name)
				assert.Equal(t, []store.InputState{got}, all, "%s, input %d, way %d", p.Name, i, way)
			}
		}
		require.NoError(t, s.(io.Closer).Close(), p.Name)
	}
	awaitManagers(t)
}

// Every peer takes sessions of each format, and appends to them, as the first one does.
func TestSessionsAreOfAnyFormat(t *testing.T) {
	document := measure.Session(1 << 10)
	deltas := []store.SessionDelta{
		{SessionSnapshot: []byte("1\n[2]\n"), Format: store.FormatLines, Append: true},
		{SessionSnapshot: []byte("{}\n"), Format: store.FormatLines, Append: true},
		{SessionSnapshot: nil, Format: store.FormatLines, Append: true},
		{SessionSnapshot: []byte("half"), Format: store.FormatLines, Append: true},
		{SessionSnapshot: []byte("x"), Format: store.FormatOpaque, Append: true},
		{SessionSnapshot: []byte("\xff"), Format: store.FormatOpaque, Messages: 1<<64 - 1},
		{SessionSnapshot: []byte("\x00"), Format: store.FormatOpaque, Append: true, Messages: 7},
		{SessionSnapshot: []byte("3\n"), Format: store.FormatLines, Append: true},
		{SessionSnapshot: document},
		{SessionSnapshot: measure.Grown(document), Format: store.FormatMeerkat},
		{SessionSnapshot: []byte("4\n"), Format: store.FormatLines, Append: true},
		{SessionSnapshot: document, Append: true},
		{SessionSnapshot: document, Messages: 1},
		{SessionSnapshot: []byte("5\n"), Format: 9},
		{SessionSnapshot: []byte("6\n"), Format: store.FormatLines},
		{SessionSnapshot: []byte("7\n"), Format: store.FormatLines, Append: true},
		{SessionSnapshot: document, Format: store.FormatMeerkat},
	}
	sentinels := []error{store.ErrInvalidSnapshot, store.ErrInvalidValue}
	var want []string
	for _, p := range peers.All() {
		s, err := p.Open()
		require.NoError(t, err, p.Name)
		var got []string
		for i, d := range deltas {
			note := func(r store.RunBoundaryReceipt, err error) {
				for _, sentinel := range sentinels {
					if errors.Is(err, sentinel) {
						err = sentinel
					}
				}
				text, _, lost := s.LoadSessionSnapshot(t.Context(), "a")
				digest := ""
				if r.ConversationDigest != nil {
					digest = *r.ConversationDigest
				}
				got = append(got, fmt.Sprintf("%d: %v, %d messages, digest %s, %q, %v", i, err, r.MessageCount, digest, text, lost))
			}
			note(s.CommitSessionBoundary(t.Context(), "a", store.BoundaryCommit{Session: d, Boundary: store.RunStart}))
			note(store.RunBoundaryReceipt{}, s.AtomicApply(t.Context(), "a", store.BoundaryApply{
				Session: &d, Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart},
			}))
		}
		if want == nil {
			want = got
		}
		assert.Equal(t, want, got, p.Name)
		require.NoError(t, s.(io.Closer).Close(), p.Name)
	}
	awaitManagers(t)
}

// awaitManagers waits for the goroutines of BuntDB, which end up to a second after Close.
// Only the last chapter uses it: there the suite looks for goroutines that any chapter
// left behind, and the others need not wait.
func awaitManagers(t testing.TB) {
	const running = "buntdb.(*DB).backgroundManager"
	stacks := make([]byte, 1<<20)
	assert.Eventually(t, func() bool {
		return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), running)
	}, 10*time.Second, 50*time.Millisecond, "BuntDB's goroutines have not ended")
}

func TestAllAreToldApartAndCanBeClosed(t *testing.T) {
	names := map[string]bool{}
	for _, p := range peers.All() {
		assert.False(t, names[p.Name], "two are named %s", p.Name)
		names[p.Name] = true
		assert.NotEmpty(t, p.About)
		s, err := p.Open()
		require.NoError(t, err, p.Name)
		closer, ok := s.(io.Closer)
		require.True(t, ok, "%s has no Close", p.Name)
		require.NoError(t, closer.Close(), p.Name)
	}
	awaitManagers(t)
}
