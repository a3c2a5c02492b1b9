package state

import (
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// What a journal of version 3 holds is read by these codes for ever.
func TestDurableCodesStay(t *testing.T) {
	pinned(t, lifecycleCodes, "accepted", "queued", "staged", "applied", "applied_pending_consumption", "consumed", "superseded", "coalesced", "abandoned")
	pinned(t, durabilityCodes, "", "durable", "ephemeral", "derived")
	pinned(t, applyCodes, "stage_run_start", "stage_run_boundary", "inject_now", "ignore")
	pinned(t, wakeCodes, "wake_if_idle", "none")
	pinned(t, queueCodes, "none", "fifo", "coalesce", "supersede", "priority")
	pinned(t, consumeCodes, "on_accept", "on_apply", "on_run_start", "on_run_complete", "explicit_ack")
	pinned(t, outcomeCodes, "consumed", "superseded", "coalesced", "abandoned")
	pinned(t, reasonCodes, "retired", "reset", "destroyed", "cancelled", "stopped", "never_executed", "max_attempts_exhausted")
	pinned(t, sourceCodes, "projection", "coalescing")
}

func pinned[E ~string](t *testing.T, c codes[E], names ...E) {
	t.Helper()
	assert.Equal(t, codes[E](names), c)
	for code, name := range names {
		assert.Equal(t, []byte{byte(code)}, c.append(nil, name))
		b := payloadReader{rest: []byte{byte(code)}}
		assert.Equal(t, name, c.of(&b))
		assert.True(t, b.done())
	}
	b := payloadReader{rest: []byte{byte(len(names))}}
	assert.Empty(t, c.of(&b))
	assert.True(t, b.bad, "an unknown code")
	assert.Panics(t, func() { c.append(nil, "unknown") })
}

// Whatever value is valid has a code.
func TestDurableCodesAreAllThereAre(t *testing.T) {
	decision := store.PolicyDecision{ApplyMode: store.Ignore, WakeMode: store.WakeNone, QueueMode: store.QueueNone, ConsumePoint: store.ConsumeOnApply}
	state := func(alter func(*store.InputState)) store.InputState {
		s := store.NewInputState(store.InputID{}, store.Time{})
		s.Policy = &store.PolicySnapshot{Decision: decision}
		alter(&s)
		return s
	}
	for field, c := range map[string]struct {
		codes codes[string]
		state store.InputState
	}{
		"current_state":                 {textsOf(lifecycleCodes), state(func(s *store.InputState) { s.CurrentState = "" })},
		"durability":                    {textsOf(durabilityCodes[1:]), state(func(s *store.InputState) { s.Durability = "x" })},
		"policy.decision.apply_mode":    {textsOf(applyCodes), state(func(s *store.InputState) { s.Policy.Decision.ApplyMode = "" })},
		"policy.decision.wake_mode":     {textsOf(wakeCodes), state(func(s *store.InputState) { s.Policy.Decision.WakeMode = "" })},
		"policy.decision.queue_mode":    {textsOf(queueCodes), state(func(s *store.InputState) { s.Policy.Decision.QueueMode = "" })},
		"policy.decision.consume_point": {textsOf(consumeCodes), state(func(s *store.InputState) { s.Policy.Decision.ConsumePoint = "" })},
		"terminal_outcome.outcome_type": {textsOf(outcomeCodes), state(func(s *store.InputState) { s.TerminalOutcome = &store.TerminalOutcome{} })},
		"terminal_outcome.reason": {textsOf(reasonCodes), state(func(s *store.InputState) {
			s.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeAbandoned}
		})},
		"reconstruction_source.source_type": {textsOf(sourceCodes), state(func(s *store.InputState) { s.ReconstructionSource = &store.ReconstructionSource{} })},
	} {
		invalid, ok := errors.AsType[*store.ValueError](c.state.Validate())
		require.True(t, ok, field)
		assert.Equal(t, field, invalid.Field)
		assert.Equal(t, "expected one of "+strings.Join(c.codes, ", "), invalid.Reason)
	}
}

func textsOf[E ~string](c codes[E]) (all codes[string]) {
	for _, e := range c {
		all = append(all, string(e))
	}
	return all
}

