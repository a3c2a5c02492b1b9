package loopstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/loopstore/loopstore/internal/meter"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// A journaled Loop has a journal. These are its callers' side of it.
type journaled struct {
	partition   string
	setAside    bool
	asides      []state.Aside // that were
	batchBytes  int64         // that the journal takes at once, 0 if any amount
	meter       meter.Journal
	compactions chan compaction
	clearing    chan struct{}  // has room for one, who clears
	beside      journal.Beside // the journal, if it compacts beside the owner
	closeErr    error          // of the journal's Close; before done is closed it is the owner's
}

func (j *journaled) closed() error {
	if j == nil {
		return nil
	}
	return j.closeErr
}

// Open starts a store with a journal: it takes a partition of the engine over,
// builds up what that holds, and from then on stores every change there before
// the call that made it returns. A partition that is not there yet is empty.
//
// ctx is for the opening alone. The error wraps what the engine says, such as
// journal.ErrInUse or journal.ErrCorrupt; nothing is held open then.
// Options.Limits are not asked about what is there already.
func Open(ctx context.Context, engine journal.Engine, partition string, opts Options) (*Loop, error) {
	if !opts.Queue.IsZero() {
		if err := opts.Queue.Validate(); err != nil {
			return nil, fmt.Errorf("loopstore: opening partition %q: options: %w", partition, store.InField("queue", err))
		}
	}
	opts.Activity = true // next to an append, a look at the clock costs nothing
	l := prepare(opts)
	l.intake.weighs = true // a round has a size
	l.durable = &journaled{partition: partition, setAside: opts.SetAside, compactions: make(chan compaction), clearing: make(chan struct{}, 1)}
	d := &durable{loop: l, state: l.state(opts), appended: make(chan appended, 1)}
	if err := d.open(ctx, engine, partition); err != nil {
		return nil, fmt.Errorf("loopstore: opening partition %q: %w", partition, err)
	}
	l.meter.Publish(d.state.Revision(), d.state.Totals())
	l.durable.batchBytes = d.journal.Limits().BatchBytes
	d.state.BatchBytes = l.durable.batchBytes
	clearing := d.state.Clearing()
	go l.ownDurable(d)
	l.clear(clearing)
	return l, nil
}

// logEvery is how often it is logged how far an Open has come.
const logEvery = 5 * time.Second

// open opens the journal, and builds up the state from it.
func (d *durable) open(ctx context.Context, engine journal.Engine, partition string) error {
	began, replay := time.Now(), state.NewReplay(d.state)
	defer replay.Close()
	if d.loop.durable.setAside {
		replay.SetAside()
	}
	logged := began
	progress := func(message string) {
		d.loop.log.log(slog.LevelInfo, message, slog.String("partition", partition), slog.Int("records", replay.Records()),
			slog.Int("runtimes", d.state.Totals().Runtimes), slog.Duration("took", time.Since(began)))
	}
	j, err := engine.Open(ctx, partition, func(c journal.Change) error {
		if replay.Records()%1024 == 0 && time.Since(logged) >= logEvery {
			logged = time.Now()
			progress("store is opening")
		}
		return replay.Put(c)
	})
	if err != nil {
		return err
	}
	if err := replay.Done(); err != nil {
		return errors.Join(err, j.Close(context.WithoutCancel(ctx)))
	}
	d.journal = j
	d.loop.durable.beside, _ = j.(journal.Beside)
	progress("store opened")
	d.loop.durable.asides = d.state.Asides()
	for _, a := range d.loop.durable.asides {
		d.loop.log.log(slog.LevelError, "a runtime is damaged and set aside", slog.String("partition", partition),
			slog.String("runtime_id", a.RuntimeID.Short()), slog.String("reason", a.Reason))
	}
	return nil
}

// Asides returns the runtimes that Open has set aside, in the order of their ids: see
// Options.SetAside.
func (l *Loop) Asides() []state.Aside {
	if l.durable == nil {
		return nil
	}
	return slices.Clone(l.durable.asides)
}

// close gives the journal up.
func (d *durable) close() (err error) {
	defer recoverEngine(&err)
	return d.journal.Close(context.Background())
}

// A compaction is a call of Compact, on its way to the owner.
type compaction struct {
	ctx    until      // the caller's, but no code of its runs on the owner's goroutine
	answer chan error // has room for one
}

// Compact gives back the room in the journal that was taken by what is replaced
// or removed by now. It changes nothing that is held. Where the engine cannot do that
// beside the owner, nothing else is served meanwhile; it comes before the next round.
// Without a journal there is nothing to do.
func (l *Loop) Compact(ctx context.Context) error {
	if l.durable == nil {
		return nil
	}
	c := compaction{until{context.Background(), ctx.Done()}, make(chan error, 1)}
	if err := l.compact(ctx, c); err != nil {
		return &store.OpError{Op: "compact", Err: err}
	}
	return nil
}

func (l *Loop) compact(ctx context.Context, c compaction) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if l.durable.beside != nil {
		return l.compactBeside(ctx)
	}
	select {
	case l.durable.compactions <- c:
	case <-l.done:
		return l.unavailable()
	case <-ctx.Done():
		return cancelled(ctx)
	}
	select {
	case err := <-c.answer:
		if errors.Is(err, context.Canceled) {
			return cancelled(ctx)
		}
		return err
	case <-ctx.Done():
		return cancelled(ctx)
	case <-l.done:
		select {
		case err := <-c.answer:
			return err
		default:
			return l.unavailable()
		}
	}
}

// compact does what calls of Compact have asked for. After a panic in the engine
// it is unknown what the engine holds, so that ends the service.
func (d *durable) compact() {
	for len(d.compactions) > 0 && !d.stopped {
		c := d.compactions[0]
		d.compactions = d.compactions[1:]
		err := d.compactOnce(c.ctx)
		if panicked, ok := errors.AsType[*enginePanic](err); ok {
			d.stop(panicked)
			err = d.loop.unavailable()
		}
		c.answer <- err
	}
}

func (d *durable) compactOnce(ctx context.Context) (err error) {
	defer recoverEngine(&err)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := d.state.CheckRecords(); err != nil {
		return err
	}
	return d.journal.Compact(ctx, d.state.Records())
}

// An enginePanic is a panic in a call of the journal.
type enginePanic struct{ value any }

func (e *enginePanic) Error() string { return fmt.Sprintf("the engine panicked: %v", e.value) }

func recoverEngine(err *error) {
	if v := recover(); v != nil {
		*err = &enginePanic{v}
	}
}

// compactBeside compacts without the owner.
func (l *Loop) compactBeside(ctx context.Context) error {
	err := l.durable.beside.CompactBeside(ctx)
	switch {
	case errors.Is(err, journal.ErrClosed): // by the owner, which ends
		<-l.done
		return l.unavailable()
	case err != nil && ctx.Err() != nil:
		return cancelled(ctx)
	}
	return err
}
