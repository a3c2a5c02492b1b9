package state

import (
	"fmt"
	"iter"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/session"
)

// A version is a runtime's session between two changes of it. It never changes.
type version struct {
	number   uint64 // from 1
	snapshot *store.Snapshot
	boundary boundary // that it was committed at
	made     int64    // Unix seconds, 0 if nobody has asked
	chunks   uint64   // of a journal's version 1, in which it still stands
}

// A boundary names a receipt.
type boundary struct {
	run      store.RunID
	sequence uint64
	there    bool
}

func boundaryOf(receipt *Receipt) (b boundary) {
	if receipt != nil {
		b = boundary{receipt.RunID, receipt.Sequence, true}
	}
	return b
}

// PutSnapshot makes a snapshot the next version of the runtime's session, with the
// receipt that it was committed with, nil if there is none.
func (s *State) PutSnapshot(id store.RuntimeID, snapshot *store.Snapshot, by *Receipt) {
	s.putVersion(s.open(id), &version{snapshot: snapshot, boundary: boundaryOf(by)}, !s.Retention.Sessions.IsZero())
}

// putVersion makes v the next version. The one before it may be kept.
func (s *State) putVersion(rt *runtime, v *version, keep bool) {
	v.number = 1
	if before := rt.session; before != nil {
		v.number = before.number + 1
		if keep {
			if before.made == 0 { // nobody has asked then
				before = new(*before)
				before.made = s.Now.Time().Unix()
			}
			s.set(rt, part{kind: aPast, at: before.number}, value{version: before})
		}
	}
	if keep {
		v.made = s.Now.Time().Unix()
	}
	s.set(rt, part{kind: theSession}, value{version: v})
}

// RestoreSession makes an earlier version of a session its next one. The error is a
// *VersionError.
func (s *State) RestoreSession(id store.RuntimeID, number uint64) error {
	snapshot := s.SessionAt(id, number)
	if snapshot == nil {
		return &VersionError{id, number}
	}
	s.PutSnapshot(id, snapshot, nil)
	return nil
}

// Fork makes a runtime, which must not be there, whose session is a version of
// another's. The error is a *VersionError.
func (s *State) Fork(from store.RuntimeID, number uint64, to store.RuntimeID) error {
	snapshot := s.SessionAt(from, number)
	if snapshot == nil {
		return &VersionError{from, number}
	}
	s.PutOrigin(to, Origin{from, number})
	s.PutSnapshot(to, snapshot, nil)
	return nil
}

// PutOrigin records what a runtime was forked from.
func (s *State) PutOrigin(id store.RuntimeID, from Origin) {
	s.set(s.open(id), part{kind: theOrigin}, value{origin: &from})
}

// PutSessionVersion adds a version to those of a runtime, as it was in a file. It is
// the last one, and what was the last one is kept.
func (s *State) PutSessionVersion(id store.RuntimeID, v SessionVersion) {
	rt := s.open(id)
	if before := rt.session; before != nil {
		s.set(rt, part{kind: aPast, at: before.number}, value{version: before})
	}
	s.set(rt, part{kind: theSession}, value{version: &version{
		number: v.Number, snapshot: &v.Snapshot, boundary: boundary{v.RunID, v.Sequence, v.Committed}, made: v.Made,
	}})
}

// SessionAt returns a version of the session, nil if it is not there.
func (s *State) SessionAt(id store.RuntimeID, number uint64) *store.Snapshot {
	if rt := s.runtimes[id]; rt != nil {
		return versionAt(rt.past, rt.session, number).shown()
	}
	return nil
}

// swapSession puts a version in the place of the runtime's last one, and returns
// that. Either may be nil.
func (s *State) swapSession(rt *runtime, v *version) *version {
	old := rt.session
	if v.inParts() && old.inParts() {
		s.texts.replace(old.root(), v.root())
	} else {
		s.texts.add(v.root(), v.inParts())
		s.texts.drop(old.root(), old.inParts())
	}
	if rt.tally.uses != nil {
		rt.tally.add(v.root())
		rt.tally.drop(old.root())
	}
	rt.session = v
	rt.tallyOne()
	s.Snapshots.replace(rt.id, old.shown(), v.shown())
	return old
}

// swapPast puts a version among the earlier ones, nil to remove the one that stands,
// and returns that.
func (s *State) swapPast(rt *runtime, number uint64, v *version) (old *version) {
	if rt.past.len == 0 {
		rt.tally = tally{uses: make(map[*session.Part]int)}
		rt.tally.add(rt.session.root())
	}
	if v != nil {
		old = rt.past.set(number, v)
	} else {
		old = rt.past.remove(number)
	}
	s.texts.add(v.root(), true)
	s.texts.drop(old.root(), true)
	rt.tally.add(v.root())
	rt.tally.drop(old.root())
	if rt.past.len == 0 {
		rt.tally.uses = nil
		rt.tallyOne()
	}
	return old
}

