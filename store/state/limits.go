package state

import (
	"math"

	"github.com/loopstore/loopstore/store"
)

// CheckCall returns a *store.LimitError if a call brings a larger snapshot, or
// more writes, than it may. Where an int has 32 bits, no snapshot has 2 GiB.
func CheckCall(l store.Limits, snapshotBytes int64, writes int) error {
	most := int64(math.MaxInt)
	if l.SnapshotBytes > 0 {
		most = int64(l.SnapshotBytes)
	}
	if err := within("snapshot_bytes", most, snapshotBytes, 0); err != nil {
		return err
	}
	return within("batch_writes", int64(l.BatchWrites), int64(writes), 0)
}

// within returns a *store.LimitError if there is more than there may be, and
// than before.
func within(limit string, most, n, before int64) error {
	if most <= 0 || n <= max(most, before) {
		return nil
	}
	return &store.LimitError{Limit: limit, Most: most, Asked: n}
}

// checkLimits returns a *store.LimitError if the changes go beyond a limit.
func (s *State) checkLimits(before store.Totals) error {
	for _, t := range s.changed {
		if err := s.checkInputs(t.rt, t.inputs, t.open); err != nil && !t.rt.deleted {
			return err
		}
	}
	return s.checkTotal(before)
}

// checkInputs compares a runtime's inputs, and those that have not ended, with the limits.
func (s *State) checkInputs(rt *runtime, before, openBefore int) error {
	l := s.Limits
	if err := within("inputs_per_runtime", int64(l.InputsPerRuntime), int64(rt.openInputs()), int64(openBefore)); err != nil {
		return err
	}
	return within("all_inputs_per_runtime", int64(l.AllInputsPerRuntime), int64(rt.held.InputStates), int64(before))
}

func (rt *runtime) openInputs() int { return rt.held.InputStates - rt.counts.ended() }

func (s *State) checkTotal(before store.Totals) error {
	return within("total_bytes", s.Limits.TotalBytes, s.Totals().Bytes(), before.Bytes())
}

// checkAdopted returns a *store.LimitError if another State holds more than s
// may.
func (s *State) checkAdopted(other *State) error {
	l := s.Limits
	if l.InputsPerRuntime > 0 || l.AllInputsPerRuntime > 0 || l.SnapshotBytes > 0 { // it may take a while
		for rt := range other.order.all() {
			if err := s.checkInputs(rt, 0, 0); err != nil {
				return err
			}
			for v := range rt.versions() {
				if err := CheckCall(l, int64(v.snapshot.Len()), 0); err != nil {
					return err
				}
			}
		}
		for f := range other.sessions.values.all() {
			if err := CheckCall(l, int64(f.snapshot.Len()), 0); err != nil {
				return err
			}
		}
	}
	return within("total_bytes", l.TotalBytes, other.Totals().Bytes(), 0)
}
