package cluster

import (
	"context"
	"log/slog"
	"maps"
	"time"
)

// An answer is what came of a call of the directory.
type answer interface{ take(o *owner) }

// read is that of Read.
type read struct {
	document document
	revision uint64
	err      error
	at       time.Time // when it had come
}

// written is that of Write.
type written struct {
	turn     turn
	document document
	ok       bool
	err      error
	began    time.Time
}

// beat reads the document, to write it with this member's turn. If a call is on
// its way it comes after that.
func (o *owner) beat() {
	if o.calling {
		o.hasty = true
		return
	}
	o.calling = true
	empty := newDocument(o.node.opts.Cluster, o.node.opts.Partitions)
	go func() { o.answers <- o.node.read(o.ctx, empty) }()
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

func (r read) take(o *owner) {
	if r.err != nil {
		o.failed(r.err)
		return
	}
	if o.closing && o.leaveBy.IsZero() {
		return // it goes on when the loops are closed
	}
	o.known = r.document
	o.observer.look(r.document, r.at)
	if o.closing && r.document.index(o.self.ID) < 0 {
		o.left = true
		return
	}
	o.write(r)
}

// write writes the document with this member's turn.
func (o *owner) write(r read) {
	o.self.Beat++
	t := turn{self: o.self, dead: o.observer.dead(o.self.ID), giveUp: maps.Clone(o.giveUp), busy: map[int]bool{}, leave: o.closing}
	for p := range o.keepers {
		t.busy[p] = true
	}
	o.calling = true
	go func() { o.answers <- o.node.write(o.ctx, t, r) }()
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

// logTurn tells what a turn has changed.
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

func (w written) take(o *owner) {
	switch {
	case w.err != nil:
		o.failed(w.err)
	case !w.ok:
		o.conflict()
	case w.turn.leave:
		o.left = true
	default:
		o.beaten(w)
	}
}

// beaten is after a beat that was written. The lease is from before that, and the
// others see the beat only after it: so this member stops before they begin.
func (o *owner) beaten(w written) {
	o.known, o.until, o.directory, o.conflicts = w.document, w.began.Add(o.node.opts.Lease), nil, 0
	for p := range w.turn.giveUp {
		delete(o.giveUp, p)
	}
	if !o.joined {
		o.joined = true
		o.tell(nil)
	}
	o.settle()
	o.timer.Reset(o.node.opts.beat() - jitter(o.node.opts.beat()/8))
}

// conflict lets another member be first, and tries again.
func (o *owner) conflict() {
	o.conflicts++
	if o.closing && time.Now().After(o.leaveBy) { // or it is not leaving yet, and need not try again
		o.failed(context.DeadlineExceeded)
		return
	}
	o.timer.Reset(jitter(o.node.opts.beat() / 64 * time.Duration(min(o.conflicts, 16))))
}

// failed is after a call of the directory that failed. What is claimed stays so,
// and is served until the lease ends.
func (o *owner) failed(err error) {
	o.directory = err
	if o.closing {
		if !o.leaveBy.IsZero() {
			o.left, o.closeErrors = true, append(o.closeErrors, err)
		}
		return
	}
	if !o.joined {
		o.tell(err)
	}
	o.timer.Reset(o.node.opts.beat() - jitter(o.node.opts.beat()/8))
}

// tell tells Join how the first beat went, and nobody of later ones.
func (o *owner) tell(err error) {
	o.after = append(o.after, func() {
		select {
		case o.node.joined <- err:
		default:
		}
	})
}
