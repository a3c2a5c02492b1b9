package state

import (
	"context"
	"iter"
	"maps"
	"strings"
	"sync/atomic"

	"github.com/loopstore/loopstore/store"
)

// A View is what a runtime held at one moment: all of it, consistent, and
// never changed. It may be kept for as long as it is of use, and used by any
// number of goroutines. It holds what it shows and no more.
//
// What its methods return is the caller's own, but for a Snapshot, which
// nobody can change. The zero value is of no use: a State makes Views.
type View struct {
	id      store.RuntimeID
	version uint64
	state   store.RuntimeState
	session *version
	past    list[*version]
	origin  *Origin
	inputs  InputStates
	runs    list[*run]
	latest  *Receipt
	dropped list[dropped]
	floor   sequence
	used    list[*usedKey]
	labels  map[string]string
	made    int64
	active  int64
	counts  counts
	held    store.Totals
	index   atomic.Pointer[index] // made when it is first needed
	moment  *moment
}

// An index finds the parts of a View by their keys.
type index struct {
	inputs map[store.InputID]input
	keys   map[string]input // the first with each key
	runs   map[store.RunID]*run
}

// RuntimeID names the runtime.
func (v *View) RuntimeID() store.RuntimeID { return v.id }

// Version returns the revision of the change that made the runtime what this
// View shows. It is 0 if there is no such runtime.
func (v *View) Version() uint64 { return v.version }

// Exists reports whether there is such a runtime.
func (v *View) Exists() bool { return v.version != 0 }

// Current reports whether this View still shows what the runtime holds. It
// costs one atomic load. The View of a runtime that is not there may be over
// when another runtime is made, too. Of several Views that one operation ends,
// some may be seen to be over a moment before the others.
func (v *View) Current() bool { return !v.moment.over.Load() }

// Changed returns a channel that is closed when this View is no longer current,
// and nor is any other that the same operation has ended, or when the store is
// closed. For a runtime that is not there that may be when another one is made:
// look at the version of the next View.
func (v *View) Changed() <-chan struct{} { return v.moment.ended() }

// RuntimeState returns the runtime's state, if there is one.
func (v *View) RuntimeState() (state store.RuntimeState, ok bool) { return v.state, v.state != "" }

// Snapshot returns the session snapshot, if there is one. It copies nothing.
func (v *View) Snapshot() (snapshot store.Snapshot, ok bool) {
	if v.session == nil {
		return store.Snapshot{}, false
	}
	return *v.session.snapshot, true
}

// NumInputStates returns how many input states there are.
func (v *View) NumInputStates() int { return v.inputs.Len() }

// CountInputStates returns how many inputs are in each state, but for those that
// none is in.
func (v *View) CountInputStates() map[store.InputLifecycleState]int {
	return v.counts.byState()
}

// InputStates returns all input states, in the order in which their inputs were
// first stored.
func (v *View) InputStates() iter.Seq[store.InputState] {
	return func(yield func(store.InputState) bool) {
		for state := range v.inputs.All() {
			if !yield(state.Clone()) {
				return
			}
		}
	}
}

// Inputs returns all inputs with their versions, in the order of InputStates.
func (v *View) Inputs() iter.Seq[Input] {
	return func(yield func(Input) bool) {
		for in := range v.inputs.values.all() {
			if !yield(in.value()) {
				return
			}
		}
	}
}

// An Input is the state of an input, and its version.
type Input struct {
	State store.InputState `json:"state"`
	// Version is the revision of the last change of the input, so it fences who has
	// seen that: see package batch's InputVersionIs. After a batch that changes the input
	// it is the Revision of the batch's result. An import gives all inputs a version that
	// none had before.
	Version uint64 `json:"version"`
}

// An InputSpan is when an input was accepted and when it was last changed, without the rest
// of it.
type InputSpan struct {
	InputID      store.InputID
	CurrentState store.InputLifecycleState
	CreatedAt    store.Time
	UpdatedAt    store.Time
	Place        Cursor // from which an InputPage begins with the input
}

