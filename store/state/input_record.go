package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// An input state's payload is
//
//	id, revision of the last change, flags, current state, durability, attempt count,
//	recovery count, when it was created and updated, length of the history; of each entry
//	the time, from, to, and 0, or 1 and the reason
//
// and then the members that the flags name, the lowest flag first:
//
//	1   policy: version, apply mode, wake mode, queue mode, consume point, 1 or 0 if the
//	    transcript is recorded, the same if operator content is emitted, policy version
//	2   terminal outcome: type, and of superseded and coalesced an input's id, of
//	    abandoned a reason, and of max_attempts_exhausted the number of attempts
//	4   idempotency key
//	8   reconstruction source: type, and of projection the ids of rule and event, two
//	    texts, of coalescing the number of inputs and their ids
//	16  last run's id
//	32  last boundary's sequence
//	64  persisted input, as it is, to the end of the payload
//
// Flags, and what has a code, are one byte. A time is its second, a signed varint of
// encoding/binary, and the nanoseconds, from 1e9 up in a leap second.
const (
	hasPolicy = 1 << iota
	hasOutcome
	hasKey
	hasSource
	hasLastRun
	hasLastSequence
	hasPersisted
	unknownFlag
)

// A codes is a closed list of values. The code of each is its place in it, for ever.
type codes[E ~string] []E

var (
	lifecycleCodes  = codes[store.InputLifecycleState]{store.InputAccepted, store.InputQueued, store.InputStaged, store.InputApplied, store.InputAppliedPendingConsumption, store.InputConsumed, store.InputSuperseded, store.InputCoalesced, store.InputAbandoned}
	durabilityCodes = codes[store.InputDurability]{"", store.Durable, store.Ephemeral, store.Derived}
	applyCodes      = codes[store.ApplyMode]{store.StageRunStart, store.StageRunBoundary, store.InjectNow, store.Ignore}
	wakeCodes       = codes[store.WakeMode]{store.WakeIfIdle, store.WakeNone}
	queueCodes      = codes[store.QueueMode]{store.QueueNone, store.QueueFIFO, store.QueueCoalesce, store.QueueSupersede, store.QueuePriority}
	consumeCodes    = codes[store.ConsumePoint]{store.ConsumeOnAccept, store.ConsumeOnApply, store.ConsumeOnRunStart, store.ConsumeOnRunComplete, store.ConsumeExplicitAck}
	outcomeCodes    = codes[store.OutcomeType]{store.OutcomeConsumed, store.OutcomeSuperseded, store.OutcomeCoalesced, store.OutcomeAbandoned}
	reasonCodes     = codes[store.AbandonReason]{store.AbandonRetired, store.AbandonReset, store.AbandonDestroyed, store.AbandonCancelled, store.AbandonStopped, store.AbandonNeverExecuted, store.AbandonMaxAttemptsExhausted}
	sourceCodes     = codes[store.SourceType]{store.SourceProjection, store.SourceCoalescing}
)

func (c codes[E]) append(b []byte, e E) []byte {
	code := slices.Index(c, e)
	if code < 0 {
		panic(fmt.Errorf("no code for a value of %T", e)) // every operation validates what it stores
	}
	return append(b, byte(code))
}

// of reads a code.
func (c codes[E]) of(b *payloadReader) (e E) {
	code := int(b.byte())
	if code >= len(c) {
		b.bad = true
		return e
	}
	return c[code]
}

func inputRecord(rt *runtime, at uint64, in input) journal.Change {
	return put(keyOf(keyRuntime, rt.place, subInput, at), func(b []byte) []byte {
		return appendInput(slices.Grow(b, 64+len(in.PersistedInput)), in)
	})
}

