package agents

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/state"
	"github.com/loopstore/loopstore/store/turn"
)

const (
	workers  = 4
	thinking = 2 * time.Millisecond // what the model and the tool take at most
)

// A report is what the child says of itself, in a line of JSON: that an event has happened.
type report struct {
	Event event `json:"event"`
	Note  note  `json:"note,omitzero"`
}

type event string

const (
	opened    event = "opened"    // the store
	stored    event = "stored"    // a note
	repeated  event = "repeated"  // a note was sent again, and stood already
	recovered event = "recovered" // a turn goes on that an earlier process has begun
	asked     event = "asked"     // the tool, whether it has done a call
	ended     event = "ended"     // a turn
)

// A child is the process that has the store.
type child struct {
	loop *loopstore.Loop
	book *notebook
	mu   sync.Mutex
	out  io.Writer
}

// Serve is the child: it stores the notes that it reads, has agents work on them, and says
// what happens. It returns once all that it has read is done.
func Serve(ctx context.Context, dir string, in io.Reader, out io.Writer) (err error) {
	loop, err := open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Close()) }()
	book, err := openNotebook(notebookIn(dir))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, book.close()) }()
	c := &child{loop: loop, book: book, out: out}
	if err := c.say(opened, note{}); err != nil {
		return err
	}
	group, working := errgroup.WithContext(ctx)
	if err := c.recover(working, group); err != nil {
		return errors.Join(err, group.Wait())
	}
	waiting, rest := context.WithCancel(working) // for the next message
	defer rest()
	for range workers {
		group.Go(func() error { return c.work(waiting) })
	}
	group.Go(func() error {
		defer rest()
		return c.read(working, in)
	})
	return group.Wait()
}

func open(ctx context.Context, dir string) (*loopstore.Loop, error) {
	return loopstore.Open(ctx, disk.New(StateIn(dir), disk.Options{}), partition, options)
}

// StateIn names the journal in the directory of a demo.
func StateIn(dir string) string { return filepath.Join(dir, "state") }

func notebookIn(dir string) string { return filepath.Join(dir, "notebook") }

func (c *child) say(e event, n note) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.NewEncoder(c.out).Encode(report{e, n}) // one call of Write
}

// recover goes on with the turns that an earlier process has left.
func (c *child) recover(ctx context.Context, group *errgroup.Group) error {
	for agent, err := range c.loop.Runtimes(ctx, turn.UnderWay) {
		if err != nil {
			return err
		}
		t, err := turn.Recover(ctx, c.loop, agent.RuntimeID)
		if err != nil {
			return err
		}
		if t != nil {
			group.Go(func() error { return c.serve(ctx, t) })
		}
	}
	return nil
}

// work takes turns until ctx ends.
func (c *child) work(ctx context.Context) error {
	for {
		t, err := turn.Next(ctx, c.loop)
		if err != nil && ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = c.serve(context.WithoutCancel(ctx), t)
		}
		if err != nil {
			return err
		}
	}
}

// incoming returns the notes that come in, until there are no more: it may wait for them for
// as long as the process lives. The channel of the error is closed then, or has one.
func incoming(ctx context.Context, in io.Reader) (<-chan note, <-chan error) {
	notes, failed := make(chan note), make(chan error, 1)
	go func() {
		defer close(failed)
		for all := json.NewDecoder(in); ; {
			var n note
			if err := all.Decode(&n); err != nil {
				if !errors.Is(err, io.EOF) {
					failed <- err
				}
				return
			}
			select {
			case notes <- n:
			case <-ctx.Done():
				return
			}
		}
	}()
	return notes, failed
}

// read stores the notes that come in, until there are no more, and waits until all are done.
// It ends with ctx, whether there are more or not: a worker may have failed.
func (c *child) read(ctx context.Context, in io.Reader) error {
	for notes, failed := incoming(ctx, in); ; {
		var n note
		select {
		case n = <-notes:
		case err := <-failed:
			if err != nil {
				return err
			}
			return c.drain(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
		body, err := json.Marshal(n)
		if err != nil {
			return err
		}
		_, again, err := turn.Enqueue(ctx, c.loop, agentID(n.Agent), turn.Message{Key: n.key(), Body: body})
		if err != nil {
			return err
		}
		said := stored
		if again {
			said = repeated
		}
		if err := c.say(said, n); err != nil {
			return err
		}
	}
}

// drain waits until no input waits or is under way.
func (c *child) drain(ctx context.Context) error {
	idle, err := c.idle(ctx)
	if idle || err != nil {
		return err
	}
	for _, err := range c.loop.Changes(ctx, "") {
		if err != nil {
			return err
		}
		if idle, err = c.idle(ctx); idle || err != nil {
			break
		}
	}
	return err
}

func (c *child) idle(ctx context.Context) (bool, error) {
	for _, err := range c.loop.Runtimes(ctx, state.Listing{Inputs: slices.Concat(turn.Queue.Ready, turn.Queue.Busy)}) {
		return false, err
	}
	return true, nil
}

// serve does a turn, or the rest of one: the conversation says how far it is.
func (c *child) serve(ctx context.Context, t *turn.Turn) error {
	var n note
	if err := json.Unmarshal(t.Input().PersistedInput, &n); err != nil {
		return err
	}
	if !t.Begun() {
		if err := t.Begin(ctx, line{Role: "user", Text: n.text()}.encode()); err != nil {
			return err
		}
	} else if err := c.say(recovered, n); err != nil {
		return err
	}
	for _, call := range t.MaybeDone() {
		if err := c.ask(ctx, t, call, n); err != nil {
			return err
		}
	}
	for {
		snapshot, _, err := c.loop.LoadSessionSnapshot(ctx, t.Agent())
		if err != nil {
			return err
		}
		conversation, err := decode(string(snapshot))
		if err != nil {
			return err
		}
		think()
		said, err := answer(n.Agent, conversation)
		if err != nil {
			return err
		}
		if said.Call == nil {
			if err := t.Finish(ctx, said.encode()); err != nil {
				return err
			}
			return c.say(ended, n)
		}
		if err := t.Intend(ctx, said.Call, said.encode()); err != nil {
			return err
		}
		if err := c.call(ctx, t, *said.Call); err != nil {
			return err
		}
	}
}

// ask asks the tool whether a call was made, and makes it if not.
func (c *child) ask(ctx context.Context, t *turn.Turn, call turn.Call, n note) error {
	if err := c.say(asked, n); err != nil {
		return err
	}
	if text, done := c.book.done(call); done {
		return result(ctx, t, call, text)
	}
	if err := t.Again(ctx, call.ID); err != nil {
		return err
	}
	return c.call(ctx, t, call)
}

func (c *child) call(ctx context.Context, t *turn.Turn, call turn.Call) error {
	think()
	text, err := c.book.write(call)
	if err != nil {
		return err
	}
	think()
	return result(ctx, t, call, text)
}

func result(ctx context.Context, t *turn.Turn, call turn.Call, text string) error {
	body, err := json.Marshal(text)
	if err != nil {
		return err
	}
	return t.Result(ctx, call.ID, body, line{Role: "tool", Of: call.ID, Text: text}.encode())
}

func think() { time.Sleep(rand.N(thinking)) }
