package cluster

import (
	"context"
	"log/slog"
	"maps"
	"time"
)

// A call of the directory that is under way.
type call struct{ stop context.CancelFunc }

// A reply is what came of a call.
type reply struct {
	call   *call
	answer answer
}

// An answer is that of Read or Write.
type answer interface{ take(c *controller) }

// read is the answer of Read.
type read struct {
	document document
	revision uint64
	err      error
	at       time.Time // when it arrived
}

// written is the answer of Write.
type written struct {
	turn     turn
	document document
	ok       bool
	err      error
	began    time.Time
}

// call calls the directory on a goroutine of its own.
func (c *controller) call(within time.Duration, ask func(context.Context) answer) *call {
	ctx, stop := context.WithTimeout(c.ctx, within)
	k := &call{stop}
	c.flying++
	go func() {
		defer stop()
		c.replies <- reply{k, ask(ctx)}
	}()
	return k
}

// abandon ends a call whose answer is no longer wanted.
func abandon(k **call) {
	if *k != nil {
		(*k).stop()
		*k = nil
	}
}

// beat reads the document, to write it with this member's turn. While a call is
// under way it only notes that a beat is wanted.
func (c *controller) beat() {
	if c.calling != nil {
		c.hasty = true
		return
	}
	c.calling = c.read(c.node.opts.callTime())
	c.watch()
}

// watch sets the time of a look. There is none as long as the lease leaves time for
// the call to end and for another, and when it has been over for long.
func (c *controller) watch() {
	if c.joined && time.Since(c.until) < c.node.opts.Lease {
		c.timer.Reset(max(c.node.opts.retry(), time.Until(c.until)-c.node.opts.Lease/2))
	}
}

// maxCalls is how many calls of the directory may be under way, abandoned ones too: it
// may ignore that their contexts have ended.
const maxCalls = 3

// look reads the document beside a call that has no answer: the directory may have
// been away when that began, and be back. The first of the two to read it goes on.
func (c *controller) look() {
	if c.flying < maxCalls {
		abandon(&c.looking)
		c.looking = c.read(c.node.opts.retry())
	}
	c.timer.Reset(c.node.opts.retry())
}

// hearBack takes the answer of a call, unless that was abandoned.
func (c *controller) hearBack(r reply) {
	c.flying--
	switch r.call {
	case c.calling:
		c.calling = nil
		abandon(&c.looking)
	case c.looking:
		c.looking = nil
		if r.answer.(read).err != nil {
			return // the next look is due soon
		}
		abandon(&c.calling)
		c.looked = true
	default:
		return
	}
	r.answer.take(c)
}

func (c *controller) read(within time.Duration) *call {
	empty, silent := newDocument(c.node.opts.Cluster, c.node.opts.Partitions), c.directory != nil
	return c.call(within, func(ctx context.Context) answer { return c.node.read(ctx, empty, silent) })
}

// read reads the document. It logs a failure unless the call before failed too.
func (n *Node) read(ctx context.Context, empty document, silent bool) (r read) {
	text, revision, err := n.opts.Directory.Read(ctx)
	if err == nil {
		r.document, err = empty.read(text, revision)
	}
	if err != nil && !silent {
		n.log(slog.LevelWarn, "directory not read", slog.String("error", err.Error()))
	}
	r.revision, r.err, r.at = revision, err, time.Now()
	return r
}

func (r read) take(c *controller) {
	if r.err != nil {
		c.failed(r.err)
		return
	}
	c.learn(r.document)
	if c.joined && r.document.index(c.self.ID) < 0 {
		for _, k := range c.keepers {
			c.stop(k) // whoever gives it back has had it meanwhile
		}
	}
	if c.joined && r.at.Sub(c.lastBeat()) > c.node.opts.blind() {
		c.observer.last = time.Time{} // what keeps this member from beating may keep the others too
	}
	c.observer.look(r.document, r.at)
	if c.closing && r.document.index(c.self.ID) < 0 {
		c.left = c.leaving() // if loops are still closing, leave looks again
		return
	}
	c.write(r)
}

