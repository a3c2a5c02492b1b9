package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

func write(t testing.TB, held *state.State) []byte {
	t.Helper()
	var file bytes.Buffer
	require.NoError(t, archive.Write(&file, held.Image()))
	return file.Bytes()
}

func read(t testing.TB, file []byte) *state.State {
	t.Helper()
	state, err := archive.Read(bytes.NewReader(file))
	require.NoError(t, err)
	return state
}

// What a State answers, put so that it can be compared.
type (
	picture struct {
		Revision uint64
		Totals   store.Totals
		Runtimes []runtimeAnswers
		Sessions []filed
		Tombs    []state.Tombstone
		Shared   []int // in their order, which part each part of all texts is
	}
	runtimeAnswers struct {
		Summary  state.RuntimeSummary // without the latest receipt, which is compared apart
		State    store.RuntimeState
		Origin   *state.Origin
		Versions []version
		Inputs   []store.InputState
		Keys     map[string]store.InputID
		Kept     []state.Key
		After    uint64
		Revived  bool
		Runs     []history
		Dropped  []history
		Latest   store.RunBoundaryReceipt
	}
	history struct { // of a run
		ID       store.RunID
		Highest  uint64
		Next     uint64
		Err      error
		Receipts []store.RunBoundaryReceipt
	}
	version struct {
		state.SessionVersion // without the snapshot
		Snapshot             snapshot
	}
	snapshot struct {
		Format       store.Format
		Text, Digest string
		Messages     uint64
		Facts        session.Facts
	}
	filed struct {
		ID       store.SessionID
		By       store.RuntimeID
		Snapshot snapshot
	}
)

func pictureOf(s *state.State) picture {
	image := s.Image()
	p := picture{Revision: image.Revision(), Totals: image.Totals()}
	nth := make(map[*session.Part]int)
	var share func(part *session.Part)
	share = func(part *session.Part) {
		at, ok := nth[part]
		if !ok {
			at = len(nth)
			nth[part] = at
			for _, part := range part.Parts() {
				share(part)
			}
		}
		p.Shared = append(p.Shared, at)
	}
	look := func(s store.Snapshot) snapshot {
		if root := s.Text().Root(); root != nil {
			share(root)
		}
		return snapshotOf(s)
	}
	for v := range image.Views() {
		rt := runtimeOf(s, v)
		for one := range v.Sessions() {
			found := version{one, look(one.Snapshot)}
			found.SessionVersion.Snapshot = store.Snapshot{}
			rt.Versions = append(rt.Versions, found)
		}
		p.Runtimes = append(p.Runtimes, rt)
	}
	for id, f := range image.Sessions() {
		p.Sessions = append(p.Sessions, filed{id, f.By, look(f.Snapshot)})
	}
	p.Tombs = slices.Collect(image.Tombstones())
	return p
}

func runtimeOf(s *state.State, v *state.View) runtimeAnswers {
	id := v.RuntimeID()
	sum := v.Summary()
	rt := runtimeAnswers{
		Summary: state.RuntimeSummary{RuntimeID: id, Version: s.Version(id), RuntimeState: sum.RuntimeState, Held: sum.Held, Ended: sum.Ended, Made: sum.Made, Active: sum.Active, Labels: sum.Labels},
		State:   s.RuntimeState(id), Inputs: slices.Collect(v.InputStates()),
	}
	if from, ok := v.Origin(); ok {
		rt.Origin = &from
	}
	rt.Kept = slices.Collect(v.Keys())
	rt.After, rt.Revived = v.SequenceFloor()
	rt.Keys = make(map[string]store.InputID)
	for i := range rt.Inputs {
		if key := rt.Inputs[i].IdempotencyKey; key != nil && s.HasKey(id, *key) {
			first, _ := v.InputStateByKey(*key)
			rt.Keys[*key] = first.InputID
		}
	}
	runOf := func(run store.RunID, highest uint64) (r history) {
		r.ID, r.Highest = run, highest
		r.Next, r.Err = s.NextSequence(id, run)
		return r
	}
	for r := range v.RunViews() {
		add := runOf(r.RunID(), r.HighestSequence())
		add.Receipts = slices.Collect(r.Receipts())
		rt.Runs = append(rt.Runs, add)
	}
	for run, highest := range v.DroppedRuns() {
		rt.Dropped = append(rt.Dropped, runOf(run, highest))
	}
	rt.Latest, _ = v.LatestReceipt()
	return rt
}