// InputSpans returns the spans of all inputs, in the order of InputStates. It copies no
// payload, so it is for whoever looks for a few inputs among many.
func (v *View) InputSpans() iter.Seq[InputSpan] {
	return func(yield func(InputSpan) bool) {
		for place, in := range v.inputs.values.from(0) {
			if !yield(InputSpan{in.InputID, in.CurrentState, in.CreatedAt, in.UpdatedAt, Cursor{major: place}}) {
				return
			}
		}
	}
}

func (in input) value() Input { return Input{in.Clone(), in.version} }

// InputState returns the state of one input. The first search of a View by a
// key, of any kind, takes time in proportion to what it shows.
func (v *View) InputState(id store.InputID) (state store.InputState, ok bool) {
	return cloned(v.indexed().inputs[id].InputState)
}

// Input returns one input with its version.
func (v *View) Input(id store.InputID) (in Input, ok bool) {
	if found := v.indexed().inputs[id]; found.there() {
		return found.value(), true
	}
	return in, false
}

// InputStateByKey returns the state of the first input that has an idempotency
// key.
func (v *View) InputStateByKey(key string) (state store.InputState, ok bool) {
	return cloned(v.indexed().keys[key].InputState)
}

// Runs returns the runs that have receipts, in the order in which their first
// ones were stored.
func (v *View) Runs() iter.Seq[store.RunID] {
	return func(yield func(store.RunID) bool) {
		for r := range v.runs.all() {
			if !yield(r.id) {
				return
			}
		}
	}
}

// Receipts returns the receipts of a run by ascending sequence.
func (v *View) Receipts(id store.RunID) iter.Seq[store.RunBoundaryReceipt] {
	return func(yield func(store.RunBoundaryReceipt) bool) {
		if r := v.indexed().runs[id]; r != nil {
			RunView{r}.Receipts()(yield)
		}
	}
}

// Receipt returns the receipt of one boundary.
func (v *View) Receipt(id store.RunID, sequence uint64) (receipt store.RunBoundaryReceipt, ok bool) {
	if r := v.indexed().runs[id]; r != nil {
		return valueOf(r.get(sequence))
	}
	return receipt, false
}

// HighestSequence returns the highest sequence that a receipt of a run has had,
// if there was one. It may be gone.
func (v *View) HighestSequence(id store.RunID) (sequence uint64, ok bool) {
	if r := v.indexed().runs[id]; r != nil {
		return r.highest, true
	}
	for left := range v.dropped.all() {
		if left.id == id {
			return left.highest, true
		}
	}
	return 0, false
}

// NumDroppedRuns returns how many runs there are whose receipts have all gone.
func (v *View) NumDroppedRuns() int { return v.dropped.len }

// DroppedRuns returns the runs whose receipts have all gone, with their highest
// sequences.
func (v *View) DroppedRuns() iter.Seq2[store.RunID, uint64] {
	return func(yield func(store.RunID, uint64) bool) {
		for left := range v.dropped.all() {
			if !yield(left.id, left.highest) {
				return
			}
		}
	}
}

// LatestReceipt returns the receipt that was stored last, of any run.
func (v *View) LatestReceipt() (receipt store.RunBoundaryReceipt, ok bool) { return valueOf(v.latest) }

// Keys returns the idempotency keys that are kept without their inputs, in the order in
// which they lost them.
func (v *View) Keys() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for u := range v.used.all() {
			if !yield(u.value()) {
				return
			}
		}
	}
}

// SequenceFloor returns the sequence that new runs come after, if the runtime was deleted
// and brought back.
func (v *View) SequenceFloor() (sequence uint64, ok bool) { return v.floor.number, v.floor.there }

// Summary says what there is.
func (v *View) Summary() RuntimeSummary {
	return RuntimeSummary{
		RuntimeID: v.id, Version: v.version, RuntimeState: v.state, Held: v.held, Ended: v.counts.ended(),
		Made: timeOf(v.made), Active: timeOf(v.active), Labels: maps.Clone(v.labels), latest: v.latest, counts: v.counts,
	}
}

func cloned(state *store.InputState) (store.InputState, bool) {
	if state == nil {
		return store.InputState{}, false
	}
	return state.Clone(), true
}

