package store

import (
	"slices"
	"strings"
)

// A RuntimeState is where a runtime stands. Any state may follow any other:
// transitions are the runtime's business.
type RuntimeState string

// The states of a runtime.
const (
	RuntimeInitializing RuntimeState = "initializing"
	RuntimeIdle         RuntimeState = "idle"
	RuntimeRunning      RuntimeState = "running"
	RuntimeRecovering   RuntimeState = "recovering"
	RuntimeRetired      RuntimeState = "retired"
	RuntimeStopped      RuntimeState = "stopped"   // terminal
	RuntimeDestroyed    RuntimeState = "destroyed" // terminal
)

// IsTerminal reports whether the runtime has ended.
func (s RuntimeState) IsTerminal() bool { return s == RuntimeStopped || s == RuntimeDestroyed }

// MayAcceptInput reports whether the runtime takes inputs.
func (s RuntimeState) MayAcceptInput() bool { return s == RuntimeIdle || s == RuntimeRunning }

// MayProcessQueue reports whether the runtime works on what is queued.
func (s RuntimeState) MayProcessQueue() bool { return s == RuntimeIdle || s == RuntimeRetired }

// A RunApplyBoundary is the point of a run at which inputs are applied. A store keeps
// it in the receipt, and does the same at each.
type RunApplyBoundary string

// The boundaries of a run.
const (
	Immediate     RunApplyBoundary = "immediate"
	RunStart      RunApplyBoundary = "run_start"
	RunCheckpoint RunApplyBoundary = "run_checkpoint"
)

// An InputLifecycleState is where an input stands in its life.
type InputLifecycleState string

// The states of an input.
const (
	InputAccepted                  InputLifecycleState = "accepted"
	InputQueued                    InputLifecycleState = "queued"
	InputStaged                    InputLifecycleState = "staged"
	InputApplied                   InputLifecycleState = "applied"
	InputAppliedPendingConsumption InputLifecycleState = "applied_pending_consumption"
	InputConsumed                  InputLifecycleState = "consumed"   // terminal
	InputSuperseded                InputLifecycleState = "superseded" // terminal
	InputCoalesced                 InputLifecycleState = "coalesced"  // terminal
	InputAbandoned                 InputLifecycleState = "abandoned"  // terminal
)

// IsTerminal reports whether the input's life has ended.
func (s InputLifecycleState) IsTerminal() bool {
	return s == InputConsumed || s == InputSuperseded || s == InputCoalesced || s == InputAbandoned
}

// An InputDurability says what becomes of an input when its runtime restarts.
// The empty one is absent.
type InputDurability string

// The durabilities of an input.
const (
	Durable   InputDurability = "durable"
	Ephemeral InputDurability = "ephemeral"
	Derived   InputDurability = "derived"
)

// An ApplyMode says when a policy applies an input.
type ApplyMode string

// The apply modes.
const (
	StageRunStart    ApplyMode = "stage_run_start"
	StageRunBoundary ApplyMode = "stage_run_boundary"
	InjectNow        ApplyMode = "inject_now"
	Ignore           ApplyMode = "ignore"
)

// A WakeMode says whether a policy wakes a runtime for an input.
type WakeMode string

// The wake modes.
const (
	WakeIfIdle WakeMode = "wake_if_idle"
	WakeNone   WakeMode = "none"
)

// A QueueMode says how a policy queues an input.
type QueueMode string

// The queue modes.
const (
	QueueNone      QueueMode = "none"
	QueueFIFO      QueueMode = "fifo"
	QueueCoalesce  QueueMode = "coalesce"
	QueueSupersede QueueMode = "supersede"
	QueuePriority  QueueMode = "priority"
)

// A ConsumePoint says when a policy counts an input as consumed.
type ConsumePoint string

// The consume points.
const (
	ConsumeOnAccept      ConsumePoint = "on_accept"
	ConsumeOnApply       ConsumePoint = "on_apply"
	ConsumeOnRunStart    ConsumePoint = "on_run_start"
	ConsumeOnRunComplete ConsumePoint = "on_run_complete"
	ConsumeExplicitAck   ConsumePoint = "explicit_ack"
)

// An OutcomeType is the kind of a TerminalOutcome.
type OutcomeType string

// The terminal outcomes.
const (
	OutcomeConsumed   OutcomeType = "consumed"
	OutcomeSuperseded OutcomeType = "superseded"
	OutcomeCoalesced  OutcomeType = "coalesced"
	OutcomeAbandoned  OutcomeType = "abandoned"
)

// An AbandonReason says why an input was abandoned.
type AbandonReason string

// The reasons. The last three are those of later versions of Meerkat: only
// [InputState.UnmarshalLater] reads them.
const (
	AbandonRetired              AbandonReason = "retired"
	AbandonReset                AbandonReason = "reset"
	AbandonDestroyed            AbandonReason = "destroyed"
	AbandonCancelled            AbandonReason = "cancelled"
	AbandonStopped              AbandonReason = "stopped"
	AbandonNeverExecuted        AbandonReason = "never_executed"
	AbandonMaxAttemptsExhausted AbandonReason = "max_attempts_exhausted"
)