func snapshotOf(s store.Snapshot) snapshot {
	found := snapshot{Format: s.Format(), Text: s.String(), Digest: s.Digest(), Messages: s.MessageCount()}
	if d := s.Document(); d != nil {
		found.Facts = d.Facts()
	}
	return found
}

func TestRoundTripIsExact(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(seeds) {
		var held state.State
		newProgram(seed).run(&held, 60)
		before := pictureOf(&held)
		count(seen, before)

		file := write(t, &held)
		again := read(t, file)
		require.Equal(t, before, pictureOf(again), "seed %d", seed)
		require.Equal(t, string(file), string(write(t, again)), "seed %d", seed)

		// A loop adopts what was read: it must go on from there as the other does.
		adopted := state.State{Retention: held.Retention, Now: held.Now, UniqueKeys: held.UniqueKeys, Tombstones: held.Tombstones}
		require.NoError(t, adopted.Adopt(again))
		newProgram(seed+1).run(&held, 30)
		newProgram(seed+1).run(&adopted, 30)
		require.Equal(t, pictureOf(&held), pictureOf(&adopted), "seed %d", seed)
		require.Equal(t, string(write(t, &held)), string(write(t, &adopted)), "seed %d", seed)
	}
	for _, what := range []string{
		"runtime", "empty runtime", "empty snapshot", "snapshot of no UTF-8", "input", "spaced payload",
		"version in unset", "version in meerkat", "version in lines", "version in opaque", "version with its receipt", "version with its time",
		"past", "gap between versions", "text in a list", "fork", "fork of what has gone", "shared part",
		"run", "run whose highest receipt is gone", "exhausted run", "dropped run", "exhausted dropped run", "latest receipt that is not the last",
		"session", "session that its runtime has", "session that its runtime has not", "version behind the revision",
		"labels", "times", "key that is kept", "runtime that was brought back", "tombstone", "tombstone with a sequence", "tombstone with keys",
	} {
		assert.Positive(t, seen[what], "no %s", what)
	}
}

// count counts what must have been there for the test to say something.
func count(seen map[string]int, p picture) {
	seenParts := map[int]bool{}
	note := func(what string, when bool) {
		if when {
			seen[what]++
		}
	}
	own := map[store.RuntimeID]snapshot{}
	numbers := map[store.RuntimeID]map[uint64]bool{}
	for _, rt := range p.Runtimes {
		numbers[rt.Summary.RuntimeID] = map[uint64]bool{}
		note("runtime", true)
		note("empty runtime", rt.State == "" && rt.Versions == nil && rt.Inputs == nil && rt.Runs == nil && rt.Dropped == nil)
		note("version behind the revision", rt.Summary.Version < p.Revision)
		note("past", len(rt.Versions) > 1)
		note("labels", len(rt.Summary.Labels) > 0)
		note("times", rt.Summary.Made != store.Time{} && rt.Summary.Active != rt.Summary.Made)
		note("key that is kept", len(rt.Kept) > 0)
		note("runtime that was brought back", rt.Revived)
		for i, v := range rt.Versions {
			s := v.Snapshot
			own[rt.Summary.RuntimeID] = s
			numbers[rt.Summary.RuntimeID][v.Number] = true
			note("version in "+s.Format.String(), true)
			note("empty snapshot", s.Text == "")
			note("snapshot of no UTF-8", strings.ToValidUTF8(s.Text, "") != s.Text)
			note("version with its receipt", v.Committed)
			note("version with its time", v.Made != 0)
			note("gap between versions", i > 0 && v.Number > rt.Versions[i-1].Number+1)
			note("text in a list", len(s.Text) > session.MaxBytes)
		}
		if rt.Origin != nil {
			note("fork", true)
			note("fork of what has gone", !numbers[rt.Origin.RuntimeID][rt.Origin.Number])
		}
		for _, i := range rt.Inputs {
			note("input", true)
			note("spaced payload", bytes.ContainsAny(i.PersistedInput, "\n"))
		}
		for i, r := range rt.Runs {
			last := r.Receipts[len(r.Receipts)-1]
			note("run", true)
			note("run whose highest receipt is gone", r.Highest > last.Sequence)
			note("exhausted run", r.Err != nil)
			note("latest receipt that is not the last", i == len(rt.Runs)-1 && rt.Latest.Sequence != last.Sequence)
		}
		for _, r := range rt.Dropped {
			note("dropped run", true)
			note("exhausted dropped run", r.Err != nil)
		}
	}
	for _, tomb := range p.Tombs {
		note("tombstone", true)
		note("tombstone with a sequence", tomb.HighestSequence != nil)
		note("tombstone with keys", len(tomb.Keys) > 0)
	}
	for _, at := range p.Shared {
		note("shared part", seenParts[at])
		seenParts[at] = true
	}
	for _, s := range p.Sessions {
		note("session", true)
		same := own[s.By] == s.Snapshot
		note("session that its runtime has", same)
		note("session that its runtime has not", !same)
	}
}