func valueOf(receipt *Receipt) (store.RunBoundaryReceipt, bool) {
	if receipt == nil {
		return store.RunBoundaryReceipt{}, false
	}
	return receipt.Value(), true
}

// indexed returns the index. Two goroutines may both make it: they are alike.
func (v *View) indexed() *index {
	if x := v.index.Load(); x != nil {
		return x
	}
	x := &index{inputs: make(map[store.InputID]input), keys: make(map[string]input), runs: make(map[store.RunID]*run)}
	for in := range v.inputs.values.all() {
		x.inputs[in.InputID] = in
		if in.hasKey() && !x.keys[*in.IdempotencyKey].there() {
			x.keys[*in.IdempotencyKey] = in
		}
	}
	for r := range v.runs.all() {
		x.runs[r.id] = r
	}
	v.index.Store(x)
	return x
}

// View returns what a runtime holds. It is the same View until that changes,
// and must not be asked for before the last changes are settled.
func (s *State) View(id store.RuntimeID) *View {
	rt := s.runtimes[id]
	if rt == nil {
		at := absence(id)
		if s.absences[at] == nil {
			s.absences[at] = new(moment)
		}
		return &View{id: store.RuntimeID(strings.Clone(string(id))), moment: s.absences[at]}
	}
	if rt.view == nil {
		rt = s.own(rt)
		rt.share()
		rt.view = rt.show(new(moment))
	}
	return rt.view
}

// show returns a View of what is there. It does not write to rt, which must
// copy what it goes on to change.
func (rt *runtime) show(m *moment) *View {
	return &View{
		id: rt.id, version: rt.version, state: rt.state, session: rt.session, past: rt.past, origin: rt.few().origin,
		inputs: InputStates{rt.inputs.values}, runs: rt.runs.values, latest: rt.latest, dropped: rt.dropped.values,
		floor: rt.few().floor, used: rt.few().used.values, labels: rt.few().labels, made: rt.made, active: rt.active,
		counts: rt.counts, held: rt.total(), moment: m,
	}
}

// A Viewer is a store with views: see [View] for what they promise.
type Viewer interface {
	View(ctx context.Context, id store.RuntimeID) (*View, error)
}

// An InputLoader is a store that loads inputs with their versions.
type InputLoader interface {
	// LoadInput returns one input.
	LoadInput(ctx context.Context, id store.RuntimeID, input store.InputID) (in Input, ok bool, err error)
	// LoadInputByKey returns the first input that has an idempotency key.
	LoadInputByKey(ctx context.Context, id store.RuntimeID, key string) (in Input, ok bool, err error)
}

// A Historian is a store that keeps earlier versions of sessions, if its Retention
// says so.
type Historian interface {
	// LoadSessionAt returns one version of a runtime's session. The last one is
	// always there.
	LoadSessionAt(ctx context.Context, id store.RuntimeID, number uint64) (snapshot store.Snapshot, ok bool, err error)
	// Fork makes a runtime whose session is a version of another's. Nothing else of
	// the other one comes along, and what happens to it later is not seen. The error is
	// store.ErrNoVersion if there is no such version, and store.ErrConflict if there is
	// a runtime to.
	Fork(ctx context.Context, from store.RuntimeID, number uint64, to store.RuntimeID) error
}

// A Watcher is a store that can be watched. It yields the newest view whenever
// its version differs from that of the view before; at first after stands in for
// that. It
// may skip versions, and never misses the last. It ends by yielding a nil view
// and an error, that of ctx or store.ErrClosed, and leaves no goroutine.
type Watcher interface {
	Watch(ctx context.Context, id store.RuntimeID, after uint64) iter.Seq2[*View, error]
}

// A Claimer is a store with a queue over all runtimes: see loopstore.Loop.ClaimNext.
type Claimer interface {
	ClaimNext(ctx context.Context, claim store.Claim) (Claimed, error)
}

// A Follower is a store whose changes can be followed, those of all runtimes: see
// loopstore.Loop.Changes.
type Follower interface {
	Changes(ctx context.Context, after ChangeCursor) iter.Seq2[Change, error]
	ChangesCursor(ctx context.Context) (ChangeCursor, error)
}