// write writes the document with this member's turn.
func (c *controller) write(r read) {
	c.self.Beat++
	t := turn{self: c.self, last: c.closing}
	switch {
	case c.leaving():
		t.leave, t.heirs = true, c.observer.well(c.self.ID)
	case !c.closing:
		t.dead, t.giveUp, t.busy = c.observer.dead(c.self.ID), maps.Clone(c.giveUp), map[int]bool{}
		for p := range c.keepers {
			t.busy[p] = true
		}
	}
	silent := c.directory != nil
	c.calling = c.call(c.node.opts.callTime(), func(ctx context.Context) answer { return c.node.write(ctx, t, r, silent) })
	if c.looked { // the directory is back: a write that takes longer than a look is not abandoned for the next one
		c.looked = false
		c.timer.Reset(c.node.opts.callTime())
		return
	}
	c.watch()
}

func (n *Node) write(ctx context.Context, t turn, r read, silent bool) (w written) {
	w.turn, w.document, w.began = t, t.take(r.document), time.Now()
	text := w.document.text()
	if w.err = w.document.fits(len(text), r.document, t.self.ID); w.err == nil {
		w.ok, w.err = n.opts.Directory.Write(ctx, text, r.revision)
	}
	switch {
	case w.err != nil && !silent:
		n.log(slog.LevelWarn, "directory not written", slog.String("error", w.err.Error()))
	case w.ok && w.err == nil:
		n.logTurn(w, r.document)
		if silent {
			n.log(slog.LevelInfo, "directory is back")
		}
	}
	return w
}

// logTurn logs what a turn has changed.
func (n *Node) logTurn(w written, before document) {
	for _, id := range w.turn.dead {
		m := before.Members[before.index(id)]
		n.log(slog.LevelWarn, "member taken for dead", slog.String("name", m.Name), slog.String("address", m.Address), slog.Int("partitions", len(before.claims(id))))
	}
	if w.turn.leave {
		n.log(slog.LevelInfo, "left", slog.Int("partitions", len(before.claims(w.turn.self.ID))))
		return
	}
	had, has := len(before.claims(w.turn.self.ID)), len(w.document.claims(w.turn.self.ID))
	if had != has {
		n.log(slog.LevelInfo, "claims changed", slog.Int("had", had), slog.Int("has", has))
	}
}

func (w written) take(c *controller) {
	switch {
	case w.err != nil:
		c.failed(w.err)
	case !w.ok:
		c.conflict()
	case w.turn.leave:
		c.left, c.known = true, w.document
	default:
		c.beaten(w)
	}
}

// beaten takes note of a beat that was written. The lease counts from before the
// write, and the others see the beat only after it: so this member stops before
// they begin.
func (c *controller) beaten(w written) {
	c.learn(w.document)
	c.until, c.directory, c.conflicts = w.began.Add(c.node.opts.term()), nil, 0
	for p := range w.turn.giveUp {
		delete(c.giveUp, p)
	}
	if !c.joined {
		c.joined = true
		c.tell(nil)
	}
	c.reconcile()
	c.setTimer()
}

// setTimer sets the time of the next beat: the usual one, or when a member that is
// silent is dead.
func (c *controller) setTimer() {
	beat := c.node.opts.beat()
	next := beat - jitter(beat/8)
	if death, ok := c.observer.nextDeath(c.self.ID); ok {
		next = min(next, max(0, time.Until(death))+jitter(beat/8))
	}
	c.timer.Reset(next)
}

// conflict tries again after another member's write.
func (c *controller) conflict() {
	c.conflicts++
	if c.leaving() && time.Now().After(c.leaveBy) {
		c.failed(context.DeadlineExceeded)
		return
	}
	c.timer.Reset(jitter(c.node.opts.Lease / 192 * time.Duration(min(c.conflicts, 16))))
}

// failed takes note of a call of the directory that failed. Claims stay, and are
// served until the lease ends. The next call is made soon, until a lease after that.
func (c *controller) failed(err error) {
	c.directory = err
	if c.leaving() {
		c.left, c.closeErrors = true, append(c.closeErrors, err)
		c.heirs = document{} // they were told nothing
		return
	}
	if !c.joined {
		c.tell(err)
	}
	wait := c.node.opts.retry()
	if time.Since(c.until) > c.node.opts.Lease {
		wait = c.node.opts.beat()
	}
	c.timer.Reset(wait - jitter(wait/2))
}

// tell tells Join how the first beat went. Later ones reach nobody.
func (c *controller) tell(err error) {
	c.after = append(c.after, func() {
		select {
		case c.node.joined <- err:
		default:
		}
	})
}
