package store

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// An InputState is where one accepted input stands in its life.
type InputState struct {
	InputID              InputID               `json:"input_id"`
	CurrentState         InputLifecycleState   `json:"current_state"`
	Policy               *PolicySnapshot       `json:"policy,omitzero"`
	TerminalOutcome      *TerminalOutcome      `json:"terminal_outcome,omitzero"`
	Durability           InputDurability       `json:"durability,omitzero"`
	IdempotencyKey       *string               `json:"idempotency_key,omitzero"`
	AttemptCount         uint32                `json:"attempt_count"`
	RecoveryCount        uint32                `json:"recovery_count"`
	History              []HistoryEntry        `json:"history,omitempty"`
	ReconstructionSource *ReconstructionSource `json:"reconstruction_source,omitzero"`
	// PersistedInput is the input itself, JSON that the store never looks
	// into. nil is absent. It may nest 9,000 deep.
	PersistedInput jsontext.Value `json:"persisted_input,omitzero"`
	// LastRunID and LastBoundarySequence name the receipt of the boundary that
	// the input took part in last. A boundary commit stamps them.
	LastRunID            *RunID  `json:"last_run_id,omitzero"`
	LastBoundarySequence *uint64 `json:"last_boundary_sequence,omitzero"`
	CreatedAt            Time    `json:"created_at"`
	UpdatedAt            Time    `json:"updated_at"`
}

// A HistoryEntry is one transition in an input's life.
type HistoryEntry struct {
	Timestamp Time                `json:"timestamp"`
	From      InputLifecycleState `json:"from"`
	To        InputLifecycleState `json:"to"`
	Reason    *string             `json:"reason,omitzero"`
}

// A PolicySnapshot is the decision under which an input was accepted.
type PolicySnapshot struct {
	Version  uint64         `json:"version"`
	Decision PolicyDecision `json:"decision"`
}

// A PolicyDecision says how an input is applied, queued and consumed. When it
// is read, the two booleans are true unless they are given.
type PolicyDecision struct {
	ApplyMode           ApplyMode    `json:"apply_mode"`
	WakeMode            WakeMode     `json:"wake_mode"`
	QueueMode           QueueMode    `json:"queue_mode"`
	ConsumePoint        ConsumePoint `json:"consume_point"`
	RecordTranscript    bool         `json:"record_transcript"`
	EmitOperatorContent bool         `json:"emit_operator_content"`
	PolicyVersion       uint64       `json:"policy_version"`
}

// A TerminalOutcome says how an input's life ended. Only the field of its
// type may be set.
type TerminalOutcome struct {
	Type         OutcomeType
	SupersededBy InputID       // of OutcomeSuperseded
	AggregateID  InputID       // of OutcomeCoalesced
	Reason       AbandonReason // of OutcomeAbandoned
	Attempts     uint32        // of AbandonMaxAttemptsExhausted
}

// A ReconstructionSource says what an input was derived from. Only the fields
// of its type may be set.
type ReconstructionSource struct {
	Type           SourceType
	RuleID         string    // of SourceProjection
	SourceEventID  string    // of SourceProjection
	SourceInputIDs []InputID // of SourceCoalescing
}

// NewInputState returns the state of an input that was accepted at that time.
func NewInputState(id InputID, at Time) InputState {
	return InputState{InputID: id, CurrentState: InputAccepted, CreatedAt: at, UpdatedAt: at}
}

// Clone returns a copy that shares nothing with s.
func (s *InputState) Clone() (c InputState) {
	s.CloneTo(&c)
	return c
}

// CloneTo makes c such a copy, in place.
func (s *InputState) CloneTo(c *InputState) {
	*c = *s
	c.Policy = clone(s.Policy)
	c.TerminalOutcome = clone(s.TerminalOutcome)
	c.IdempotencyKey = clone(s.IdempotencyKey)
	c.History = slices.Clone(s.History)
	for i := range c.History {
		c.History[i].Reason = clone(c.History[i].Reason)
	}
	c.ReconstructionSource = clone(s.ReconstructionSource)
	if r := c.ReconstructionSource; r != nil {
		r.SourceInputIDs = slices.Clone(r.SourceInputIDs)
	}
	c.PersistedInput = bytes.Clone(s.PersistedInput)
	c.LastRunID = clone(s.LastRunID)
	c.LastBoundarySequence = clone(s.LastBoundarySequence)
}

