package state

import (
	"encoding/binary"
	"math"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/session"
)

// How sessions, and the parts of their texts, stand in a journal.

func (s *State) versionRecord(rt *runtime, sub byte, v *version, numbers ...uint64) journal.Change {
	return put(keyOf(keyRuntime, rt.place, sub, numbers...), func(b []byte) []byte {
		b = appendNumbers(b, v.number, uint64(v.made))
		if v.boundary.there {
			b = appendNumbers(append(append(b, 1), v.boundary.run[:]...), v.boundary.sequence)
		} else {
			b = append(b, 0)
		}
		return s.appendSnapshot(b, v.snapshot)
	})
}

func (s *State) appendSnapshot(b []byte, snapshot *store.Snapshot) []byte {
	var name uint64
	if root := snapshot.Text().Root(); root != nil {
		name = s.texts.held[root].name
	}
	b = append(appendNumbers(b, name), byte(snapshot.Format()))
	d := snapshot.Document()
	if d == nil {
		return b
	}
	f := d.Facts()
	b = appendNumbers(append(b, f.Digest[:]...), f.Messages)
	if f.Format == store.FormatMeerkat {
		b = appendNumbers(append(b, f.ID[:]...), uint64(f.From), uint64(f.To))
	}
	return b
}

func partKey(name uint64) []byte { return binary.BigEndian.AppendUint64([]byte{keyRoot}, name) }

// part takes the next part of a text.
func (r *Replay) part(name uint64, b *payloadReader) string {
	if b.version < 2 || name == 0 || name > r.root.names {
		return "unknown key"
	}
	p := b.read.leaf
	if p != nil {
		r.bytes += int64(p.Len())
	} else if b.flag() {
		var parts []*session.Part
		length := int64(0)
		for !b.bad && len(b.rest) > 0 {
			listed := b.number()
			part := r.parts[listed]
			if part == nil && r.mayLeave() && !r.damage.lost[listed] { // that one was cleared, or passed over
				return r.leave(partKey(name), b)
			}
			if part == nil || len(parts) == session.MaxParts {
				return "a part that is not there, or one too many"
			}
			if parts = append(parts, part); part.Floor() != parts[0].Floor() {
				return "a list of parts on other floors"
			}
			length += int64(part.Len())
		}
		if len(parts) > 0 && length <= min(r.bytes, math.MaxInt) { // so that none is there twice, many times over
			p = session.ListOf(parts)
		}
	}
	if b.bad || p == nil || p.Floor() > session.MaxFloor {
		return "malformed"
	}
	r.parts[name] = p
	r.state.texts.restore(p, name)
	return ""
}

// version takes a version of a session.
func (r *Replay) version(last bool, number uint64, b *payloadReader) string {
	s, rt := r.state, r.current.rt
	v := &version{number: b.number(), made: int64(b.number())}
	if b.flag() {
		v.boundary = boundary{store.RunID(b.id()), b.number(), true}
	}
	var reason string
	switch v.snapshot, reason = r.snapshot(b); {
	case reason != "":
		return reason
	case b.version < 2 || v.number == 0 || v.number > maxPlace:
		return "malformed"
	case last:
		s.swap(rt, part{kind: theSession}, &value{version: v})
		return ""
	case v.number != number || rt.session == nil || number >= rt.session.number:
		return "its number is not that of an earlier version"
	}
	s.swap(rt, part{kind: aPast, at: number}, &value{version: v})
	return ""
}

// snapshot reads one.
func (r *Replay) snapshot(b *payloadReader) (_ *store.Snapshot, reason string) {
	name := b.number()
	root, facts := r.parts[name], session.Facts{Format: store.Format(b.byte())}
	if facts.Format != store.FormatUnset {
		copy(facts.Digest[:], b.take(len(facts.Digest)))
		facts.Messages = b.number()
	}
	text := session.TextWith(root)
	if facts.Format == store.FormatMeerkat {
		facts.ID = b.id()
		facts.From, facts.To = b.place(), b.place()
	} else if facts.Format != store.FormatUnset {
		facts.To = text.Len()
	}
	if r.damage.lost[name] {
		return nil, "a part of its session's text is damaged"
	}
	d, ok := session.Restore(facts, text)
	if b.bad || !ok || name != 0 && root == nil {
		return nil, "its snapshot contradicts its text"
	}
	return new(store.SnapshotOfDocument(d)), ""
}