func appendInput(b []byte, s input) []byte {
	var flags byte
	for i, there := range []bool{s.Policy != nil, s.TerminalOutcome != nil, s.IdempotencyKey != nil, s.ReconstructionSource != nil,
		s.LastRunID != nil, s.LastBoundarySequence != nil, s.PersistedInput != nil} {
		if there {
			flags |= 1 << i
		}
	}
	b = append(appendNumbers(append(b, s.InputID[:]...), s.version), flags)
	b = lifecycleCodes.append(b, s.CurrentState)
	b = durabilityCodes.append(b, s.Durability)
	b = appendNumbers(b, uint64(s.AttemptCount), uint64(s.RecoveryCount))
	b = appendTime(appendTime(b, s.CreatedAt), s.UpdatedAt)
	b = appendNumbers(b, uint64(len(s.History)))
	for i := range s.History {
		h := &s.History[i]
		b = lifecycleCodes.append(lifecycleCodes.append(appendTime(b, h.Timestamp), h.From), h.To)
		if h.Reason == nil {
			b = append(b, 0)
		} else {
			b = appendText(append(b, 1), *h.Reason)
		}
	}
	if p := s.Policy; p != nil {
		d := &p.Decision
		b = appendNumbers(b, p.Version)
		b = wakeCodes.append(applyCodes.append(b, d.ApplyMode), d.WakeMode)
		b = consumeCodes.append(queueCodes.append(b, d.QueueMode), d.ConsumePoint)
		b = appendNumbers(appendFlag(appendFlag(b, d.RecordTranscript), d.EmitOperatorContent), d.PolicyVersion)
	}
	if o := s.TerminalOutcome; o != nil {
		switch b = outcomeCodes.append(b, o.Type); o.Type {
		case store.OutcomeSuperseded:
			b = append(b, o.SupersededBy[:]...)
		case store.OutcomeCoalesced:
			b = append(b, o.AggregateID[:]...)
		case store.OutcomeAbandoned:
			if b = reasonCodes.append(b, o.Reason); o.Reason == store.AbandonMaxAttemptsExhausted {
				b = appendNumbers(b, uint64(o.Attempts))
			}
		}
	}
	if s.IdempotencyKey != nil {
		b = appendText(b, *s.IdempotencyKey)
	}
	if r := s.ReconstructionSource; r != nil {
		if b = sourceCodes.append(b, r.Type); r.Type == store.SourceProjection {
			b = appendText(appendText(b, r.RuleID), r.SourceEventID)
		} else {
			b = appendNumbers(b, uint64(len(r.SourceInputIDs)))
			for _, id := range r.SourceInputIDs {
				b = append(b, id[:]...)
			}
		}
	}
	if s.LastRunID != nil {
		b = append(b, s.LastRunID[:]...)
	}
	if s.LastBoundarySequence != nil {
		b = appendNumbers(b, *s.LastBoundarySequence)
	}
	return append(b, s.PersistedInput...)
}

func appendFlag(b []byte, flag bool) []byte {
	if flag {
		return append(b, 1)
	}
	return append(b, 0)
}

// input reads one. It is zero if it cannot be. Before version 4 inputs had no version: it is
// 1 of those that have not changed since then.
func (b *payloadReader) input() input {
	if b.version < 3 {
		return input{b.inputStateOfJSON(), 1}
	}
	s := &store.InputState{InputID: b.id()}
	version := uint64(1)
	if b.version > 3 {
		version = b.number()
	}
	flags := b.byte()
	b.bad = b.bad || flags >= unknownFlag
	s.CurrentState, s.Durability = lifecycleCodes.of(b), durabilityCodes.of(b)
	s.AttemptCount, s.RecoveryCount = b.count(), b.count()
	s.CreatedAt, s.UpdatedAt = b.time(), b.time()
	s.History = b.history()
	if flags&hasPolicy != 0 {
		s.Policy = &store.PolicySnapshot{Version: b.number(), Decision: store.PolicyDecision{
			ApplyMode: applyCodes.of(b), WakeMode: wakeCodes.of(b), QueueMode: queueCodes.of(b), ConsumePoint: consumeCodes.of(b),
			RecordTranscript: b.flag(), EmitOperatorContent: b.flag(), PolicyVersion: b.number(),
		}}
	}
	if flags&hasOutcome != 0 {
		s.TerminalOutcome = b.outcome()
	}
	if flags&hasKey != 0 {
		s.IdempotencyKey = new(b.text())
	}
	if flags&hasSource != 0 {
		s.ReconstructionSource = b.source()
	}
	if flags&hasLastRun != 0 {
		s.LastRunID = new(store.RunID(b.id()))
	}
	if flags&hasLastSequence != 0 {
		s.LastBoundarySequence = new(b.number())
	}
	if flags&hasPersisted != 0 {
		s.PersistedInput = bytes.Clone(b.take(len(b.rest)))
		b.bad = b.bad || s.PersistedInput == nil
	}
	if !b.done() || s.Validate() != nil {
		return input{}
	}
	return input{s, version}
}

