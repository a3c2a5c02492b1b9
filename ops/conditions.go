package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/store"
)

// validCondition refuses what can never be checked.
func validCondition(c store.Condition) error {
	switch c := c.(type) {
	case store.RuntimeStateIs:
		return allValid(c.AnyOf)
	case store.InputStateIs:
		return allValid(c.AnyOf)
	case store.SessionDigestIs:
		return validDigest(c.Digest)
	case store.VersionIs, store.RuntimeExists, store.RuntimeAbsent, store.InputAbsent, store.ReceiptAbsent, store.KeyFree:
		return nil
	}
	return &store.ValueError{Reason: fmt.Sprintf("%T is not a condition of package store", c)}
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

// checkCondition returns a *store.ConflictError if a condition does not hold.
func checkCondition(state *store.State, i int, c store.Condition) error {
	id, want, stands := check(state, c)
	if stands == "" {
		return nil
	}
	return &store.ConflictError{Index: i, RuntimeID: id, Want: want, Stands: stands, Version: state.Version(id)}
}

// check returns what a condition is about, what it wants, and what stands
// instead, if it does not hold.
func check(state *store.State, c store.Condition) (id store.RuntimeID, want, stands string) {
	switch c := c.(type) {
	case store.VersionIs:
		if version := state.Version(c.RuntimeID); version != c.Version {
			return c.RuntimeID, nameVersion(c.Version), nameVersion(version)
		}
	case store.RuntimeExists:
		if state.Version(c.RuntimeID) == 0 {
			return c.RuntimeID, "a runtime", "none"
		}
	case store.RuntimeAbsent:
		if version := state.Version(c.RuntimeID); version != 0 {
			return c.RuntimeID, "no runtime", nameVersion(version)
		}
	case store.RuntimeStateIs:
		if s := state.RuntimeState(c.RuntimeID); !slices.Contains(c.AnyOf, s) {
			return c.RuntimeID, fmt.Sprintf("a state of %q", c.AnyOf), orNone(string(s))
		}
	case store.InputStateIs:
		var s store.InputLifecycleState
		if input := state.InputState(c.RuntimeID, c.InputID); input != nil {
			s = input.CurrentState
		}
		if !slices.Contains(c.AnyOf, s) {
			return c.RuntimeID, fmt.Sprintf("input %v in a state of %q", c.InputID, c.AnyOf), orNone(string(s))
		}
	case store.InputAbsent:
		if input := state.InputState(c.RuntimeID, c.InputID); input != nil {
			return c.RuntimeID, fmt.Sprintf("no input %v", c.InputID), string(input.CurrentState)
		}
	case store.SessionDigestIs:
		if digest, known := digestOf(state.Snapshot(c.RuntimeID)); !known {
			return c.RuntimeID, "conversation digest " + orNone(c.Digest), "one that is not known"
		} else if digest != c.Digest {
			return c.RuntimeID, "conversation digest " + orNone(c.Digest), orNone(digest)
		}
	case store.ReceiptAbsent:
		if state.Receipt(c.RuntimeID, c.RunID, c.Sequence) != nil {
			return c.RuntimeID, fmt.Sprintf("no receipt %d of run %v", c.Sequence, c.RunID), "one"
		}
	case store.KeyFree:
		if state.HasKey(c.RuntimeID, c.Key) {
			return c.RuntimeID, "an idempotency key that is free", "an input with it"
		}
	}
	return "", "", ""
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
	d := snapshot.Document()
	if d == nil {
		return "", false
	}
	return d.HexDigest(), true
}
