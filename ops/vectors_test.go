package ops_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
)

// The vectors are answers of Meerkat. They are read from the directory that
// LOOPSTORE_VECTORS names, or from ../shared/vectors beside the repository.
func vectorsDir(t *testing.T) string {
	dir := os.Getenv("LOOPSTORE_VECTORS")
	named := dir != ""
	if !named {
		dir = filepath.Join("..", "..", "shared", "vectors")
	}
	if _, err := os.Stat(dir); err != nil && !named {
		t.Skip("no vectors: set LOOPSTORE_VECTORS to their directory")
	}
	return dir
}

// A score counts the cases of a file.
type score struct {
	t             *testing.T
	agreed, total int
}

// add counts a case. One that disagrees fails the test, unless it is a
// difference that is meant.
func (s *score) add(name string, agrees, meant bool, why ...any) {
	s.total++
	switch {
	case agrees:
		s.agreed++
	case !meant:
		s.t.Errorf("%s: %s", name, fmt.Sprint(why...))
	}
}

func TestVectors(t *testing.T) {
	dir := vectorsDir(t)
	readers := map[string]func(*testing.T, []byte, *score){
		"sessions.json":       sessionVectors,
		"accepted_edges.json": snapshotVectors,
		"rejected.json":       snapshotVectors,
		"serializations.json": serializationVectors,
		"decode.json":         decodeVectors,
		"traces.json":         traceVectors,
	}
	found := 0
	for _, file := range slices.Sorted(maps.Keys(readers)) {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		found++
		t.Run(file, func(t *testing.T) {
			s := &score{t: t}
			readers[file](t, data, s)
			fmt.Printf("vectors %s: %d of %d\n", file, s.agreed, s.total)
			require.NotZero(t, s.total, "no cases")
		})
	}
	require.NotZero(t, found, "%s has no vectors", dir)
}

// A snapshotCase is one snapshot with Meerkat's answer to its commit.
type snapshotCase struct {
	Name     string `json:"name"`
	Snapshot []byte `json:"snapshot_b64"`
	OK       bool   `json:"ok"`
	Digest   string `json:"conversation_digest"`
	Messages uint64 `json:"message_count"`
}

// check commits the snapshot to a store of its own.
func (c *snapshotCase) check(t *testing.T, s *score, name string) {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	commit := store.BoundaryCommit{
		Session:  store.SessionDelta{SessionSnapshot: c.Snapshot},
		Boundary: store.RunCheckpoint,
	}
	receipt, err := loop.CommitSessionBoundary(t.Context(), "vectors", commit)
	kept, ok, loadErr := loop.LoadSessionSnapshot(t.Context(), "vectors")
	require.NoError(t, loadErr)
	if !c.OK {
		s.add(name, errors.Is(err, store.ErrInvalidSnapshot) && !ok, false, "not refused: ", err)
		return
	}
	agrees := err == nil && *receipt.ConversationDigest == c.Digest &&
		receipt.MessageCount == c.Messages && receipt.Sequence == 0 && bytes.Equal(kept, c.Snapshot)
	s.add(name, agrees, false, "receipt ", receipt, " error ", err)
}

func snapshotVectors(t *testing.T, data []byte, s *score) {
	for _, c := range decode[[]snapshotCase](t, data) {
		c.check(t, s, c.Name)
	}
}

func sessionVectors(t *testing.T, data []byte, s *score) {
	type group struct {
		Name      string         `json:"name"`
		Canonical snapshotCase   `json:"canonical"`
		Variants  []snapshotCase `json:"variants"`
	}
	for _, g := range decode[[]group](t, data) {
		for _, c := range append([]snapshotCase{g.Canonical}, g.Variants...) {
			c.check(t, s, g.Name+"/"+c.Name)
		}
	}
}