func TestAnEmptyStateIsTwoLines(t *testing.T) {
	var held state.State
	file := write(t, &held)
	assert.Equal(t, 2, bytes.Count(file, []byte("\n")))
	assert.Equal(t, pictureOf(&held), pictureOf(read(t, file)))
}

// A snapshot that is filed too is written once, and read as one.
func TestAFiledSnapshotIsNotDoubled(t *testing.T) {
	var held state.State
	s := store.SnapshotOf([]byte("the bytes"))
	held.PutSnapshot("a", &s, nil)
	held.PutSession("a", store.SessionID{1}, &s)
	held.Settle()
	file := write(t, &held)
	assert.Equal(t, 1, bytes.Count(file, []byte("the bytes")))
	again := read(t, file)
	assert.Same(t, again.Snapshot("a").Text().Root(), again.Session(store.SessionID{1}).Text().Root())

	// But for one of the same bytes that was read as a document, where the other
	// was not.
	text := documentOf(store.SessionID{2}, 1, "x")
	apply := store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: text}, SessionStoreKey: &store.SessionID{2}, Receipt: store.RunBoundaryReceipt{Boundary: store.RunStart},
	}
	perform(&held, ops.AtomicApply{RuntimeID: "b", Commit: apply})
	apply.SessionStoreKey = nil
	perform(&held, ops.AtomicApply{RuntimeID: "b", Commit: apply})
	again = read(t, write(t, &held))
	assert.Nil(t, again.Snapshot("b").Document())
	assert.NotNil(t, again.Session(store.SessionID{2}).Document())
}

func TestWhatIsNotValidIsNotWritten(t *testing.T) {
	var held state.State
	held.PutRuntimeState("\xff", store.RuntimeIdle) // which no operation does
	held.Settle()
	require.Error(t, archive.Write(io.Discard, held.Image()))
}

// A limited writer takes so many bytes.
type limitedWriter int

var errFull = errors.New("full")

