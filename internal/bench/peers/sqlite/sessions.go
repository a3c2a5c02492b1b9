package sqlite

import (
	"context"
	"encoding/binary"

	"github.com/loopstore/loopstore/internal/bench/peers/internal/rules"
	"github.com/loopstore/loopstore/store"
)

// readAppended reads what stands, and what is appended to it. It is called within a
// transaction.
func (s *Store) readAppended(ctx context.Context, id store.RuntimeID, d *store.SessionDelta) (*rules.Session, error) {
	var text, messages []byte
	var format int
	found, err := scan(s.whole.QueryRowContext(ctx, []byte(id)), &text, &format, &messages)
	if err != nil {
		return nil, err
	}
	var last *rules.Session
	if found {
		last = &rules.Session{Text: string(text), Format: store.Format(format), Messages: binary.BigEndian.Uint64(messages)}
	}
	return rules.Read(d, string(d.SessionSnapshot), store.FormatUnset, last)
}

// store stores a session that was read from d. A whole text is stored from there.
func (s *Store) store(ctx context.Context, id store.RuntimeID, d *store.SessionDelta, session *rules.Session) error {
	snapshot := d.SessionSnapshot
	if d.Append {
		snapshot = []byte(session.Text)
	}
	if snapshot == nil {
		snapshot = []byte{} // nil is NULL
	}
	return exec(ctx, s.putSession, []byte(id), snapshot, int(session.Format), number(session.Messages))
}
