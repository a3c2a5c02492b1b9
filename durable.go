package loopstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"runtime"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// A durable is the owner of a Loop with a journal: its state, its journal, and the
// requests that are not answered yet. Only the owner's goroutine uses it.
//
// Writes go in rounds. All that wait are applied, in a group of the state. Their
// changes are appended to the journal as one batch, and then all are answered.
// Meanwhile others gather for the next round. A load of a runtime that the round
// does not change is answered at once. Any other waits for the end of the round, so
// no load shows what may yet be taken back.
type durable struct {
	loop    *Loop
	state   *state.State
	journal journal.Journal

	closing bool // nothing more comes from the inbox
	stopped bool // the journal takes nothing more

	loads       []*request // that wait for the round's end
	writes      []*request // that wait for the next round
	again       []*request // taken before, and rejected together: now each for itself
	compactions []compaction
	answered    int      // calls in the last round, if more than one
	current     *request // that is being served

	round     []entry
	room      int64 // bytes of payloads that it has room for
	stands    bool  // the round is stored, or has changed nothing
	appending bool  // the round's changes are with the journal
	appended  chan appended
}

// An entry is a request in a round.
type entry struct {
	*request
	err     error // of the operation
	changed bool  // it has changed something
}

// appended is the outcome of an append.
type appended struct {
	position journal.Position
	err      error
}

const (
	maxRound      = 1024    // requests
	maxRoundBytes = 8 << 20 // of their payloads; the first request may be larger
	patience      = 8       // looks at the inbox that find nobody, before a round begins
)

// ownDurable is the owner of a Loop with a journal: see own.
func (l *Loop) ownDurable(d *durable) {
	defer close(l.done)
	defer l.refuseRest()
	defer d.leave()
	for d.begin(); !d.over(); d.begin() {
		d.wait(l)
	}
}

// over reports, after begin, whether all that was taken is answered and nothing more
// comes: without a round under way, begin leaves nothing that waits.
func (d *durable) over() bool { return d.stopped || d.closing && !d.appending }

func (d *durable) waiting() int { return len(d.loads) + len(d.writes) }

// wait takes what comes next.
func (d *durable) wait(l *Loop) {
	inbox, fenced := l.inbox, d.journal.Fenced()
	if d.closing || d.waiting() >= maxRound {
		inbox = nil
	}
	if d.appending {
		fenced = nil // Append itself will say
	}
	select {
	case r := <-inbox:
		d.accept(r)
	case a := <-d.appended:
		d.end(a)
	case c := <-l.durable.compactions:
		d.compactions = append(d.compactions, c)
	case <-fenced:
		d.stop(journal.ErrFenced)
	}
}

// accept serves a load that no round is in the way of, and lets everything else
// wait.
func (d *durable) accept(r *request) {
	switch {
	case r == nil:
		d.closing = true
	case !r.sample.Kind.ReadOnly():
		d.writes = append(d.writes, r)
	case d.appending && d.changing(r):
		d.loads = append(d.loads, r)
	default:
		d.serve(r)
	}
}

// changing reports whether the round may change what a load reads.
func (d *durable) changing(r *request) bool {
	id, one := r.op.Runtime()
	return !one || d.state.Changing(id)
}

func (d *durable) serve(r *request) {
	d.current = r
	d.loop.serve(d.state, r)
	d.current = nil
}

// begin begins a round, if none is under way and there is something to do. Loads
// that have waited for the end of the last one come first.
func (d *durable) begin() {
	if d.stopped || d.appending {
		return
	}
	d.gather()
	d.compact()
	for more := true; more && !d.stopped && !d.appending; {
		d.serveLoads()
		d.choose()
		if more = d.has(0); more {
			d.apply()
		}
	}
}

func (d *durable) serveLoads() {
	for len(d.loads) > 0 {
		r := d.loads[0]
		d.loads[0] = nil
		d.loads = d.loads[1:]
		d.serve(r)
	}
}

// gather takes what is in the inbox. Callers that shared a round come again
// together, so it waits for them as long as more come. Otherwise they would go on
// in two halves that append in turn, each while the other waits.
func (d *durable) gather() {
	d.drain()
	for idle := 0; len(d.writes) < d.answered && idle < patience; idle++ {
		before := len(d.writes)
		runtime.Gosched()
		taken := d.drain()
		switch {
		case len(d.writes) > before:
			idle = 0
		case taken > 0:
			idle = patience // the owner has other work
		}
	}
	d.answered = 0
}

// drain takes what is in the inbox now, and returns how many there were. What comes
// meanwhile must not hold up the round.
func (d *durable) drain() (taken int) {
	for n := len(d.loop.inbox); taken < n && !d.closing && d.waiting() < maxRound; taken++ {
		d.accept(<-d.loop.inbox)
	}
	return taken
}