func (b *payloadReader) history() []store.HistoryEntry {
	const least = 5 // bytes of an entry
	n := b.number()
	if b.bad = b.bad || n > uint64(len(b.rest)/least); b.bad || n == 0 {
		return nil
	}
	history := make([]store.HistoryEntry, n)
	for i := range history {
		h := &history[i]
		h.Timestamp, h.From, h.To = b.time(), lifecycleCodes.of(b), lifecycleCodes.of(b)
		if b.flag() {
			h.Reason = new(b.text())
		}
	}
	return history
}

func (b *payloadReader) outcome() *store.TerminalOutcome {
	o := &store.TerminalOutcome{Type: outcomeCodes.of(b)}
	switch o.Type {
	case store.OutcomeSuperseded:
		o.SupersededBy = b.id()
	case store.OutcomeCoalesced:
		o.AggregateID = b.id()
	case store.OutcomeAbandoned:
		if o.Reason = reasonCodes.of(b); o.Reason == store.AbandonMaxAttemptsExhausted {
			o.Attempts = b.count()
		}
	}
	return o
}

func (b *payloadReader) source() *store.ReconstructionSource {
	r := &store.ReconstructionSource{Type: sourceCodes.of(b)}
	if r.Type == store.SourceProjection {
		r.RuleID, r.SourceEventID = b.text(), b.text()
		return r
	}
	n := b.number()
	if b.bad = b.bad || n > uint64(len(b.rest)/len(store.InputID{})); b.bad || n == 0 {
		return r
	}
	r.SourceInputIDs = make([]store.InputID, n)
	for i := range r.SourceInputIDs {
		r.SourceInputIDs[i] = b.id()
	}
	return r
}

func (b *payloadReader) count() uint32 {
	n := b.number()
	b.bad = b.bad || n > math.MaxUint32
	return uint32(n)
}

func appendTime(b []byte, t store.Time) []byte {
	at := t.Time()
	second, nanoseconds := at.Unix(), uint64(at.Nanosecond())
	if store.TimeOf(at) != t { // a leap second has become the second after it
		second, nanoseconds = second-1, nanoseconds+1e9
	}
	return appendNumbers(binary.AppendVarint(b, second), nanoseconds)
}

func (b *payloadReader) time() (t store.Time) {
	second, size := binary.Varint(b.rest)
	if b.take(max(size, 0)); size <= 0 {
		b.bad = true
	}
	nanoseconds := b.number()
	if nanoseconds < 1e9 {
		return store.TimeOf(time.Unix(second, int64(nanoseconds)))
	}
	text, ends := bytes.CutSuffix([]byte(store.TimeOf(time.Unix(second, 0)).String()), []byte("59Z"))
	if b.bad = b.bad || !ends || nanoseconds >= 2e9; !b.bad {
		b.bad = t.UnmarshalText(fmt.Appendf(text, "60.%09dZ", nanoseconds-1e9)) != nil
	}
	return t
}
