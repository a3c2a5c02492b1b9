package state

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// A queueModel runs random operations on a State, and knows in which order its runtimes have
// their turns, and what each of those who follow it must learn.
type queueModel struct {
	t       *testing.T
	r       *rand.Rand
	s       *State
	journal map[string][]byte // as Changes left it
	grouped bool              // all operations are in groups
	line    []uint64          // places of the runtimes that wait, in the order of their turns
	settled []happened        // in the group, or since the followers looked
	happens []happened        // by the operation under way
	follow  []*follower
	inputs  int
	n       int
}

type happened struct {
	id   store.RuntimeID
	what What
}

// A follower keeps its cursor, and goes on from there at any time.
type follower struct {
	cursor    ChangeCursor
	known     map[store.RuntimeID]uint64
	missing   map[store.RuntimeID]What // that it must still learn
	deletions int                      // since it had all
	exact     bool                     // it had all, in this life of the State, and not much has happened
}

var (
	modelQueue  = Queue{Ready: []store.InputLifecycleState{store.InputAccepted, store.InputQueued}, Busy: []store.InputLifecycleState{store.InputStaged, store.InputApplied}}
	modelStates = []store.InputLifecycleState{store.InputAccepted, store.InputQueued, store.InputQueued, store.InputStaged, store.InputApplied, store.InputAppliedPendingConsumption, store.InputConsumed}
	errModel    = errors.New("it fails")
)

func (m *queueModel) options() *State {
	s := &State{Queue: modelQueue, Deletions: 2, Activity: true}
	s.Retention = store.Retention{Inputs: store.Keep{Last: 2}, Keys: store.Keep{Last: 2}}
	s.Tombstones = store.Keep{Last: 3}
	s.BatchBytes = 2000
	return s
}

func (m *queueModel) runtime() store.RuntimeID {
	return store.RuntimeID(fmt.Sprint("agent-", m.r.IntN(7)))
}

// note says what an operation does to a runtime.
func (m *queueModel) note(id store.RuntimeID, what What) {
	m.happens = append(m.happens, happened{id, what})
}

func (m *queueModel) opens(id store.RuntimeID) {
	if m.s.runtimes[id] == nil {
		m.note(id, RuntimeMade)
	}
}

// anyInput returns one that a runtime has, or may get.
func (m *queueModel) anyInput(id store.RuntimeID) store.InputState {
	if rt := m.s.runtimes[id]; rt != nil && rt.inputs.values.len > 0 && m.r.IntN(3) > 0 {
		all := slices.Collect(rt.inputs.values.all())
		return *all[m.r.IntN(len(all))].InputState
	}
	m.inputs++
	input := store.NewInputState(store.InputIDOf(fmt.Sprint(m.inputs%40)), m.s.Now)
	input.IdempotencyKey = new(fmt.Sprint(m.inputs))
	return input
}

func (m *queueModel) write() error {
	s, id := m.s, m.runtime()
	switch k := m.r.IntN(20); {
	case k < 10:
		input := m.anyInput(id)
		if err := input.Move(modelStates[m.r.IntN(len(modelStates))], s.Now, ""); err != nil {
			return err
		}
		m.opens(id)
		m.note(id, InputsChanged)
		s.PutInputState(id, &input)
	case k < 12:
		if input := m.anyInput(id); s.runtimes[id] != nil {
			if s.DeleteInputState(id, input.InputID) {
				m.note(id, InputsChanged)
			}
		}
	case k < 14:
		if s.runtimes[id] != nil {
			m.note(id, RuntimeDeleted)
			s.DeleteRuntime(id)
		}
	case k < 15:
		if t := s.stone(id); t != nil && s.runtimes[id] == nil {
			m.note(id, RuntimeMade)
			if len(t.keys) > 0 {
				m.note(id, InputsChanged)
			}
			s.Revive(id)
		}
	case k < 16:
		m.opens(id)
		m.note(id, LabelsChanged)
		s.PutLabels(id, map[string]string{"n": fmt.Sprint(m.n)})
	case k < 17:
		m.opens(id)
		m.note(id, StateChanged)
		s.PutRuntimeState(id, store.RuntimeIdle)
	default:
		if m.r.IntN(4) == 0 {
			return errModel
		}
	}
	return nil
}

// claim claims for some of the lines.
func (m *queueModel) claim() error {
	from := [][]store.InputLifecycleState{nil, {store.InputQueued}, {store.InputAccepted}}[m.r.IntN(3)]
	lines, err := m.s.LinesOf(store.Claim{From: from, To: store.InputStaged})
	require.NoError(m.t, err)
	id, input := m.s.Next(lines)
	wantID, want := m.next(from)
	require.Equal(m.t, wantID, id)
	require.Same(m.t, want, input)
	if input == nil {
		return nil
	}
	moved := *input
	if err := moved.Move(store.InputStaged, m.s.Now, ""); err != nil {
		return err
	}
	m.note(id, InputsChanged)
	m.s.PutInputState(id, &moved)
	return nil
}