func (w *limitedWriter) Write(p []byte) (int, error) {
	n := min(len(p), int(*w))
	*w -= limitedWriter(n)
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

// large returns a State whose lines of each kind are more than a buffer.
func large() *state.State {
	held := new(state.State)
	const n = 1000
	id := func(i int) [16]byte { return [16]byte{byte(i >> 8), byte(i)} }
	put := func(run store.RunID, sequence int) {
		held.PutReceipt("a", state.NewReceipt(&store.RunBoundaryReceipt{RunID: run, Boundary: store.Immediate, Sequence: uint64(sequence)}))
	}
	for i := range n {
		input := store.NewInputState(id(i), store.Time{})
		held.PutInputState("a", &input)
		put(store.RunID{15: 1}, i)
		put(id(i), 0)
		held.UseSequences("a", store.RunID{byte(i >> 8), byte(i), 2}, 7)
		held.PutSession("a", id(i), new(store.SnapshotOf([]byte("x"))))
		held.PutRuntimeState(store.RuntimeID(strconv.Itoa(i)), store.RuntimeIdle)
	}
	held.PutSnapshot("b", new(store.SnapshotOf(make([]byte, 1<<15))), nil)
	held.Settle()
	return held
}

func TestErrorsOfWriterAndReaderAreTheirOwn(t *testing.T) {
	image := large().Image()
	var file bytes.Buffer
	require.NoError(t, archive.Write(&file, image))
	for n := 0; n < file.Len(); n += every * 30_000 {
		w := limitedWriter(n)
		require.ErrorIs(t, archive.Write(&w, image), errFull)
	}
	for n := 0; n <= file.Len(); n += file.Len() / 8 {
		_, err := archive.Read(io.MultiReader(bytes.NewReader(file.Bytes()[:n]), iotest.ErrReader(context.Canceled)))
		require.ErrorIs(t, err, context.Canceled)
		_, ok := errors.AsType[*archive.Error](err)
		require.False(t, ok, "nothing is wrong with the file")
	}
	_, err := archive.Read(io.MultiReader(&file, iotest.ErrReader(context.Canceled)))
	require.ErrorIs(t, err, context.Canceled, "after the last line, too")
}

// sample is a small file with a line of every kind.
func sample(t testing.TB) []byte {
	t.Helper()
	var held state.State
	perform(&held, ops.CommitSessionBoundary{RuntimeID: "a\nb", Commit: store.BoundaryCommit{
		Session: store.SessionDelta{SessionSnapshot: documentOf(store.SessionID{9}, 2, "x")}, RunID: store.RunID{1}, Boundary: store.RunStart,
		InputUpdates: []store.InputState{{InputID: store.InputID{1}, CurrentState: store.InputAccepted, PersistedInput: []byte("{ }")}},
	}})
	perform(&held, ops.AtomicApply{RuntimeID: "", Commit: store.BoundaryApply{
		Session: &store.SessionDelta{SessionSnapshot: []byte("\xff")}, Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: 3},
		SessionStoreKey: &store.SessionID{8},
	}})
	perform(&held, ops.AtomicApply{RuntimeID: "", Commit: store.BoundaryApply{
		Receipt: store.RunBoundaryReceipt{RunID: store.RunID{1}, Boundary: store.RunStart, Sequence: 5},
	}})
	held.PutRuntimeState("", store.RuntimeIdle)
	held.UseSequences("", store.RunID{2}, 9)
	held.Settle()
	putPast(t, &held)
	return write(t, &held)
}

// putPast adds a fork with a past, in parts that are smaller than any that are cut.
func putPast(t testing.TB, held *state.State) {
	a, b, c := leaf("[1]\n2"), leaf("\n"), leaf("\"x\"\n")
	two := session.ListOf([]*session.Part{a, b})
	held.PutOrigin("past", state.Origin{RuntimeID: "a\nb", Number: 1})
	for _, v := range []state.SessionVersion{
		{Number: 2, Snapshot: snapshotIn(t, store.FormatLines, two, 0), Made: 1_800_000_000, Committed: true, RunID: store.RunID{1}, Sequence: 3},
		{Number: 3, Snapshot: snapshotIn(t, store.FormatLines, session.ListOf([]*session.Part{a, b, c}), 0)},
		{Number: 5, Snapshot: snapshotIn(t, store.FormatOpaque, nil, 4)},
		{Number: 9, Snapshot: snapshotIn(t, store.FormatUnset, session.ListOf([]*session.Part{c, leaf("\xff"), a}), 0)},
	} {
		held.PutSessionVersion("past", v)
	}
	held.PutSession("past", store.SessionID{7}, new(snapshotIn(t, store.FormatOpaque, two, 4)))
	held.Settle()
}

func leaf(text string) *session.Part { return session.LeafOf(text) }

// snapshotIn returns a snapshot whose text is in the parts that it came in.
func snapshotIn(t testing.TB, format store.Format, root *session.Part, messages uint64) store.Snapshot {
	t.Helper()
	d, err := new(session.Checker).Read(format, session.TextWith(root), messages)
	require.NoError(t, err)
	return store.SnapshotOfDocument(d)
}

// kinds counts the lines of each kind.
func kinds(file []byte) map[string]int {
	n := map[string]int{}
	for text := range bytes.Lines(file) {
		_, kind, _ := strings.Cut(string(text), `{"type":"`)
		kind, _, _ = strings.Cut(kind, `"`)
		n[kind]++
	}
	return n
}

func TestTheSampleHasALineOfEveryKind(t *testing.T) {
	assert.ElementsMatch(t, []string{
		"header", "runtime", "version", "part", "input_state", "run", "receipt", "dropped_run", "session", "end",
	}, slices.Collect(maps.Keys(kinds(sample(t)))))
}
