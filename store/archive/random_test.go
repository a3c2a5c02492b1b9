package archive_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A program is operations whose arguments depend on nothing but its seed, so it
// does the same to equal states.
type program struct{ *rand.Rand }

func newProgram(seed uint64) program { return program{rand.New(rand.NewPCG(seed, 7))} }

// runtimeIDs has ids that a careless writer would get wrong.
var runtimeIDs = []store.RuntimeID{"", "agent-1", "a\nb", "a\u2028b\u2029", "\x00\x1b[31m", `"\`, "日本", "<&>"}

// payloads are JSON whose every byte counts.
var payloads = []string{
	`{"a":1}`, `{ "a" : 1 }`, "{\n\"a\":\r\n\t1}", `{"a":1,"a":2}`, `"\u0041\/\u2028"`, `" "`, ` 1.50e+1`, `[]`, "[ ]", `{"a b":[1, 2]}`,
	strings.Repeat("[", 9000) + strings.Repeat("]", 9000), strings.Repeat("[", 9000) + " " + strings.Repeat("]", 9000),
}

func pick[T any](p program, of []T) T { return of[p.IntN(len(of))] }

func (p program) uuid() [16]byte { return [16]byte{15: byte(p.IntN(6))} }

func (p program) runtime() store.RuntimeID { return pick(p, runtimeIDs) }

func (p program) text() *string {
	return pick(p, []*string{nil, new(""), new("key \u2028\n\"\\\x7f"), new("key")})
}

func (p program) time() store.Time {
	var t store.Time
	text := pick(p, []string{"2016-12-31T23:59:60.5Z", "1970-01-01T00:00:00Z", "+12345-01-01T00:00:00.123456789Z", "-0001-02-03T04:05:06.007Z", "2026-01-01T00:00:59.000001Z"})
	if err := t.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return t
}

func (p program) input() store.InputState {
	s := store.NewInputState(store.InputID(p.uuid()), p.time())
	s.UpdatedAt = p.time()
	s.CurrentState = pick(p, []store.InputLifecycleState{store.InputAccepted, store.InputStaged, store.InputConsumed, store.InputAbandoned})
	s.Durability = pick(p, []store.InputDurability{"", store.Durable, store.Derived})
	s.IdempotencyKey = p.text()
	s.AttemptCount = p.Uint32()
	if p.IntN(2) == 0 {
		s.PersistedInput = []byte(pick(p, payloads))
	}
	for range p.IntN(3) {
		s.History = append(s.History, store.HistoryEntry{Timestamp: p.time(), From: store.InputAccepted, To: s.CurrentState, Reason: p.text()})
	}
	s.TerminalOutcome = pick(p, []*store.TerminalOutcome{
		nil, {Type: store.OutcomeConsumed}, {Type: store.OutcomeSuperseded}, {Type: store.OutcomeCoalesced, AggregateID: store.InputID{7}},
		{Type: store.OutcomeAbandoned, Reason: store.AbandonReset},
	})
	s.ReconstructionSource = pick(p, []*store.ReconstructionSource{
		nil, {Type: store.SourceProjection, RuleID: "r\n"}, {Type: store.SourceCoalescing, SourceInputIDs: []store.InputID{{1}, {2}}}, {Type: store.SourceCoalescing},
	})
	if p.IntN(2) == 0 {
		s.Policy = &store.PolicySnapshot{Version: p.Uint64(), Decision: store.PolicyDecision{
			ApplyMode: store.Ignore, WakeMode: store.WakeNone, QueueMode: store.QueueNone, ConsumePoint: store.ConsumeExplicitAck, PolicyVersion: math.MaxUint64,
		}}
	}
	return s
}

func (p program) inputs() (all []store.InputState) {
	for range p.IntN(3) {
		all = append(all, p.input())
	}
	return all
}

func (p program) inputIDs() (ids []store.InputID) {
	for range p.IntN(3) {
		ids = append(ids, store.InputID(p.uuid()))
	}
	return ids
}

func (p program) boundary() store.RunApplyBoundary {
	return pick(p, []store.RunApplyBoundary{store.Immediate, store.RunStart, store.RunCheckpoint})
}

func (p program) receipt() store.RunBoundaryReceipt {
	return store.RunBoundaryReceipt{
		RunID: store.RunID(p.uuid()), Boundary: p.boundary(), ContributingInputIDs: p.inputIDs(), MessageCount: p.Uint64(),
		ConversationDigest: pick(p, []*string{nil, new(""), new("not\u2028one"), new(strings.Repeat("ab", 32)), new(strings.Repeat("AB", 32))}),
		Sequence:           pick(p, []uint64{0, 1, 2, 3, 99, math.MaxUint64}),
	}
}

// documentOf returns a session document. what stands in a member that is
// skipped.
func documentOf(id store.SessionID, messages int, what string) []byte {
	return fmt.Appendf(nil, `{"id":"%s", "messages":[%s],"created_at":{"secs_since_epoch":1,"nanos_since_epoch":0},"updated_at":{"secs_since_epoch":2,"nanos_since_epoch":0},"other":"%s"}`,
		id, strings.Join(strings.Fields(strings.Repeat(`{"role":"user","content":"hello"} `, messages)), ","), what)
}

func (p program) document(id store.SessionID) []byte {
	return documentOf(id, p.IntN(4), pick(p, []string{"x", "\xff", "\u2028"}))
}

// snapshot returns a document, or other bytes.
func (p program) snapshot(id store.SessionID) []byte {
	if p.IntN(2) == 0 {
		return p.document(id)
	}
	return []byte(pick(p, []string{"", "any bytes", "\xff\x00", "\n", "null", "\u2028<&>\""}))
}

func (p program) apply() store.BoundaryApply {
	apply := store.BoundaryApply{Receipt: p.receipt(), InputUpdates: p.inputs()}
	id := store.SessionID(p.uuid())
	if p.IntN(3) > 0 {
		apply.Session = &store.SessionDelta{SessionSnapshot: p.snapshot(id)}
		if p.IntN(2) == 0 {
			apply.SessionStoreKey = &id
		}
	}
	return apply
}

func (p program) retention() store.Retention {
	return store.Retention{
		ReceiptsPerRun: p.IntN(3), Runs: p.IntN(3),
		Inputs: store.Keep{Last: p.IntN(3)}, Payloads: store.Keep{Last: p.IntN(3), For: time.Hour},
	}
}

func perform[R any, O ops.Request[R], P ops.Steps[R, O]](held *state.State, op O) {
	_, _ = ops.Run[R, O, P](held, op) // a refused one changes nothing
}

// step does one operation.
func (p program) step(held *state.State) {
	id := p.runtime()
	switch p.IntN(23) {
	case 0, 1, 2:
		perform(held, ops.CommitSessionBoundary{RuntimeID: id, Commit: store.BoundaryCommit{
			Session: store.SessionDelta{SessionSnapshot: p.document(store.SessionID(p.uuid()))}, RunID: store.RunID(p.uuid()),
			Boundary: p.boundary(), ContributingInputIDs: p.inputIDs(), InputUpdates: p.inputs(),
		}})
	case 3, 4, 5:
		perform(held, ops.AtomicApply{RuntimeID: id, Commit: p.apply()})
	case 6, 7:
		perform(held, ops.PersistInputState{RuntimeID: id, State: p.input()})
	case 8:
		perform(held, ops.PersistRuntimeState{RuntimeID: id, State: pick(p, []store.RuntimeState{store.RuntimeIdle, store.RuntimeRunning})})
	case 9:
		perform(held, ops.Prune{RuntimeID: id, Keep: p.retention(), Now: store.TimeOf(time.Unix(1e9, 0))})
	case 10:
		perform(held, ops.DeleteRuntime{RuntimeID: id})
	case 11:
		perform(held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{
			batch.PutSnapshot{RuntimeID: id, Snapshot: p.snapshot(store.SessionID{})},
			batch.PutInputState{RuntimeID: p.runtime(), State: p.input()},
		}}})
	case 12: // makes a runtime with nothing in it
		input := p.input()
		perform(held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{
			batch.PutInputState{RuntimeID: id, State: input}, batch.DeleteInputState{RuntimeID: id, InputID: input.InputID},
		}}})
	case 13: // makes runs that have only a highest sequence
		if run, highest := store.RunID(p.uuid()), pick(p, []uint64{0, 5, math.MaxUint64}); held.CheckDeleted(id) == nil {
			held.UseSequences(id, run, highest)
			held.Settle()
		}
	case 14, 15:
		perform(held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{p.growing(id)}}})
	case 16:
		perform(held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{batch.RestoreSession{RuntimeID: id, Number: 1 + p.Uint64N(6)}}}})
	case 17, 18:
		to := p.runtime()
		if to != id {
			perform(held, ops.DeleteRuntime{RuntimeID: to})
		}
		perform(held, ops.Fork{RuntimeID: id, Number: 1 + p.Uint64N(6), To: to})
	case 19: // from here on
		held.Retention.Sessions = pick(p, []store.Keep{{}, {Last: 3}, {Last: 100}})
		held.Now = p.time()
		held.Retention.Keys = pick(p, []store.Keep{{}, {Last: 2}, {Last: 100}})
		held.Tombstones = pick(p, []store.Keep{{}, {Last: 2}, {Last: 100}})
		held.UniqueKeys = p.IntN(4) == 0
	case 20:
		perform(held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{batch.PutLabels{RuntimeID: id, Labels: pick(p, []map[string]string{
			nil, {"a": "", "\u2028<&>": "\"\n"}, {"日本": "x", "b": strings.Repeat("y", store.MaxLabelBytes)},
		})}}}})
	case 21:
		perform(held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{batch.ReviveRuntime{RuntimeID: id}}}})
	case 22:
		perform(held, ops.Commit{Batch: batch.Batch{Then: []batch.Write{batch.DeleteInputState{RuntimeID: id, InputID: store.InputID(p.uuid())}}}})
	}
}

// growing puts a text of a format that grows, or appends to one. Some are so large
// that they are in parts.
func (p program) growing(id store.RuntimeID) batch.PutSnapshot {
	put := batch.PutSnapshot{RuntimeID: id, Format: pick(p, []store.Format{store.FormatLines, store.FormatOpaque}), Append: p.IntN(2) == 0}
	if put.Format == store.FormatOpaque {
		put.Messages = p.Uint64N(9)
	}
	for range pick(p, []int{0, 1, 3, 2000}) {
		put.Snapshot = fmt.Appendf(put.Snapshot, "%d\r\n", p.IntN(1e9))
	}
	if put.Format == store.FormatOpaque && p.IntN(2) == 0 {
		put.Snapshot = append(put.Snapshot, 0xff)
	}
	return put
}

// run does n operations.
func (p program) run(held *state.State, n int) {
	for range n {
		p.step(held)
	}
}