// tallyOne counts the only text that there is.
func (rt *runtime) tallyOne() {
	if rt.tally.uses == nil {
		rt.tally.bytes = 0
		if root := rt.session.root(); root != nil {
			rt.tally.bytes = int64(root.Len()) + int64(root.Count())*(partBytes+8) - 8 // each but the root is listed once
		}
	}
}

// versions returns all versions of the session, by ascending numbers.
func (rt *runtime) versions() iter.Seq[*version] { return versions(rt.past, rt.session) }

func versions(earlier list[*version], last *version) iter.Seq[*version] {
	return func(yield func(*version) bool) {
		for v := range earlier.all() {
			if !yield(v) {
				return
			}
		}
		if last != nil {
			yield(last)
		}
	}
}

// versionAt returns the version with a number, nil if there is none.
func versionAt(earlier list[*version], last *version, number uint64) *version {
	if last != nil && last.number == number {
		return last
	}
	found, _ := earlier.get(number)
	return found
}

// root returns the root of the text, nil if there is none.
func (v *version) root() *session.Part {
	if v == nil {
		return nil
	}
	return v.snapshot.Text().Root()
}

// inParts reports whether the journal has the text in parts, as long as the version is
// the last one.
func (v *version) inParts() bool { return v != nil && v.chunks == 0 }

// shown returns the snapshot, nil if there is none.
func (v *version) shown() *store.Snapshot {
	if v == nil {
		return nil
	}
	return v.snapshot
}

// A SessionVersion is a version of a runtime's session.
type SessionVersion struct {
	// Number is 1 for the first, and one more with each change of the session, as long
	// as the runtime is there. It is not View.Version, which counts the changes of all
	// that the store holds.
	Number   uint64
	Snapshot store.Snapshot

	// The receipt that the version was committed with, if there was one. It may have
	// been pruned.
	Committed bool
	RunID     store.RunID
	Sequence  uint64

	// Made is when the version was made, in Unix seconds. It is recorded only if a
	// Retention keeps sessions, and 0 if it was not.
	Made int64
}

func (v *version) value() SessionVersion {
	return SessionVersion{v.number, *v.snapshot, v.boundary.there, v.boundary.run, v.boundary.sequence, v.made}
}

// An Origin is what a runtime was forked from.
type Origin struct {
	RuntimeID store.RuntimeID `json:"runtime_id"` // it may be gone, or be another one by now
	Number    uint64          `json:"number"`     // of the version of its session
}

// Sessions returns the versions of the session that are kept, by ascending numbers.
// The last one is what Snapshot returns, and its number that of the session now.
func (v *View) Sessions() iter.Seq[SessionVersion] {
	return func(yield func(SessionVersion) bool) {
		for one := range versions(v.past, v.session) {
			if !yield(one.value()) {
				return
			}
		}
	}
}

// Session returns the last version of the session, if there is one.
func (v *View) Session() (version SessionVersion, ok bool) {
	if v.session == nil {
		return version, false
	}
	return v.session.value(), true
}

// SessionAt returns one version of the session.
func (v *View) SessionAt(number uint64) (version SessionVersion, ok bool) {
	if found := versionAt(v.past, v.session, number); found != nil {
		return found.value(), true
	}
	return version, false
}

// BoundaryVersion returns the number of the version that was committed at a
// boundary, the last one if there are several. It looks at all versions. The session
// before that boundary is version number-1, if that is kept; before version 1 there
// was no session.
func (v *View) BoundaryVersion(run store.RunID, sequence uint64) (number uint64, ok bool) {
	for one := range versions(v.past, v.session) {
		if one.boundary == (boundary{run, sequence, true}) {
			number, ok = one.number, true
		}
	}
	return number, ok
}

// Origin returns what the runtime was forked from, if it was.
func (v *View) Origin() (from Origin, ok bool) {
	if v.origin == nil {
		return from, false
	}
	return *v.origin, true
}

// A VersionError names a version of a session that is not there.
type VersionError struct {
	RuntimeID store.RuntimeID
	Number    uint64
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%v: number %d of runtime %q", store.ErrNoVersion, e.Number, e.RuntimeID.Short())
}

// Is reports whether target is store.ErrNoVersion.
func (e *VersionError) Is(target error) bool { return target == store.ErrNoVersion }

// A SessionKeyError says which id a snapshot has, and which it should have.
type SessionKeyError struct{ Key, ID store.SessionID }

func (e *SessionKeyError) Error() string {
	return fmt.Sprintf("%v: the key is %s, the id is %s", store.ErrSessionKeyMismatch, e.Key, e.ID)
}

// Is reports whether target is store.ErrSessionKeyMismatch.
func (e *SessionKeyError) Is(target error) bool { return target == store.ErrSessionKeyMismatch }
