package loopstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
)

// A durable is what the owner of a Loop with a journal has: the state, the
// journal, and the requests that are not answered yet. It is a local of the
// owner's.
//
// Writes go in rounds. All that wait are applied, in a group of the state; what
// they have changed is appended to the journal as one batch; and then all are
// answered. Meanwhile others gather for the next round. Loads need no round: one
// of a runtime that the round does not change is answered at once, and any other
// when the round is over, so none shows what may yet vanish.
type durable struct {
	loop    *Loop
	state   *store.State
	journal journal.Journal
	ages    bool

	closing  bool // nothing more comes from the inbox
	stopped  bool // the journal takes nothing more
	answered int  // in the last round, if they were more than one
	waiting  []task
	again    []task // taken before, and rejected together: now each for itself
	current  task   // that is being served

	round     []entry
	appending bool // the round's changes are with the journal
	appended  chan appended
}

// An entry is a request in a round.
type entry struct {
	task    task
	err     error // of the operation
	changed bool  // it has changed something
}

// appended is what came of an append.
type appended struct {
	position journal.Position
	err      error
}

const (
	maxRound      = 1024    // requests
	maxRoundBytes = 8 << 20 // of their payloads, but for the first
	patience      = 8       // looks in which nobody has come, when others run in between
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

// over reports whether all that was taken is answered, and nothing more comes.
func (d *durable) over() bool {
	return d.stopped || d.closing && !d.appending && len(d.waiting)+len(d.again) == 0
}

// wait waits for what comes next, and takes it.
func (d *durable) wait(l *Loop) {
	inbox, compactions, fenced := l.inbox, l.compactions, d.journal.Fenced()
	if d.closing || len(d.waiting) >= maxRound {
		inbox = nil
	}
	if d.appending {
		compactions, fenced = nil, nil // Append itself will tell
	}
	select {
	case t := <-inbox:
		d.accept(t)
	case a := <-d.appended:
		d.end(a)
	case c := <-compactions:
		c.answer <- d.journal.Compact(c.ctx, d.state.Records())
	case <-fenced:
		d.stop(journal.ErrFenced)
	}
}

// accept serves a load if it can, and lets everything else wait.
func (d *durable) accept(t task) {
	switch {
	case t == nil:
		d.closing = true
	case d.mayLoad(t):
		d.serve(t)
	default:
		d.waiting = append(d.waiting, t)
	}
}

// mayLoad reports whether a request is a load, of what no round changes.
func (d *durable) mayLoad(t task) bool {
	if !t.kind().ReadOnly() {
		return false
	}
	id, one := t.runtime()
	return !d.appending || one && !d.state.Changing(id)
}

func (d *durable) serve(t task) {
	d.current = t
	t.serve(d.state)
	d.current = nil
}

// begin begins a round, if none is under way and there is something to do.
func (d *durable) begin() {
	if d.stopped {
		return
	}
	d.gather()
	for !d.appending && len(d.waiting)+len(d.again) > 0 {
		d.apply(d.choose())
	}
}

// gather takes what is in the inbox. Callers that share a round come again
// together: it waits for them while more come, or they would go on in two halves
// that append in turn, each while the other waits.
func (d *durable) gather() {
	d.drain()
	for idle := 0; !d.appending && len(d.waiting) < d.answered && idle < patience; idle++ {
		before := len(d.waiting)
		runtime.Gosched()
		if d.drain(); len(d.waiting) > before {
			idle = 0
		}
	}
	d.answered = 0
}

// drain takes what is in the inbox.
func (d *durable) drain() {
	for !d.closing && len(d.waiting) < maxRound {
		select {
		case t := <-d.loop.inbox:
			d.accept(t)
		default:
			return
		}
	}
}

// choose returns the requests of the next round, taken, and serves the loads
// among those that wait.
func (d *durable) choose() (chosen []task) {
	if len(d.again) > 0 {
		chosen, d.again = d.again[:1], d.again[1:]
		return chosen
	}
	most := int64(maxRoundBytes)
	if limit := d.journal.Limits().BatchBytes; limit > 0 {
		most = min(most, limit/2)
	}
	var bytes int64
	left := d.waiting[:0]
	for i, t := range d.waiting {
		bytes += t.weight()
		switch {
		case d.mayLoad(t):
			d.waiting[i] = nil
			d.serve(t)
		case len(chosen) > 0 && bytes > most:
			left = append(left, t)
		case t.take():
			chosen = append(chosen, t)
		}
	}
	clear(d.waiting[len(left):])
	d.waiting = left
	return chosen
}

// apply applies requests, and hands what they have changed to the journal.
func (d *durable) apply(tasks []task) {
	if d.ages {
		d.state.Now = store.TimeOf(time.Now())
	}
	d.state.Begin()
	d.round = make([]entry, len(tasks))
	for i, t := range tasks {
		d.round[i].task = t
	}
	for i := range d.round {
		e, before := &d.round[i], d.state.Revision()
		d.current = e.task
		e.err = e.task.apply(d.state)
		d.current = nil
		e.changed = d.state.Revision() != before
	}
	changes := d.state.Changes()
	if len(changes) == 0 {
		d.finish(d.state.Commit())
		return
	}
	d.appending = true
	batch := journal.Batch{Changes: changes}
	rand.Read(batch.ID[:])
	d.loop.journal.begin(batch)
	go d.append(batch)
}

// append appends a batch, on a goroutine of its own, so that loads need not wait
// for the journal. No caller's context ends it.
func (d *durable) append(batch journal.Batch) {
	var a appended
	defer func() {
		if v := recover(); v != nil {
			a.err = fmt.Errorf("the engine panicked: %v", v)
		}
		d.appended <- a
	}()
	a.position, a.err = d.journal.Append(context.Background(), batch)
}

// end ends a round with what the journal has said.
func (d *durable) end(a appended) {
	d.appending = false
	d.loop.journal.end(a)
	switch {
	case a.err == nil:
		d.finish(d.state.Commit())
	case errors.Is(a.err, journal.ErrRejected):
		d.loop.wake(d.state.Rollback())
		d.reject(a.err)
	default:
		d.stop(a.err)
	}
}

// finish answers a round that stands.
func (d *durable) finish(waiters store.Waiters) {
	d.loop.wake(waiters)
	round := d.leaveRound()
	if len(round) > 1 {
		d.answered = len(round)
	}
	for _, e := range round {
		e.task.reply(d.state, e.err)
	}
}

// leaveRound returns the requests of the round, which is over.
func (d *durable) leaveRound() []entry {
	round := d.round
	d.round = nil
	return round
}

// reject answers the request that the journal has rejected. Where there are
// more, each is tried for itself, since what they have found may come of another.
func (d *durable) reject(err error) {
	round := d.leaveRound()
	if len(round) == 1 {
		round[0].task.reply(nil, err)
		return
	}
	for _, e := range round {
		d.again = append(d.again, e.task)
	}
}

// stop ends the service, because the journal takes nothing more.
func (d *durable) stop(err error) {
	d.stopped = true
	d.loop.failure.Store(&failure{&store.JournalError{Err: err}})
	d.state.End().Wake()
	for _, e := range d.leaveRound() {
		if e.changed && !errors.Is(err, journal.ErrFenced) {
			e.task.reply(nil, fmt.Errorf("%w: %w", store.ErrOutcomeUnknown, err))
		} else {
			e.task.reply(nil, d.loop.unavailable())
		}
	}
}

// leave answers all that is not answered yet, and gives up the journal.
func (d *durable) leave() {
	if v := recover(); v != nil { // the state may be half changed
		failure := d.loop.panicked(v)
		if d.current != nil {
			defer d.current.reply(nil, failure)
		}
	}
	d.state.End().Wake()
	if d.appending {
		if a := <-d.appended; a.err != nil {
			d.stop(a.err)
		}
	}
	for _, e := range d.leaveRound() {
		switch {
		case d.appending: // it was stored
			e.task.reply(nil, e.err)
		case e.task != d.current:
			e.task.reply(nil, d.loop.unavailable())
		}
	}
	for _, t := range d.again {
		t.reply(nil, d.loop.unavailable())
	}
	for _, t := range d.waiting {
		t.refuse(d.loop.unavailable())
	}
	d.loop.closed = d.journal.Close(context.Background())
}
