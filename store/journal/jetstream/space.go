package jetstream

import (
	"context"
	"fmt"
	"math"
	"time"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// An amount is what messages take of a stream, as the servers count it.
type amount struct{ bytes, messages int64 }

func (a amount) plus(b amount) amount { return amount{a.bytes + b.bytes, a.messages + b.messages} }
func (a amount) minus(b amount) amount {
	return amount{a.bytes - b.bytes, a.messages - b.messages}
}
func (a amount) within(b amount) bool { return a.bytes <= b.bytes && a.messages <= b.messages }

const endless = math.MaxInt64 / 4 // where there is no limit

// A space is what a stream has used and may use. The limits are the stream's own and, for
// bytes, that of the account, which other streams use up too. It is what the servers said
// when they were asked last, and what was stored since.
type space struct {
	used     amount
	most     amount // of the stream
	account  int64  // bytes that the account's limit leaves to the stream
	total    int64  // bytes that it would leave to the stream alone
	first    uint64 // sequence of the first message
	replicas int
	largest  int   // bytes of the largest body from the horizon on, or more
	latest   int   // bytes of the largest body since the last compaction began
	message  int   // bytes of a body that fit into one message
	entry    int64 // bytes that an entry takes besides its body, for each of its messages
	asked    time.Time
}

// askEvery is how long limits are taken for the same, if nothing comes close to them.
const askEvery = time.Minute

// limits returns the most that the stream could ever have.
func (s *space) limits() amount { return amount{min(s.most.bytes, s.total), s.most.messages} }

// left returns what the stream may still take.
func (s *space) left() amount {
	left := s.most.minus(s.used)
	return amount{min(left.bytes, s.account), left.messages}
}

// took notes what was stored.
func (p *partition) took(a amount, body int) {
	s := &p.space
	s.used = s.used.plus(a)
	p.engine.account.take(a.bytes, s.replicas)
	s.largest, s.latest = max(s.largest, body), max(s.latest, body)
}

// What is kept free, so that a full journal can be opened, deleted from and compacted: at
// most a sixteenth of the limits for each.
const (
	keptSmall   = 64 << 10 // bytes for entries of epochs and horizons
	keptDeletes = 4 << 20  // bytes for batches that delete
	keptEntries = 32       // messages for each of these
)

func sixteenth(limit, most int64) int64 { return min(limit/16, most) }

// small is the room for entries of epochs and horizons.
func (s *space) small() amount {
	l := s.limits()
	return amount{sixteenth(l.bytes, keptSmall), sixteenth(l.messages, keptEntries)}
}

// deletes is the room for batches that delete.
func (s *space) deletes() amount {
	l := s.limits()
	return amount{sixteenth(l.bytes, keptDeletes), sixteenth(l.messages, keptEntries)}
}

const (
	mostCopy  = 256 << 10 // bytes of a copy, which an append may wait for; one change may be larger
	leastCopy = 4 << 10
)

// copySize returns how large copies are: one message, and small ones where there is
// little room.
func (s *space) copySize() int {
	return min(s.message, max(leastCopy, int(min(s.limits().bytes/32, mostCopy))))
}

// step is the room that compacting needs to make more: it copies an entry of that size
// before it gives any back.
func (s *space) step(body int) amount {
	copies := int64(3 + 2*body/max(1, s.copySize()))
	return amount{int64(body+s.copySize()) + copies*s.entry, copies}
}

const openRoom = 8 << 20 // bytes

// toOpen is the room that a stream lacks where not even the entry of an epoch fits: for
// that, and for deleting and compacting, unless an entry is larger.
func (s *space) toOpen() amount {
	most, left := amount{openRoom, 4 * keptEntries}, s.left()
	return amount{max(0, most.bytes-left.bytes), max(0, most.messages-left.messages)}
}

// waste returns what compacting would give back, where so many bytes stand.
func (s *space) waste(standing int64) amount {
	copies := 2 + 2*standing/int64(max(1, s.copySize()))
	return s.used.minus(amount{standing, copies})
}

// askSpace asks what the stream has used and may use. Without an answer, what was known
// is still the best guess. It needs the turn.
func (p *partition) askSpace(ctx context.Context) error {
	p.space.asked = time.Now()
	info, err := p.askInfo(ctx)
	if err == nil && info.State.LastSeq >= p.last { // an earlier leader lags
		p.noteSpace(info)
	}
	p.askAccount(ctx, 0)
	return err
}

// noteSpace takes down what the servers have said of the stream.
func (p *partition) noteSpace(info *js.StreamInfo) {
	limit := func(n int64) int64 {
		if n <= 0 {
			return endless
		}
		return n
	}
	s, used := &p.space, amount{int64(info.State.Bytes), int64(info.State.Msgs)}
	if s.replicas > 0 {
		p.engine.account.take(used.bytes-s.used.bytes, s.replicas)
	}
	s.first, s.used, s.replicas = info.State.FirstSeq, used, max(1, info.Config.Replicas)
	s.asked = time.Now()
	s.message, s.entry = p.room(), p.entrySize()
	s.most = amount{limit(info.Config.MaxBytes), limit(info.Config.MaxMsgs)}
}

func (p *partition) askAccount(ctx context.Context, age time.Duration) {
	p.space.account, p.space.total = p.engine.account.left(ctx, p.engine, p.space.replicas, age)
}

// kept is all the room that is kept free.
func (s *space) kept() amount { return s.small().plus(s.step(s.largest)).plus(s.deletes()) }

// admit returns nil if a batch may be stored, ErrRejected if it would take room that is
// kept. A batch that deletes, or gives back what it takes, may use some of that.
func (p *partition) admit(ctx context.Context, a *attempt, changes []journal.Change, body int) error {
	switch s := &p.space; {
	case time.Since(s.asked) > askEvery:
		_ = p.askSpace(ctx)
	case s.account < s.total/4:
		p.askAccount(ctx, nearLimit)
	default:
		p.askAccount(ctx, askEvery)
	}
	if p.missing(a, changes, body) == (amount{}) {
		return nil
	}
	_ = p.askSpace(ctx)
	if m := p.missing(a, changes, body); m != (amount{}) {
		return p.space.full(p.name, m)
	}
	return nil
}

// admitCopy returns nil if a copy may be stored. It leaves room for the entry that makes it
// useful.
func (p *partition) admitCopy(ctx context.Context, a *attempt) error {
	need := a.amount().plus(amount{2 * p.space.entry, 2})
	if need.within(p.space.left()) {
		return nil
	}
	_ = p.askSpace(ctx)
	lack := need.minus(p.space.left())
	if lack = (amount{max(0, lack.bytes), max(0, lack.messages)}); lack != (amount{}) {
		return p.space.full(p.name, lack)
	}
	return nil
}

// missing returns how much room a batch lacks.
func (p *partition) missing(a *attempt, changes []journal.Change, body int) amount {
	s := &p.space
	need := a.amount().plus(s.small()).plus(s.step(max(s.largest, body)))
	left := s.left()
	if need.plus(s.deletes()).within(left) {
		return amount{}
	}
	if !p.gives(changes, body) {
		need = need.plus(s.deletes())
	}
	lack := need.minus(left)
	return amount{max(0, lack.bytes), max(0, lack.messages)}
}

// gives reports whether changes only delete, or let go as much as they take.
func (p *partition) gives(changes []journal.Change, body int) bool {
	return onlyDeletes(changes) || p.standing.growth(changes) <= -int64(body)
}

func onlyDeletes(changes []journal.Change) bool {
	for _, c := range changes {
		if !c.Delete {
			return false
		}
	}
	return len(changes) > 0
}

// A FullError says which limit leaves too little room. It is journal.ErrRejected: nothing
// was stored. Some room is always kept for opening the journal, for deleting and for
// compacting.
type FullError struct {
	Stream  string
	Limit   string // max_bytes, max_msgs or the account's storage
	Missing int64  // by how much it would have to be larger, in bytes or messages
	unit    string
	cause   error
}

func (e *FullError) Error() string {
	raise := fmt.Sprintf("raise its %s by %d %s", e.Limit, e.Missing, e.unit)
	if e.cause != nil { // it is not even open
		return fmt.Sprintf("stream %s is full, nothing was stored: %s: %v", e.Stream, raise, e.cause)
	}
	return fmt.Sprintf("stream %s is full, nothing was stored: delete something and compact, or %s", e.Stream, raise)
}

// Unwrap returns journal.ErrRejected, and what the servers have said.
func (e *FullError) Unwrap() []error {
	if e.cause == nil {
		return []error{journal.ErrRejected}
	}
	return []error{journal.ErrRejected, e.cause}
}

const accountStorage = "account's storage"

// full returns the error for what is missing.
func (s *space) full(stream string, missing amount) *FullError {
	e := &FullError{Stream: stream, Limit: "max_bytes", Missing: missing.bytes, unit: "bytes"}
	switch own := s.most.bytes - s.used.bytes; {
	case missing.bytes == 0:
		e.Limit, e.Missing, e.unit = "max_msgs", missing.messages, "messages"
	case s.account < own:
		e.Limit, e.Missing = accountStorage, missing.bytes*int64(s.replicas) // the servers count each replica
	}
	return e
}