// Detach returns a copy like Clone's whose texts are its own too, so that it
// does not keep the memory of a larger text that one of s's is a part of. s
// must be valid.
func (s *InputState) Detach() InputState {
	c := s.Clone()
	c.CurrentState = constant(inputStates, c.CurrentState)
	c.Durability = constant(durabilities, c.Durability)
	detachText(c.IdempotencyKey)
	for i := range c.History {
		h := &c.History[i]
		h.From, h.To = constant(inputStates, h.From), constant(inputStates, h.To)
		detachText(h.Reason)
	}
	if c.Policy != nil {
		d := &c.Policy.Decision
		d.ApplyMode, d.WakeMode = constant(applyModes, d.ApplyMode), constant(wakeModes, d.WakeMode)
		d.QueueMode, d.ConsumePoint = constant(queueModes, d.QueueMode), constant(consumePoints, d.ConsumePoint)
	}
	if o := c.TerminalOutcome; o != nil {
		o.Type, o.Reason = constant(outcomeTypes, o.Type), constant(allReasons, o.Reason)
	}
	if r := c.ReconstructionSource; r != nil {
		r.Type = constant(sourceTypes, r.Type)
		detachText(&r.RuleID)
		detachText(&r.SourceEventID)
	}
	return c
}

// PayloadBytes are about how many bytes there are in what can be absent or grow:
// optional members, texts, lists, and the input itself.
func (s *InputState) PayloadBytes() int {
	const perEntry, perMember = 80, 112 // no less than they take
	n := len(s.PersistedInput) + textBytes(s.IdempotencyKey) + perEntry*len(s.History)
	for _, there := range []bool{s.Policy != nil, s.TerminalOutcome != nil, s.IdempotencyKey != nil, s.ReconstructionSource != nil, s.LastRunID != nil || s.LastBoundarySequence != nil} {
		if there {
			n += perMember
		}
	}
	for i := range s.History {
		n += textBytes(s.History[i].Reason)
	}
	if r := s.ReconstructionSource; r != nil {
		n += len(r.RuleID) + len(r.SourceEventID) + len(InputID{})*len(r.SourceInputIDs)
	}
	return n
}

func textBytes(text *string) int {
	if text == nil {
		return 0
	}
	return len(*text)
}

func detachText(text *string) {
	if text != nil {
		*text = strings.Clone(*text)
	}
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// Validate returns a *ValueError if a part of s is not valid for its type, or
// text in it is not valid UTF-8.
func (s *InputState) Validate() error {
	return cmp.Or(
		InField("current_state", s.CurrentState.Validate()),
		InField("policy", s.Policy.validate()),
		InField("terminal_outcome", s.TerminalOutcome.validate()),
		InField("durability", s.Durability.validate()),
		InField("idempotency_key", validText(s.IdempotencyKey)),
		InField("history", s.validateHistory()),
		InField("reconstruction_source", s.ReconstructionSource.validate()),
		InField("persisted_input", s.validatePersistedInput()),
		InField("created_at", s.CreatedAt.Validate()),
		InField("updated_at", s.UpdatedAt.Validate()),
	)
}

func validText(text *string) error {
	if text == nil {
		return nil
	}
	return validUTF8(*text)
}

func validUTF8(text string) error {
	if !utf8.ValidString(text) {
		return &ValueError{Reason: "not valid UTF-8"}
	}
	return nil
}

func (s *InputState) validateHistory() error {
	for i := range s.History {
		h := &s.History[i]
		if err := cmp.Or(
			InField("timestamp", h.Timestamp.Validate()),
			InField("from", h.From.Validate()),
			InField("to", h.To.Validate()),
			InField("reason", validText(h.Reason)),
		); err != nil {
			return InField("["+strconv.Itoa(i)+"]", err)
		}
	}
	return nil
}

func (s *InputState) validatePersistedInput() error {
	switch {
	case s.PersistedInput == nil:
		return nil
	case !s.PersistedInput.IsValid(jsontext.AllowDuplicateNames(true)):
		return &ValueError{Reason: "not valid JSON"}
	case s.PersistedInput.Kind() == 'n':
		return errNull
	case depth(s.PersistedInput) > maxInputDepth:
		return &ValueError{Reason: "nested too deep"}
	}
	return nil
}

// maxInputDepth leaves room for what is put around an input when it is
// written: the JSON library's own limit is 10,000.
const maxInputDepth = 9000

// depth returns how deep arrays and objects are nested in valid JSON.
func depth(v jsontext.Value) (deepest int) {
	open, inString := 0, false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			open++
			deepest = max(deepest, open)
		case c == ']' || c == '}':
			open--
		}
	}
	return deepest
}

func (p *PolicySnapshot) validate() error {
	if p == nil {
		return nil
	}
	return InField("decision", p.Decision.validate())
}

func (d *PolicyDecision) validate() error {
	return cmp.Or(
		InField("apply_mode", oneOf(applyModes, d.ApplyMode)),
		InField("wake_mode", oneOf(wakeModes, d.WakeMode)),
		InField("queue_mode", oneOf(queueModes, d.QueueMode)),
		InField("consume_point", oneOf(consumePoints, d.ConsumePoint)),
	)
}

// MarshalJSON returns the state's JSON, PersistedInput with its own escapes
// and numbers. An invalid state is a *ValueError.
func (s InputState) MarshalJSON() ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s.marshalValid()
}

