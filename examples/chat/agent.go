package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/turn"
)

// A message is a line of a conversation.
type message struct {
	Role string     `json:"role"` // user, assistant or tool
	Text string     `json:"text,omitempty"`
	Call *turn.Call `json:"call,omitempty"` // that the assistant asks for
	Of   string     `json:"of,omitempty"`   // the id of the call that this is the result of
}

func (m message) line() []byte {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // there is nothing in it that could fail
	}
	return append(text, '\n')
}

func messages(lines []byte) (all []message, err error) {
	for d := json.NewDecoder(bytes.NewReader(lines)); d.More(); {
		var m message
		if err := d.Decode(&m); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// A model says what comes next in a conversation.
type model interface {
	next(ctx context.Context, conversation []message) (message, error)
}

// scripted is a model that notes down what it is told, and then says so.
type scripted struct{}

func (scripted) next(_ context.Context, conversation []message) (message, error) {
	last := conversation[len(conversation)-1]
	if last.Role == "user" {
		arguments, err := json.Marshal(last.Text)
		return message{Role: "assistant", Call: &turn.Call{ID: "note", Tool: "notebook", Arguments: arguments}}, err
	}
	return message{Role: "assistant", Text: "Noted. " + last.Text}, nil
}

// A tool does something outside. A call with a key that it has seen does nothing.
type tool interface {
	do(ctx context.Context, call turn.Call) (text string, err error)
	done(ctx context.Context, call turn.Call) (text string, ok bool, err error)
}

// A notebook is a tool that writes a line for each call.
type notebook struct {
	mu    sync.Mutex
	file  *os.File
	lines map[string]int // by the call's key
}

func openNotebook(name string) (*notebook, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	n, whole := &notebook{file: file, lines: make(map[string]int)}, int64(0)
	for r := bufio.NewReader(file); ; {
		line, err := r.ReadString('\n')
		if err != nil { // the rest was cut short by a crash
			break
		}
		whole += int64(len(line))
		key, _, _ := strings.Cut(line, " ")
		n.lines[key] = len(n.lines) + 1
	}
	_, err = file.Seek(whole, 0)
	return n, errors.Join(err, file.Truncate(whole))
}

func (n *notebook) Close() error { return n.file.Close() }

func (n *notebook) done(_ context.Context, call turn.Call) (text string, ok bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, ok := n.lines[call.Key()]
	return fmt.Sprintf("It is line %d.", at), ok, nil
}

func (n *notebook) do(_ context.Context, call turn.Call) (text string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, err := fmt.Fprintf(n.file, "%s %s\n", call.Key(), call.Arguments); err != nil {
		return "", err
	}
	n.lines[call.Key()] = len(n.lines) + 1
	return fmt.Sprintf("It is line %d.", len(n.lines)), n.file.Sync()
}

// work recovers what a crash has left, and then has so many workers take turns until ctx
// ends. A turn that is under way then is ended first.
func (s *service) work(ctx context.Context, workers int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for agent, err := range s.loop.Runtimes(ctx, turn.UnderWay) {
		if err != nil {
			return ended(err)
		}
		t, err := turn.Recover(ctx, s.loop, agent.RuntimeID)
		if err != nil {
			return err
		}
		if t != nil {
			group.Go(func() error { return s.serve(ctx, t) })
		}
	}
	for range workers {
		group.Go(func() error {
			for {
				t, err := turn.Next(ctx, s.loop)
				if err == nil {
					err = s.serve(ctx, t)
				}
				switch {
				case errors.Is(err, journal.ErrRejected): // the disk is full: who asks at once spins
					time.Sleep(time.Second)
				case err != nil:
					return ended(err)
				}
			}
		})
	}
	return group.Wait()
}

// ended is nil for what ends a service that is told to.
func ended(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, store.ErrClosed) {
		return nil
	}
	return err
}

// serve does a turn, and ends one that cannot be done: the model or the tool has failed, say.
// The service goes on. It ends with the store. While the disk is full the turn stands still; if
// ctx ends meanwhile, the next process recovers it.
func (s *service) serve(ctx context.Context, t *turn.Turn) error {
	working := context.WithoutCancel(ctx)
	for {
		err := s.take(working, t)
		if err == nil || errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrFailed) || errors.Is(err, store.ErrOutcomeUnknown) {
			return err
		}
		log.Printf("agent %q: %v", t.Agent(), err)
		if err := t.Abandon(working, store.AbandonCancelled, apology(t)); !errors.Is(err, journal.ErrRejected) {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// apology ends the conversation of a turn that cannot be done: each call has an answer, and so
// has the user.
func apology(t *turn.Turn) (lines []byte) {
	if !t.Begun() {
		return nil
	}
	for _, call := range t.MaybeDone() {
		lines = append(lines, message{Role: "tool", Of: call.ID, Text: "It failed, and may have been done."}.line()...)
	}
	return append(lines, message{Role: "assistant", Text: "Sorry, that did not work."}.line()...)
}

// take does a turn, or the rest of one: the conversation says how far it is.
func (s *service) take(ctx context.Context, t *turn.Turn) error {
	if !t.Begun() {
		var m message
		if err := json.Unmarshal(t.Input().PersistedInput, &m); err != nil {
			return err
		}
		if err := t.Begin(ctx, m.line()); err != nil {
			return err
		}
	}
	for _, call := range t.MaybeDone() {
		if err := s.ask(ctx, t, call); err != nil {
			return err
		}
	}
	for {
		lines, _, err := s.loop.LoadSessionSnapshot(ctx, t.Agent())
		if err != nil {
			return err
		}
		conversation, err := messages(lines)
		if err != nil {
			return err
		}
		answer, err := s.model.next(ctx, conversation)
		if err != nil {
			return err
		}
		if answer.Call == nil {
			return t.Finish(ctx, answer.line())
		}
		if err := t.Intend(ctx, answer.Call, answer.line()); err != nil {
			return err
		}
		if err := s.call(ctx, t, *answer.Call); err != nil {
			return err
		}
	}
}

// ask finds out whether a call was made, and makes it if not.
func (s *service) ask(ctx context.Context, t *turn.Turn, call turn.Call) error {
	s.asked.Add(1)
	switch text, done, err := s.tool.done(ctx, call); {
	case err != nil:
		return err
	case done:
		return s.result(ctx, t, call, text)
	}
	if err := t.Again(ctx, call.ID); err != nil {
		return err
	}
	return s.call(ctx, t, call)
}

func (s *service) call(ctx context.Context, t *turn.Turn, call turn.Call) error {
	text, err := s.tool.do(ctx, call)
	if err != nil {
		return err
	}
	return s.result(ctx, t, call, text)
}

func (s *service) result(ctx context.Context, t *turn.Turn, call turn.Call, text string) error {
	result, err := json.Marshal(text)
	if err != nil {
		return err
	}
	return t.Result(ctx, call.ID, result, message{Role: "tool", Of: call.ID, Text: text}.line())
}