// rewrites reads a value of a type and writes it again.
var rewrites = map[string]func(text []byte) ([]byte, error){
	"RuntimeState":           rewrite[store.RuntimeState],
	"RunApplyBoundary":       rewrite[store.RunApplyBoundary],
	"InputLifecycleState":    rewrite[store.InputLifecycleState],
	"InputAbandonReason":     rewrite[store.AbandonReason],
	"InputTerminalOutcome":   rewrite[store.TerminalOutcome],
	"ReconstructionSource":   rewrite[store.ReconstructionSource],
	"ApplyMode":              rewrite[store.ApplyMode],
	"WakeMode":               rewrite[store.WakeMode],
	"QueueMode":              rewrite[store.QueueMode],
	"ConsumePoint":           rewrite[store.ConsumePoint],
	"InputDurability":        rewrite[store.InputDurability],
	"PolicyDecision":         rewrite[store.PolicyDecision],
	"PolicySnapshot":         rewrite[store.PolicySnapshot],
	"DateTime<Utc>":          rewrite[store.Time],
	"InputState":             rewrite[store.InputState],
	"InputStateHistoryEntry": rewrite[store.HistoryEntry],
	"RunBoundaryReceipt":     rewrite[store.RunBoundaryReceipt],
	"LogicalRuntimeId":       rewrite[store.RuntimeID],
	"RunId":                  rewrite[store.RunID],
	"InputId":                rewrite[store.InputID],
	"SessionId":              rewrite[store.SessionID],
	"Input":                  rewriteInput,
}

func rewrite[T any](text []byte) ([]byte, error) {
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, err
	}
	return encode(v)
}

// encode is json.Marshal without the escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// rewriteInput takes an input through the state that holds it.
func rewriteInput(text []byte) ([]byte, error) {
	state := store.NewInputState(store.InputID{1}, store.Time{})
	state.PersistedInput = jsontext.Value(text)
	out, err := encode(state)
	if err != nil {
		return nil, err
	}
	var again store.InputState
	err = json.Unmarshal(out, &again)
	return again.PersistedInput, err
}

func serializationVectors(t *testing.T, data []byte, s *score) {
	type row struct{ Type, Name, JSON string }
	for _, r := range decode[[]row](t, data) {
		rewrite := rewrites[r.Type]
		if rewrite == nil { // not a value of the store's
			s.add(r.Type, false, true)
			continue
		}
		got, err := rewrite([]byte(r.JSON))
		s.add(r.Type+" "+r.Name, err == nil && string(got) == r.JSON, false, string(got), err)
	}
}

func decodeVectors(t *testing.T, data []byte, s *score) {
	type row struct {
		Type, Name, JSON string
		OK               bool
		Reserialized     string
	}
	for _, r := range decode[[]row](t, data) {
		rewrite := rewrites[r.Type]
		if rewrite == nil {
			s.add(r.Type, false, true)
			continue
		}
		got, err := rewrite([]byte(r.JSON))
		agrees := r.OK && err == nil && string(got) == r.Reserialized || !r.OK && errors.Is(err, store.ErrInvalidValue)
		s.add(r.Type+" "+r.Name, agrees, false, string(got), " error ", err)
	}
}

// A traceOp is one operation of a trace, with its arguments and its answer.
type traceOp struct {
	Op   string `json:"op"`
	Args struct {
		Runtime      store.RuntimeID          `json:"runtime_id"`
		Run          store.RunID              `json:"run_id"`
		Sequence     uint64                   `json:"sequence"`
		Input        store.InputID            `json:"input_id"`
		Snapshot     *[]byte                  `json:"session_snapshot_b64"`
		Boundary     store.RunApplyBoundary   `json:"boundary"`
		Contributing []store.InputID          `json:"contributing_input_ids"`
		Updates      []store.InputState       `json:"input_updates"`
		Receipt      store.RunBoundaryReceipt `json:"receipt"`
		SessionKey   *store.SessionID         `json:"session_store_key"`
		State        json.RawMessage          `json:"state"`
		RuntimeState store.RuntimeState       `json:"runtime_state"`
		InputStates  []store.InputState       `json:"input_states"`
	} `json:"args"`
	Result struct {
		OK  json.RawMessage `json:"ok"`
		Err *string         `json:"err"`
	} `json:"result"`
}