// payloadOfVersion2 is that of an input state.
func payloadOfVersion2(t testing.TB, s *store.InputState) []byte {
	t.Helper()
	bare := *s
	bare.PersistedInput = nil
	text, err := bare.MarshalJSON()
	require.NoError(t, err)
	b := appendText(nil, string(text))
	if s.PersistedInput == nil {
		return append(b, 0)
	}
	return append(append(b, 1), s.PersistedInput...)
}

// inVersion2 returns records as version 2 had them.
func inVersion2(t testing.TB, records []journal.Change) (all []journal.Change) {
	t.Helper()
	for _, c := range records {
		decoded := record{Change: c}
		decoded.decode()
		payload := c.Value[1 : len(c.Value)-4]
		if in := decoded.read.input; in.there() {
			payload = payloadOfVersion2(t, in.InputState)
		}
		all = append(all, sealed(2, c.Key, func(b []byte) []byte { return append(b, payload...) }))
	}
	return all
}

// fromVersion2 returns a state as it comes back from a record of version 2.
func fromVersion2(t *testing.T, s *store.InputState) *store.InputState {
	t.Helper()
	b := payloadReader{version: 2, rest: payloadOfVersion2(t, s)}
	again := b.input()
	require.True(t, again.there())
	require.EqualValues(t, 1, again.version)
	require.True(t, b.done())
	return again.InputState
}

func fromVersion4(t *testing.T, s *store.InputState) *store.InputState {
	t.Helper()
	b := payloadReader{version: 4, rest: appendInput(nil, input{s, 300})}
	again := b.input()
	require.True(t, again.there())
	require.EqualValues(t, 300, again.version)
	return again.InputState
}

// edges are the input states of package fixture, and others at the edges of what there
// may be.
func edges(t testing.TB) (all []*store.InputState) {
	t.Helper()
	stream, err := os.ReadFile("testdata/records-v2.bin")
	require.NoError(t, err)
	r := payloadReader{rest: stream}
	for len(r.rest) > 0 {
		c := record{Change: journal.Change{Key: r.sized(), Value: r.sized()}}
		if c.decode(); c.read.input.there() {
			require.EqualValues(t, 2, c.version)
			all = append(all, c.read.input.InputState)
		}
	}
	require.False(t, r.bad)
	require.Greater(t, len(all), 30)
	for _, text := range []string{"-262143-01-01T00:00:00Z", "+262142-12-31T23:59:60.999999999Z", "-0001-12-31T23:59:60Z", "1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:60Z", "1970-01-01T00:00:00.5Z"} {
		s := store.NewInputState(store.InputID{1}, store.Time{})
		require.NoError(t, s.UpdatedAt.UnmarshalText([]byte(text)))
		all = append(all, &s)
	}
	empty := store.NewInputState(store.InputID{2}, store.TimeOf(time.Unix(0, 1)))
	empty.History = []store.HistoryEntry{}
	empty.ReconstructionSource = &store.ReconstructionSource{Type: store.SourceCoalescing, SourceInputIDs: []store.InputID{}}
	none := empty
	none.ReconstructionSource = &store.ReconstructionSource{Type: store.SourceCoalescing}
	return append(all, &empty, &none)
}

func TestInputStatesComeBackAsFromJSON(t *testing.T) {
	for _, s := range edges(t) {
		assert.Equal(t, fromVersion2(t, s), fromVersion4(t, s))
	}
}

// FuzzInputState compares what comes back from the two forms, of any valid state.
func FuzzInputState(f *testing.F) {
	for _, s := range edges(f) {
		text, err := s.MarshalJSON()
		require.NoError(f, err)
		f.Add(text, []byte(s.PersistedInput))
	}
	f.Fuzz(func(t *testing.T, text, persisted []byte) {
		var s store.InputState
		if s.UnmarshalJSON(text) != nil {
			return
		}
		if s.PersistedInput = persisted; s.Validate() != nil {
			return
		}
		require.Equal(t, fromVersion2(t, &s), fromVersion4(t, &s))
	})
}