// A SourceType is the kind of a ReconstructionSource.
type SourceType string

// The sources.
const (
	SourceProjection SourceType = "projection"
	SourceCoalescing SourceType = "coalescing"
)

var (
	runtimeStates = []RuntimeState{RuntimeInitializing, RuntimeIdle, RuntimeRunning, RuntimeRecovering, RuntimeRetired, RuntimeStopped, RuntimeDestroyed}
	boundaries    = []RunApplyBoundary{Immediate, RunStart, RunCheckpoint}
	inputStates   = []InputLifecycleState{InputAccepted, InputQueued, InputStaged, InputApplied, InputAppliedPendingConsumption, InputConsumed, InputSuperseded, InputCoalesced, InputAbandoned}
	durabilities  = []InputDurability{Durable, Ephemeral, Derived}
	applyModes    = []ApplyMode{StageRunStart, StageRunBoundary, InjectNow, Ignore}
	wakeModes     = []WakeMode{WakeIfIdle, WakeNone}
	queueModes    = []QueueMode{QueueNone, QueueFIFO, QueueCoalesce, QueueSupersede, QueuePriority}
	consumePoints = []ConsumePoint{ConsumeOnAccept, ConsumeOnApply, ConsumeOnRunStart, ConsumeOnRunComplete, ConsumeExplicitAck}
	outcomeTypes  = []OutcomeType{OutcomeConsumed, OutcomeSuperseded, OutcomeCoalesced, OutcomeAbandoned}
	reasons       = []AbandonReason{AbandonRetired, AbandonReset, AbandonDestroyed, AbandonCancelled}
	allReasons    = append(slices.Clip(reasons), AbandonStopped, AbandonNeverExecuted, AbandonMaxAttemptsExhausted)
	sourceTypes   = []SourceType{SourceProjection, SourceCoalescing}
)

// Validate returns a *ValueError if s is none of the states.
func (s RuntimeState) Validate() error { return oneOf(runtimeStates, s) }

// Validate returns a *ValueError if b is none of the boundaries.
func (b RunApplyBoundary) Validate() error { return oneOf(boundaries, b) }

// Validate returns a *ValueError if s is none of the states.
func (s InputLifecycleState) Validate() error { return oneOf(inputStates, s) }

// Detach returns the same state, without the memory of a text that s may be a
// part of.
func (s RuntimeState) Detach() RuntimeState { return constant(runtimeStates, s) }

// validate takes the empty one too, which is absent.
func (d InputDurability) validate() error {
	if d == "" {
		return nil
	}
	return oneOf(durabilities, d)
}

// UnmarshalText reads a state. The error is a *ValueError.
func (s *RuntimeState) UnmarshalText(text []byte) error { return read(runtimeStates, s, text) }

// UnmarshalText reads a boundary. The error is a *ValueError.
func (b *RunApplyBoundary) UnmarshalText(text []byte) error { return read(boundaries, b, text) }

// UnmarshalText reads a state. The error is a *ValueError.
func (s *InputLifecycleState) UnmarshalText(text []byte) error { return read(inputStates, s, text) }

// UnmarshalText reads a durability. The error is a *ValueError.
func (d *InputDurability) UnmarshalText(text []byte) error { return read(durabilities, d, text) }

// UnmarshalText reads a mode. The error is a *ValueError.
func (m *ApplyMode) UnmarshalText(text []byte) error { return read(applyModes, m, text) }

// UnmarshalText reads a mode. The error is a *ValueError.
func (m *WakeMode) UnmarshalText(text []byte) error { return read(wakeModes, m, text) }

// UnmarshalText reads a mode. The error is a *ValueError.
func (m *QueueMode) UnmarshalText(text []byte) error { return read(queueModes, m, text) }

// UnmarshalText reads a point. The error is a *ValueError.
func (p *ConsumePoint) UnmarshalText(text []byte) error { return read(consumePoints, p, text) }

// UnmarshalText reads a type. The error is a *ValueError.
func (t *OutcomeType) UnmarshalText(text []byte) error { return read(outcomeTypes, t, text) }

// UnmarshalText reads a reason, but none of a later version's. The error is a *ValueError.
func (r *AbandonReason) UnmarshalText(text []byte) error { return read(reasons, r, text) }

// UnmarshalText reads a type. The error is a *ValueError.
func (t *SourceType) UnmarshalText(text []byte) error { return read(sourceTypes, t, text) }

func oneOf[E ~string](all []E, e E) error {
	if slices.Contains(all, e) {
		return nil
	}
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = string(e)
	}
	return &ValueError{Reason: "expected one of " + strings.Join(names, ", ")}
}

// constant returns the one of all that equals e.
func constant[E ~string](all []E, e E) E {
	if i := slices.Index(all, e); i >= 0 {
		return all[i]
	}
	return ""
}

// read sets e to the value in all that text names. It keeps no text.
func read[E ~string](all []E, e *E, text []byte) error {
	for _, known := range all {
		if string(known) == string(text) {
			*e = known
			return nil
		}
	}
	return oneOf(all, E(""))
}