func traceVectors(t *testing.T, data []byte, s *score) {
	type trace struct {
		Name string    `json:"name"`
		Ops  []traceOp `json:"ops"`
	}
	for _, tr := range decode[[]trace](t, data) {
		loop := loopstore.New(loopstore.Options{})
		wrapped := map[store.RuntimeID]bool{}
		for i, op := range tr.Ops {
			got, err := op.run(t, loop)
			name := fmt.Sprintf("%s %d %s", tr.Name, i, op.Op)
			if errors.Is(err, store.ErrSequenceExhausted) && op.Result.Err == nil {
				// The deliberate difference: here Meerkat starts again at 0.
				// What it keeps of this runtime is another thing from now on.
				wrapped[op.Args.Runtime] = true
			}
			agrees := (err != nil) == (op.Result.Err != nil) && (err != nil || got == compact(t, op.Result.OK))
			s.add(name, agrees, wrapped[op.Args.Runtime], "got ", got, " error ", err)
		}
		require.NoError(t, loop.Close())
	}
}

// run does the operation and returns its answer as JSON.
func (op *traceOp) run(t *testing.T, s store.RuntimeStore) (string, error) {
	ctx, a := t.Context(), &op.Args
	delta := func() *store.SessionDelta {
		if a.Snapshot == nil {
			return nil
		}
		return &store.SessionDelta{SessionSnapshot: *a.Snapshot}
	}
	switch op.Op {
	case "commit_session_boundary":
		receipt, err := s.CommitSessionBoundary(ctx, a.Runtime, store.BoundaryCommit{
			Session: *delta(), RunID: a.Run, Boundary: a.Boundary,
			ContributingInputIDs: a.Contributing, InputUpdates: a.Updates,
		})
		return answer(t, receipt, true), err
	case "atomic_apply":
		return "null", s.AtomicApply(ctx, a.Runtime, store.BoundaryApply{
			Session: delta(), Receipt: a.Receipt, InputUpdates: a.Updates, SessionStoreKey: a.SessionKey,
		})
	case "load_input_states":
		states, err := s.LoadInputStates(ctx, a.Runtime)
		return answer(t, states, true), err
	case "load_input_state":
		state, ok, err := s.LoadInputState(ctx, a.Runtime, a.Input)
		return answer(t, state, ok), err
	case "load_boundary_receipt":
		receipt, ok, err := s.LoadBoundaryReceipt(ctx, a.Runtime, a.Run, a.Sequence)
		return answer(t, receipt, ok), err
	case "load_session_snapshot":
		snapshot, ok, err := s.LoadSessionSnapshot(ctx, a.Runtime)
		return answer(t, map[string][]byte{"snapshot_b64": snapshot}, ok), err
	case "load_runtime_state":
		state, ok, err := s.LoadRuntimeState(ctx, a.Runtime)
		return answer(t, state, ok), err
	case "persist_input_state":
		return "null", s.PersistInputState(ctx, a.Runtime, decode[store.InputState](t, a.State))
	case "persist_runtime_state":
		return "null", s.PersistRuntimeState(ctx, a.Runtime, decode[store.RuntimeState](t, a.State))
	case "atomic_lifecycle_commit":
		return "null", s.AtomicLifecycleCommit(ctx, a.Runtime, store.LifecycleCommit{
			RuntimeState: a.RuntimeState, InputStates: a.InputStates,
		})
	}
	require.Fail(t, "unknown operation", op.Op)
	return "", nil
}

func answer(t *testing.T, v any, ok bool) string {
	if !ok {
		return "null"
	}
	if r, is := v.(store.RunBoundaryReceipt); is && r.Boundary == "" { // of a failed call
		return "null"
	}
	out, err := encode(v)
	require.NoError(t, err)
	return string(out)
}

func compact(t *testing.T, text json.RawMessage) string {
	var b bytes.Buffer
	require.NoError(t, json.Compact(&b, text))
	return b.String()
}

func decode[T any](t *testing.T, data []byte) T {
	var v T
	require.NoError(t, json.Unmarshal(data, &v))
	return v
}
