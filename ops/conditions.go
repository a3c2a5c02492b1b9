package ops

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// conditions are those of a batch or of a commit.
type conditions []batch.Condition

// conditionsOf checks conditions, none of which is a pointer.
func conditionsOf(all []batch.Condition) (conditions, error) {
	for i, c := range all {
		if err := validCondition(c); err != nil {
			return nil, store.InField("if["+strconv.Itoa(i)+"]", err)
		}
	}
	return all, nil
}

// hold returns an error if one does not: a *batch.ConflictError, or a *state.AsideError.
func (all conditions) hold(s *state.State) error {
	for i, c := range all {
		if err := s.CheckRuntime(c.About()); err != nil {
			return err
		}
		if want, stands := check(s, c); stands != "" {
			id := c.About()
			return &batch.ConflictError{Index: i, RuntimeID: id, Want: want, Stands: stands, Version: s.Version(id)}
		}
	}
	return nil
}

// about returns the runtimes of the conditions of an operation, or of a write of a batch,
// but for those that are nil.
func about(op any) (ids []store.RuntimeID) {
	var given []batch.Condition
	switch op := op.(type) {
	case *CommitSessionBoundary:
		given = op.Commit.If
	case *AtomicApply:
		given = op.Commit.If
	case *AtomicLifecycleCommit:
		given = op.Commit.If
	case *Commit:
		op.open()
		given = op.Batch.If
		for _, w := range op.writes {
			ids = append(ids, about(w)...)
		}
	}
	for _, c := range batch.PlainConditions(given) {
		if v := reflect.ValueOf(c); v.Kind() == reflect.Struct {
			ids = append(ids, c.About())
		}
	}
	return ids
}

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
	case batch.VersionIs, batch.RuntimeExists, batch.RuntimeAbsent, batch.InputVersionIs, batch.InputAbsent, batch.ReceiptAbsent, batch.KeyFree:
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

// check returns what a condition wants, and what stands instead, if it does not hold.
func check(s *state.State, c batch.Condition) (want, stands string) {
	switch c := c.(type) {
	case batch.VersionIs:
		if version := s.PendingVersion(c.RuntimeID); version != c.Version {
			return nameVersion(c.Version), nameVersion(version)
		}
	case batch.RuntimeExists:
		if s.PendingVersion(c.RuntimeID) == 0 {
			return "a runtime", "none"
		}
	case batch.RuntimeAbsent:
		if version := s.PendingVersion(c.RuntimeID); version != 0 {
			return "no runtime", nameVersion(version)
		}
	case batch.RuntimeStateIs:
		if stands := s.RuntimeState(c.RuntimeID); !slices.Contains(c.AnyOf, stands) && (!c.OrNone || stands != "") {
			return nameStates(c), orNone(string(stands))
		}
	case batch.InputStateIs:
		var current store.InputLifecycleState
		if input := s.InputState(c.RuntimeID, c.InputID); input != nil {
			current = input.CurrentState
		}
		if !slices.Contains(c.AnyOf, current) {
			return fmt.Sprintf("input %v in a state of %q", c.InputID, c.AnyOf), orNone(string(current))
		}
	case batch.InputVersionIs:
		switch version := s.InputVersion(c.RuntimeID, c.InputID); version {
		case 0:
			return fmt.Sprintf("input %v of version %d", c.InputID, c.Version), "none"
		case c.Version:
		default:
			return fmt.Sprintf("input %v of version %d", c.InputID, c.Version), nameVersion(version)
		}
	case batch.InputAbsent:
		if input := s.InputState(c.RuntimeID, c.InputID); input != nil {
			return fmt.Sprintf("no input %v", c.InputID), string(input.CurrentState)
		}
	case batch.SessionDigestIs:
		if digest, known := digestOf(s.Snapshot(c.RuntimeID)); !known {
			return "conversation digest " + orNone(c.Digest), "one that is not known"
		} else if digest != c.Digest {
			return "conversation digest " + orNone(c.Digest), orNone(digest)
		}
	case batch.ReceiptAbsent:
		if s.Receipt(c.RuntimeID, c.RunID, c.Sequence) != nil {
			return fmt.Sprintf("no receipt %d of run %v", c.Sequence, c.RunID), "one"
		}
	case batch.KeyFree:
		if s.HasKey(c.RuntimeID, c.Key) {
			return "an idempotency key that is free", "one that is taken"
		}
	}
	return "", ""
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
