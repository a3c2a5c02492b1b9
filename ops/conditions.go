package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// validCondition refuses what can never be checked.
func validCondition(c batch.Condition) error {
	switch c := c.(type) {
	case batch.RuntimeStateIs:
		if c.OrNone && len(c.AnyOf) == 0 {
			return nil
		}
		return allValid(c.AnyOf)
	case batch.InputStateIs:
		return allValid(c.AnyOf)
	case batch.SessionDigestIs:
		return validDigest(c.Digest)
	case batch.VersionIs, batch.RuntimeExists, batch.RuntimeAbsent, batch.InputAbsent, batch.ReceiptAbsent, batch.KeyFree:
		return nil
	}
	return &store.ValueError{Reason: fmt.Sprintf("%T is not a condition of package batch", c)}
}

func validDigest(digest string) error {
	if digest == "" {
		return nil
	}
	sum, err := hex.DecodeString(digest)
	if err != nil || len(sum) != sha256.Size || digest != strings.ToLower(digest) {
		return &store.ValueError{Field: "digest", Reason: "not 64 lower-case hex digits"}
	}
	return nil
}

func allValid[T interface{ Validate() error }](states []T) error {
	const most = 9 // of any type of states: the owner looks at them
	if len(states) == 0 || len(states) > most {
		return &store.ValueError{Field: "any_of", Reason: "not one to 9 states"}
	}
	for i, s := range states {
		if err := s.Validate(); err != nil {
			return store.InField("any_of["+strconv.Itoa(i)+"]", err)
		}
	}
	return nil
}

// checkCondition returns a *batch.ConflictError if a condition does not hold.
func checkCondition(s *state.State, i int, c batch.Condition) error {
	id, want, stands := check(s, c)
	if stands == "" {
		return nil
	}
	return &batch.ConflictError{Index: i, RuntimeID: id, Want: want, Stands: stands, Version: s.Version(id)}
}

// check returns what a condition is about, what it wants, and what stands
// instead, if it does not hold.
func check(s *state.State, c batch.Condition) (id store.RuntimeID, want, stands string) {
	switch c := c.(type) {
	case batch.VersionIs:
		if version := s.Version(c.RuntimeID); version != c.Version {
			return c.RuntimeID, nameVersion(c.Version), nameVersion(version)
		}
	case batch.RuntimeExists:
		if s.Version(c.RuntimeID) == 0 {
			return c.RuntimeID, "a runtime", "none"
		}
	case batch.RuntimeAbsent:
		if version := s.Version(c.RuntimeID); version != 0 {
			return c.RuntimeID, "no runtime", nameVersion(version)
		}
	case batch.RuntimeStateIs:
		if stands := s.RuntimeState(c.RuntimeID); !slices.Contains(c.AnyOf, stands) && (!c.OrNone || stands != "") {
			return c.RuntimeID, nameStates(c), orNone(string(stands))
		}
	case batch.InputStateIs:
		var current store.InputLifecycleState
		if input := s.InputState(c.RuntimeID, c.InputID); input != nil {
			current = input.CurrentState
		}
		if !slices.Contains(c.AnyOf, current) {
			return c.RuntimeID, fmt.Sprintf("input %v in a state of %q", c.InputID, c.AnyOf), orNone(string(current))
		}
	case batch.InputAbsent:
		if input := s.InputState(c.RuntimeID, c.InputID); input != nil {
			return c.RuntimeID, fmt.Sprintf("no input %v", c.InputID), string(input.CurrentState)
		}
	case batch.SessionDigestIs:
		if digest, known := digestOf(s.Snapshot(c.RuntimeID)); !known {
			return c.RuntimeID, "conversation digest " + orNone(c.Digest), "one that is not known"
		} else if digest != c.Digest {
			return c.RuntimeID, "conversation digest " + orNone(c.Digest), orNone(digest)
		}
	case batch.ReceiptAbsent:
		if s.Receipt(c.RuntimeID, c.RunID, c.Sequence) != nil {
			return c.RuntimeID, fmt.Sprintf("no receipt %d of run %v", c.Sequence, c.RunID), "one"
		}
	case batch.KeyFree:
		if s.HasKey(c.RuntimeID, c.Key) {
			return c.RuntimeID, "an idempotency key that is free", "an input with it"
		}
	}
	return "", "", ""
}

func nameStates(c batch.RuntimeStateIs) string {
	switch {
	case len(c.AnyOf) == 0:
		return "no state"
	case c.OrNone:
		return fmt.Sprintf("a state of %q, or none", c.AnyOf)
	}
	return fmt.Sprintf("a state of %q", c.AnyOf)
}

func nameVersion(version uint64) string {
	if version == 0 {
		return "no runtime"
	}
	return "version " + strconv.FormatUint(version, 10)
}

func orNone(name string) string {
	if name == "" {
		return "none"
	}
	return name
}

// digestOf returns a snapshot's digest, empty if there is no snapshot, and
// whether it is known.
func digestOf(snapshot *store.Snapshot) (digest string, known bool) {
	if snapshot == nil {
		return "", true
	}
	digest = snapshot.Digest()
	return digest, digest != ""
}