// choose takes the requests of the next round.
func (d *durable) choose() {
	if len(d.again) > 0 {
		d.round, d.room = []entry{{request: d.again[0]}}, -1 // nothing comes after it
		d.again = d.again[1:]
		return
	}
	d.room = maxRoundBytes
	if limit := d.journal.Limits().BatchBytes; limit > 0 {
		d.room = min(d.room, limit/2)
	}
	for len(d.writes) > 0 {
		r := d.writes[0]
		if d.room -= r.bytes; d.room < 0 && len(d.round) > 0 {
			break
		}
		d.writes[0] = nil
		d.writes = d.writes[1:]
		if !d.loop.line.join(d.state, r) && d.loop.take(r) {
			d.round = append(d.round, entry{request: r})
		}
	}
}

// has reports whether the round has a request at a place: after those that were chosen
// come claims for which there is something by now.
func (d *durable) has(i int) bool {
	if i < len(d.round) {
		return true
	}
	if i >= maxRound {
		return false
	}
	room := d.room
	if i == 0 {
		room = math.MaxInt64 // the first one may be larger
	}
	r := d.loop.next(d.state, room)
	if r != nil {
		d.room -= r.bytes
		d.round = append(d.round, entry{request: r})
	}
	return r != nil
}

// apply applies the round, and hands what it has changed to the journal.
func (d *durable) apply() {
	d.state.Begin()
	for i := 0; d.has(i); i++ {
		e, before := &d.round[i], d.state.Revision()
		d.current = e.request
		e.err = d.loop.apply(d.state, e.request)
		d.current = nil
		e.changed = d.state.Revision() != before
	}
	changes := d.state.Changes()
	if len(changes) == 0 {
		d.finish()
		return
	}
	d.appending = true
	batch := journal.Batch{Changes: changes}
	rand.Read(batch.ID[:])
	d.loop.durable.meter.Begin(batch)
	go d.append(batch)
}

// append appends a batch, on a goroutine of its own, so that loads are answered
// meanwhile. No caller's context ends it.
func (d *durable) append(batch journal.Batch) {
	var a appended
	defer func() { d.appended <- a }()
	defer recoverEngine(&a.err)
	a.position, a.err = d.journal.Append(context.Background(), batch)
}

// end ends a round with what the journal says.
func (d *durable) end(a appended) {
	d.appending = false
	d.loop.durable.meter.End(a.position, a.err)
	switch {
	case a.err == nil:
		d.finish()
	case errors.Is(a.err, journal.ErrRejected):
		d.loop.wake(d.state.Rollback())
		d.reject(a.err)
	default:
		d.stop(a.err)
	}
}

// finish answers a round that stands, whatever panics from here on.
func (d *durable) finish() {
	d.stands = true
	d.loop.wake(d.state.Commit())
	d.loop.clear(d.state.Clearing())
	if len(d.round) > 1 {
		d.answered = len(d.round)
	}
	for ; len(d.round) > 0; d.round = d.round[1:] {
		d.loop.reply(d.state, d.round[0].request, d.round[0].err)
	}
	d.round, d.stands = nil, false
}

// leaveRound returns the requests of the round, which is over.
func (d *durable) leaveRound() []entry {
	round := d.round
	d.round = nil
	return round
}

// reject answers a request that the journal has rejected. If the round has more,
// each is tried alone, since what one has found may come from another.
func (d *durable) reject(err error) {
	round := d.leaveRound()
	if len(round) == 1 {
		d.loop.reply(nil, round[0].request, err)
		return
	}
	for _, e := range round {
		d.again = append(d.again, e.request)
	}
}

// stop ends the service, because the journal takes nothing more.
func (d *durable) stop(err error) {
	d.stopped = true
	d.loop.failure.Store(&failure{&store.JournalError{Err: err}})
	d.state.End().Wake()
	d.deny(err)
}

// deny answers a round that may not be stored.
func (d *durable) deny(err error) {
	unknown := !errors.Is(err, journal.ErrFenced) && !errors.Is(err, journal.ErrRejected)
	for _, e := range d.leaveRound() {
		if e.changed && unknown {
			d.loop.reply(nil, e.request, fmt.Errorf("%w: %w", store.ErrOutcomeUnknown, err))
		} else {
			d.loop.reply(nil, e.request, d.loop.unavailable())
		}
	}
}

// leave answers what is not answered yet, and gives up the journal.
func (d *durable) leave() {
	if v := recover(); v != nil { // the state may be half changed
		failure := d.loop.panicked(v)
		if d.current != nil {
			defer d.loop.reply(nil, d.current, failure)
		}
	}
	d.state.End().Wake()
	d.leaveLastRound()
	for _, r := range d.again {
		d.loop.reply(nil, r, d.loop.unavailable())
	}
	for _, r := range append(d.loads, d.writes...) {
		d.loop.refuse(r)
	}
	for _, c := range d.compactions {
		c.answer <- d.loop.unavailable()
	}
	d.loop.durable.closeErr = d.close()
}

// leaveLastRound answers the round during which the owner panicked.
func (d *durable) leaveLastRound() {
	if d.appending {
		a := <-d.appended
		d.loop.durable.meter.End(a.position, a.err)
		if a.err != nil {
			d.deny(a.err)
			return
		}
	}
	for _, e := range d.leaveRound() {
		switch {
		case d.appending || d.stands:
			d.loop.reply(nil, e.request, e.err)
		case e.request != d.current:
			d.loop.reply(nil, e.request, d.loop.unavailable())
		}
	}
}