func (s *InputState) marshalValid() ([]byte, error) {
	type plain InputState
	return marshal((*plain)(s))
}

// UnmarshalJSON reads a state. The error is a *ValueError, and s unchanged
// then.
func (s *InputState) UnmarshalJSON(data []byte) error {
	return replace(s, InputState{}, data, (*InputState).read)
}

// UnmarshalLater is UnmarshalJSON for what later versions of Meerkat write: it reads the
// reasons too that 0.4.6 does not know, of which max_attempts_exhausted is an object with
// the number of attempts. MarshalJSON writes them like that.
func (s *InputState) UnmarshalLater(data []byte) error {
	return replace(s, InputState{}, data, func(s *InputState, dec *jsontext.Decoder) error {
		return s.readWith(dec, func(dec *jsontext.Decoder) error {
			outcome, err := dec.ReadValue()
			if err == nil {
				s.TerminalOutcome = new(TerminalOutcome)
				err = s.TerminalOutcome.read(outcome, true)
			}
			return err
		})
	})
}

func (s *InputState) read(dec *jsontext.Decoder) error { return s.readWith(dec, &s.TerminalOutcome) }

// readWith reads the outcome into what is given.
func (s *InputState) readWith(dec *jsontext.Decoder, outcome any) error {
	return readObject(dec,
		member{"input_id", required, &s.InputID},
		member{"current_state", required, &s.CurrentState},
		member{"policy", optional, &s.Policy},
		member{"terminal_outcome", optional, outcome},
		member{"durability", optional, &s.Durability},
		member{"idempotency_key", optional, &s.IdempotencyKey},
		member{"attempt_count", defaulted, &s.AttemptCount},
		member{"recovery_count", defaulted, &s.RecoveryCount},
		member{"history", defaulted, s.readHistory},
		member{"reconstruction_source", optional, &s.ReconstructionSource},
		member{"persisted_input", optional, s.readPersistedInput},
		member{"last_run_id", optional, &s.LastRunID},
		member{"last_boundary_sequence", optional, &s.LastBoundarySequence},
		member{"created_at", required, &s.CreatedAt},
		member{"updated_at", required, &s.UpdatedAt},
	)
}

// readHistory gathers a long history in pieces: a slice that grows is copied
// again and again, which takes five times its size.
func (s *InputState) readHistory(dec *jsontext.Decoder) error {
	const piece = 256
	var before [][]HistoryEntry
	err := readArray(dec, func() error {
		if len(s.History) == piece {
			before = append(before, s.History)
			s.History = make([]HistoryEntry, 0, piece)
		}
		var h HistoryEntry
		err := InField("["+strconv.Itoa(piece*len(before)+len(s.History))+"]", h.read(dec))
		s.History = append(s.History, h)
		return err
	})
	if before != nil {
		s.History = slices.Concat(append(before, s.History)...)
	}
	return err
}

func (s *InputState) readPersistedInput(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	s.PersistedInput = v.Clone()
	return err
}

// UnmarshalJSON reads an entry. The error is a *ValueError, and h unchanged
// then.
func (h *HistoryEntry) UnmarshalJSON(data []byte) error {
	return replace(h, HistoryEntry{}, data, (*HistoryEntry).read)
}

func (h *HistoryEntry) read(dec *jsontext.Decoder) error {
	return readObject(dec,
		member{"timestamp", required, &h.Timestamp},
		member{"from", required, &h.From},
		member{"to", required, &h.To},
		member{"reason", optional, &h.Reason},
	)
}

// UnmarshalJSON reads a policy. The error is a *ValueError, and p unchanged
// then.
func (p *PolicySnapshot) UnmarshalJSON(data []byte) error {
	return replace(p, PolicySnapshot{}, data, (*PolicySnapshot).read)
}

func (p *PolicySnapshot) read(dec *jsontext.Decoder) error {
	return readObject(dec,
		member{"version", required, &p.Version},
		member{"decision", required, &p.Decision},
	)
}

// UnmarshalJSON reads a decision. The error is a *ValueError, and d unchanged
// then.
func (d *PolicyDecision) UnmarshalJSON(data []byte) error {
	defaults := PolicyDecision{RecordTranscript: true, EmitOperatorContent: true}
	return replace(d, defaults, data, (*PolicyDecision).read)
}

func (d *PolicyDecision) read(dec *jsontext.Decoder) error {
	return readObject(dec,
		member{"apply_mode", required, &d.ApplyMode},
		member{"wake_mode", required, &d.WakeMode},
		member{"queue_mode", required, &d.QueueMode},
		member{"consume_point", required, &d.ConsumePoint},
		member{"record_transcript", defaulted, &d.RecordTranscript},
		member{"emit_operator_content", defaulted, &d.EmitOperatorContent},
		member{"policy_version", required, &d.PolicyVersion},
	)
}