// next looks for what is to be claimed next.
func (m *queueModel) next(from []store.InputLifecycleState) (store.RuntimeID, *store.InputState) {
	if from == nil {
		from = modelQueue.Ready
	}
	for _, place := range m.line {
		rt, _ := m.s.order.get(place)
		for in := range rt.inputs.values.all() {
			if slices.Contains(from, in.CurrentState) {
				return rt.id, in.InputState
			}
		}
	}
	return "", nil
}

// stands reports whether a runtime waits for its turn.
func stands(rt *runtime) (waits bool) {
	for in := range rt.inputs.values.all() {
		if slices.Contains(modelQueue.Busy, in.CurrentState) {
			return false
		}
		waits = waits || slices.Contains(modelQueue.Ready, in.CurrentState)
	}
	return waits && !rt.deleted
}

func (m *queueModel) enqueue(rt *runtime) {
	in := slices.Contains(m.line, rt.place)
	switch s := stands(rt); {
	case s && !in:
		m.line = append(m.line, rt.place)
	case !s && in:
		m.line = slices.DeleteFunc(m.line, func(place uint64) bool { return place == rt.place })
	}
}

// operation does a few writes, or a claim, as a revision.
func (m *queueModel) operation() {
	m.n++
	m.s.Now = store.TimeOf(time.Unix(int64(m.n), 0))
	err := m.s.Do(func() error {
		if m.r.IntN(3) == 0 {
			return m.claim()
		}
		for range 1 + m.r.IntN(4) {
			if err := m.write(); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		m.settled = append(m.settled, m.happens...)
	} else {
		require.ErrorIs(m.t, err, errModel)
	}
	m.happens = nil
	changed := slices.Clone(m.s.changed)
	m.s.Settle()
	for _, c := range changed {
		m.enqueue(c.rt)
	}
	m.checkLines()
}

// burst is more changes than are known exactly, perhaps.
func (m *queueModel) burst() {
	id := m.runtime()
	m.noneIsExact()
	for range m.r.IntN(3 * recentChanges) {
		m.opens(id)
		m.note(id, StateChanged)
		m.s.PutRuntimeState(id, store.RuntimeIdle)
		m.settled, m.happens = append(m.settled, m.happens...), nil
		m.s.Settle()
	}
}

// checkLines compares the index with all that is there.
func (m *queueModel) checkLines() {
	t, s := m.t, m.s
	var line []uint64
	var of [waiting]map[uint64]store.RuntimeID
	for code := range of {
		of[code] = map[uint64]store.RuntimeID{}
	}
	tickets := map[uint64]uint64{}
	for rt := range s.order.all() {
		require.False(t, rt.deleted)
		if rt.turn == nil {
			require.False(t, stands(rt))
			continue
		}
		for code := range rt.turn.ready {
			var want, got []uint64
			for at, in := range rt.inputs.values.from(0) {
				if in.CurrentState == lifecycleCodes[code] && slices.Contains(modelQueue.Ready, in.CurrentState) {
					want = append(want, at)
				}
			}
			for at := range rt.turn.ready[code].from(0) {
				got = append(got, at)
			}
			require.Equal(t, want, got)
			require.Equal(t, stands(rt) && len(want) > 0, rt.turn.in.has(code))
			if rt.turn.in.has(code) {
				of[code][rt.turn.ticket] = rt.id
			}
		}
		if stands(rt) {
			tickets[rt.place] = rt.turn.ticket
			line = append(line, rt.place)
		}
	}
	slices.SortFunc(line, func(a, b uint64) int { return int(tickets[a]) - int(tickets[b]) })
	require.True(t, slices.Equal(m.line, line), "%v is to be %v", line, m.line)
	for code := range of {
		got := maps.Collect(s.lines.of[code].from(0))
		require.Equal(t, of[code], got)
	}
}

// group does some operations as one, which a journal stores or rejects.
func (m *queueModel) group() {
	before := slices.Clone(m.line)
	m.s.Begin()
	for range 1 + m.r.IntN(4) {
		m.operation()
	}
	if m.r.IntN(50) == 0 {
		m.burst()
	}
	changes := m.s.Changes()
	if m.r.IntN(3) > 0 {
		for _, c := range changes {
			if delete(m.journal, string(c.Key)); !c.Delete {
				m.journal[string(c.Key)] = c.Value
			}
		}
		m.s.Commit()
		return
	}
	m.settled = nil
	changed := slices.Clone(m.s.log)
	m.s.Rollback()
	// Whoever has left the line meanwhile goes to its end: nobody waits for what is rejected.
	m.line = slices.DeleteFunc(m.line, func(place uint64) bool { return !slices.Contains(before, place) })
	for _, c := range changed {
		if c.rt != nil && slices.Contains(before, c.rt.place) && !slices.Contains(m.line, c.rt.place) {
			m.line = append(m.line, c.rt.place)
		}
	}
	m.checkLines()
}

// clear removes left-overs.
func (m *queueModel) clear() {
	for _, clearing := range m.s.Clearing() {
		for p := range clearing {
			m.s.Begin()
			require.NoError(m.t, m.s.StorePiece(p))
			for _, c := range m.s.Changes() {
				if delete(m.journal, string(c.Key)); !c.Delete {
					m.journal[string(c.Key)] = c.Value
				}
			}
			m.s.Commit()
		}
	}
}

// reopen builds the State up again.
func (m *queueModel) reopen() {
	records := slices.Collect(m.s.Records())
	if m.grouped {
		records = nil
		for _, key := range slices.Sorted(maps.Keys(m.journal)) {
			records = append(records, journal.Change{Key: []byte(key), Value: m.journal[key]})
		}
	}
	was, s := m.s, m.options()
	require.NoError(m.t, replayInto(s, records, strict))
	require.Equal(m.t, was.feed.forgotten, s.feed.forgotten)
	require.Equal(m.t, was.feed.bytes, s.feed.bytes)
	require.Equal(m.t, slices.Collect(was.feed.deleted.values.all()), slices.Collect(s.feed.deleted.values.all()))
	m.s, m.line = s, nil
	type first struct{ version, place uint64 }
	var waits []first
	for rt := range s.order.all() {
		if !stands(rt) {
			continue
		}
		for in := range rt.inputs.values.all() {
			if slices.Contains(modelQueue.Ready, in.CurrentState) {
				waits = append(waits, first{in.version, rt.place})
				break
			}
		}
	}
	slices.SortStableFunc(waits, func(a, b first) int { return int(a.version) - int(b.version) })
	for _, w := range waits {
		m.line = append(m.line, w.place)
	}
	m.checkLines()
	m.noneIsExact()
}

func (m *queueModel) noneIsExact() {
	for _, f := range m.follow {
		f.exact = false
	}
}

// happen tells the model of the followers what there is to learn.
func (m *queueModel) happen() {
	for _, f := range m.follow {
		for _, h := range m.settled {
			f.deletions++
			switch {
			case h.what.Has(RuntimeDeleted):
				f.missing[h.id] = RuntimeDeleted
			case h.what.Has(RuntimeMade):
				f.missing[h.id] = h.what
				f.deletions--
			default:
				f.missing[h.id] |= h.what
				f.deletions--
			}
		}
	}
	m.settled = nil
}

// look has a follower read on, maybe not to the end.
func (m *queueModel) look(f *follower) {
	t, s := m.t, m.s
	c, err := s.ChangesAfter(f.cursor, testLife)
	if errors.Is(err, store.ErrCursorExpired) {
		require.Greater(t, f.deletions, s.Deletions)
		*f = follower{known: map[store.RuntimeID]uint64{}, missing: map[store.RuntimeID]What{}, cursor: s.ChangesCursor(testLife), exact: true}
		for rt := range s.order.all() {
			f.known[rt.id] = rt.version
		}
		return
	}
	require.NoError(t, err)
	all := slices.Collect(c.All())
	n := len(all)
	if n > 0 && m.r.IntN(2) == 0 {
		n = m.r.IntN(n + 1)
	}
	seen := map[store.RuntimeID]bool{}
	for _, one := range all[:n] {
		require.False(t, seen[one.RuntimeID])
		seen[one.RuntimeID] = true
		rt, missing := s.runtimes[one.RuntimeID], f.missing[one.RuntimeID]
		if one.What.Has(RuntimeDeleted) {
			require.Equal(t, RuntimeDeleted, one.What)
			require.Nil(t, rt)
			delete(f.known, one.RuntimeID)
		} else {
			require.NotNil(t, rt)
			require.Equal(t, rt.version, one.Version)
			require.Greater(t, one.Version, f.known[one.RuntimeID])
			require.Equal(t, missing, missing&one.What, "%v of %v", one.What, missing)
			if f.exact {
				require.Equal(t, missing, one.What)
			}
			f.known[one.RuntimeID] = one.Version
		}
		delete(f.missing, one.RuntimeID)
		f.cursor = one.Cursor
	}
	if f.exact = n == len(all); n < len(all) {
		return
	}
	f.cursor, f.deletions = c.Next(), 0
	there := map[store.RuntimeID]uint64{}
	for rt := range s.order.all() {
		there[rt.id] = rt.version
	}
	require.Equal(t, there, f.known)
}

func TestRandomQueuesAndFollowers(t *testing.T) {
	seeds, steps := 60, 120
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &queueModel{t: t, r: rand.New(rand.NewPCG(uint64(seed), 24)), journal: map[string][]byte{}, grouped: seed%2 == 0}
			m.s = m.options()
			for range 3 {
				m.follow = append(m.follow, &follower{
					cursor: m.s.ChangesCursor(testLife), known: map[store.RuntimeID]uint64{}, missing: map[store.RuntimeID]What{}, exact: true,
				})
			}
			for m.grouped && len(m.journal) == 0 { // until then it does not have what cursors name
				m.group()
				m.happen()
			}
			for range steps {
				if m.grouped {
					m.group()
				} else {
					m.operation()
				}
				m.happen()
				switch m.r.IntN(12) {
				case 11:
					if !m.grouped && m.r.IntN(4) == 0 {
						m.burst()
						m.happen()
					}
				case 0:
					m.s.Image()
				case 1:
					m.clear()
				case 2:
					m.reopen()
				default:
					m.look(m.follow[m.r.IntN(len(m.follow))])
				}
			}
		})
	}
}
