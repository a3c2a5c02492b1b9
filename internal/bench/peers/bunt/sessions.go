package bunt

import (
	"cmp"
	"errors"

	"github.com/tidwall/buntdb"

	"github.com/loopstore/loopstore/internal/bench/peers/internal/rules"
	"github.com/loopstore/loopstore/store"
)

// readAppended reads what stands, and what is appended to it.
func readAppended(tx *buntdb.Tx, id store.RuntimeID, d *store.SessionDelta) (*rules.Session, error) {
	var last *rules.Session
	text, err := tx.Get(keyOf(sessionKind, id))
	if err == nil {
		last = &rules.Session{Text: text}
		var facts string
		if facts, err = tx.Get(keyOf(formatKind, id)); err == nil {
			last.Format, last.Messages = store.Format(facts[0]), numberOf(facts[1:])
		}
	}
	if err != nil && !errors.Is(err, buntdb.ErrNotFound) {
		return nil, err
	}
	return rules.Read(d, string(d.SessionSnapshot), store.FormatUnset, last)
}

// putSession stores a session. Only what may be appended to has its format.
func putSession(tx *buntdb.Tx, id store.RuntimeID, s *rules.Session) error {
	var err error
	if s.Format.Grows() {
		err = set(tx, keyOf(formatKind, id), string(append([]byte{byte(s.Format)}, number(s.Messages)...)))
	} else if _, err = tx.Delete(keyOf(formatKind, id)); errors.Is(err, buntdb.ErrNotFound) {
		err = nil
	}
	return cmp.Or(err, set(tx, keyOf(sessionKind, id), s.Text))
}
