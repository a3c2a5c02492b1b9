package store

import "slices"

// Move takes an input to another state, at a time: it writes the history, with the reason
// unless that is empty, the state, the time of the update, and the outcome. A state that
// ends an input needs one of its own type: set TerminalOutcome before, but that of
// InputConsumed is written if there is none. Any other state has none, and takes away what
// there is.
//
// The error is a *ValueError, and s has not changed then. Which state may follow which is
// not looked at. The store takes what it is told, moved or not.
func (s *InputState) Move(to InputLifecycleState, at Time, reason string) error {
	next := *s
	entry := HistoryEntry{Timestamp: at, From: s.CurrentState, To: to}
	if reason != "" {
		entry.Reason = &reason
	}
	next.History = append(slices.Clip(s.History), entry) // copies of s go on to have theirs
	next.CurrentState, next.UpdatedAt = to, at
	switch {
	case !to.IsTerminal():
		next.TerminalOutcome = nil
	case to == InputConsumed && s.TerminalOutcome == nil:
		next.TerminalOutcome = &TerminalOutcome{Type: OutcomeConsumed}
	case s.TerminalOutcome == nil || string(s.TerminalOutcome.Type) != string(to):
		return InField("terminal_outcome", &ValueError{Reason: "not one of the state that ends the input"})
	}
	if err := next.Validate(); err != nil {
		return err
	}
	*s = next
	return nil
}