// FuzzInputPayload reads anything as an input state. What it takes is valid, comes back
// from either form as it is, and took no more memory than its payload accounts for.
func FuzzInputPayload(f *testing.F) {
	for _, s := range edges(f) {
		f.Add(appendInput(nil, input{s, 300}))
	}
	for _, reason := range reasonCodes {
		s := store.NewInputState(store.InputID{1}, store.Time{})
		s.TerminalOutcome = &store.TerminalOutcome{Type: store.OutcomeAbandoned, Reason: reason}
		f.Add(appendInput(nil, input{&s, 1}))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		b := payloadReader{version: 4, rest: payload}
		s := b.input().InputState
		if s == nil {
			return
		}
		require.NoError(t, s.Validate())
		require.LessOrEqual(t, len(s.History), len(payload))
		require.Equal(t, s, fromVersion4(t, s))
		if o := s.TerminalOutcome; o == nil || slices.Index(reasonCodes, o.Reason) <= 3 { // later reasons are not in version 2
			require.Equal(t, s, fromVersion2(t, s))
		}
	})
}

// What cannot be is refused, wherever it stands.
func TestInputPayloadsThatCannotBe(t *testing.T) {
	full := store.NewInputState(store.InputID{9}, store.TimeOf(time.Unix(1, 2)))
	full.IdempotencyKey, full.LastRunID, full.LastBoundarySequence = new("key"), new(store.RunID{8}), new(uint64(300))
	full.PersistedInput = []byte(`{"a":[1]}`)
	full.History = []store.HistoryEntry{{From: store.InputQueued, To: store.InputStaged, Reason: new("why")}}
	whole := appendInput(nil, input{&full, 300})
	for n := range len(whole) {
		b := payloadReader{version: 4, rest: whole[:n]}
		assert.Nil(t, b.input().InputState, "the first %d bytes", n)
	}

	bare := store.NewInputState(store.InputID{9}, store.Time{})
	plain := appendInput(nil, input{&bare, 1})
	const flags, current, durability, attempts, created, history = 17, 18, 19, 20, 22, 26
	numbers := func(n ...uint64) string { return string(appendNumbers(nil, n...)) }
	for name, c := range map[string]struct {
		at, instead int
		by          string
	}{
		"an unknown flag":           {flags, 1, "\x80"},
		"a member that is missing":  {flags, 1, "\x20"},
		"no persisted input":        {flags, 1, "\x40"},
		"an unknown state":          {current, 1, "\x09"},
		"an unknown durability":     {durability, 1, "\x04"},
		"too many attempts":         {attempts, 1, numbers(math.MaxUint32 + 1)},
		"a number without an end":   {attempts, 1, strings.Repeat("\xff", 11)},
		"a year too late":           {created, 1, numbers(8210266876800 * 2)},
		"a year too early":          {created, 1, numbers(8334601228801*2 - 1)},
		"half a minute's second 60": {created, 2, numbers(2*29, 1e9)},
		"a second leap second":      {created, 2, numbers(2*59, 2e9)},
		"more history than bytes":   {history, 1, numbers(math.MaxUint64)},
		"more text":                 {len(plain), 0, "\x00"},
		"input that is no JSON":     {len(plain), 0, ""},
	} {
		altered := string(plain[:c.at]) + c.by + string(plain[c.at+c.instead:])
		if name == "input that is no JSON" {
			altered = string(plain[:flags]) + "\x40" + string(plain[flags+1:]) + "{"
		}
		b := payloadReader{version: 4, rest: []byte(altered)}
		assert.Nil(t, b.input().InputState, name)
	}
	for name, s := range map[string]func(*store.InputState){
		"a key that is not UTF-8": func(s *store.InputState) { s.IdempotencyKey = new("\xff") },
		"a reason that is not UTF-8": func(s *store.InputState) {
			s.History = []store.HistoryEntry{{From: store.InputQueued, To: store.InputQueued, Reason: new("\xff")}}
		},
		"input that is null":       func(s *store.InputState) { s.PersistedInput = []byte("null") },
		"input that is two values": func(s *store.InputState) { s.PersistedInput = []byte("1 2") },
		"input nested too deep": func(s *store.InputState) {
			s.PersistedInput = []byte(strings.Repeat("[", 9001) + strings.Repeat("]", 9001))
		},
	} {
		altered := bare
		s(&altered)
		b := payloadReader{version: 4, rest: appendInput(nil, input{&altered, 1})}
		assert.Nil(t, b.input().InputState, name)
	}
	b := payloadReader{version: 4, rest: plain}
	assert.NotNil(t, b.input().InputState)
}
