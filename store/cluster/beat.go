package cluster

import (
	"context"
	"log/slog"
	"maps"
	"time"
)

// An answer is what came of a call of the directory.
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

// beat reads the document, to write it with this member's turn. While a call is
// under way it only notes that a beat is wanted.
func (c *controller) beat() {
	if c.calling {
		c.hasty = true
		return
	}
	c.calling = true
	empty := newDocument(c.node.opts.Cluster, c.node.opts.Partitions)
	go func() { c.answers <- c.node.read(c.ctx, empty) }()
}

func (n *Node) read(ctx context.Context, empty document) (r read) {
	ctx, cancel := context.WithTimeout(ctx, n.opts.callTime())
	defer cancel()
	text, revision, err := n.opts.Directory.Read(ctx)
	if err == nil {
		r.document, err = empty.read(text, revision)
	}
	if err != nil {
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
	if c.closing && c.leaveBy.IsZero() {
		return // leave begins anew once the loops are closed
	}
	c.known = r.document
	c.observer.look(r.document, r.at)
	if c.closing && r.document.index(c.self.ID) < 0 {
		c.left = true
		return
	}
	c.write(r)
}

// write writes the document with this member's turn.
func (c *controller) write(r read) {
	c.self.Beat++
	t := turn{self: c.self, dead: c.observer.dead(c.self.ID), giveUp: maps.Clone(c.giveUp), busy: map[int]bool{}, leave: c.closing}
	for p := range c.keepers {
		t.busy[p] = true
	}
	c.calling = true
	go func() { c.answers <- c.node.write(c.ctx, t, r) }()
}

func (n *Node) write(ctx context.Context, t turn, r read) (w written) {
	ctx, cancel := context.WithTimeout(ctx, n.opts.callTime())
	defer cancel()
	w.turn, w.document, w.began = t, t.take(r.document), time.Now()
	w.ok, w.err = n.opts.Directory.Write(ctx, w.document.text(), r.revision)
	switch {
	case w.err != nil:
		n.log(slog.LevelWarn, "directory not written", slog.String("error", w.err.Error()))
	case w.ok:
		n.logTurn(w, r.document)
	}
	return w
}

// logTurn logs what a turn has changed.
func (n *Node) logTurn(w written, before document) {
	for _, id := range w.turn.dead {
		m := before.Members[before.index(id)]
		n.log(slog.LevelWarn, "member taken for dead", slog.String("name", m.Name), slog.String("address", m.Address), slog.Int("partitions", len(before.claims(id))))
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
		c.left = true
	default:
		c.beaten(w)
	}
}

// beaten takes note of a beat that was written. The lease counts from before the
// write, and the others see the beat only after it: so this member stops before
// they begin.
func (c *controller) beaten(w written) {
	c.known, c.until, c.directory, c.conflicts = w.document, w.began.Add(c.node.opts.Lease), nil, 0
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

// setTimer sets the time of the next beat.
func (c *controller) setTimer() {
	beat := c.node.opts.beat()
	c.timer.Reset(beat - jitter(beat/8))
}

// conflict tries again after another member's write.
func (c *controller) conflict() {
	c.conflicts++
	if c.closing && time.Now().After(c.leaveBy) { // leaveBy is zero until the loops are closed: no need to try before
		c.failed(context.DeadlineExceeded)
		return
	}
	c.timer.Reset(jitter(c.node.opts.beat() / 64 * time.Duration(min(c.conflicts, 16))))
}

// failed takes note of a call of the directory that failed. Claims stay, and are
// served until the lease ends.
func (c *controller) failed(err error) {
	c.directory = err
	if c.closing {
		if !c.leaveBy.IsZero() {
			c.left, c.closeErrors = true, append(c.closeErrors, err)
		}
		return
	}
	if !c.joined {
		c.tell(err)
	}
	c.setTimer()
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
