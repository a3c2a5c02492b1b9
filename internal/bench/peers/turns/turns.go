// Package turns is the service of examples/chat without its HTTP, on two storages: package
// turn on a loop with store/journal/disk, and SQLite by database/sql. Both keep the same
// promises, which this package's tests try on each.
//
// Its model and its tool answer at once, so that what is measured is the storage.
package turns

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/turn"
)

// A Storage is all that the service asks of what keeps its data. What a call has stored when
// it returns nil survives the end of the process.
type Storage interface {
	// Enqueue stores a message that waits. It stores nothing if the agent has had one with
	// this key.
	Enqueue(ctx context.Context, agent store.RuntimeID, key string, body json.RawMessage) (repeated bool, err error)
	// Next claims the next message of an agent that has no turn under way, and waits for one.
	Next(ctx context.Context) (Turn, error)
	// Recover takes over the turns that are under way, and returns those that had begun. The
	// messages of the others wait again.
	Recover(ctx context.Context) ([]Turn, error)
	// Conversation returns the lines of an agent. The caller may change them.
	Conversation(ctx context.Context, agent store.RuntimeID) ([]byte, error)
	// Commits returns how many times something was made durable since the storage was opened.
	Commits() uint64
	// Compact writes everything anew, into as little room as it takes.
	Compact(ctx context.Context) error
	Close() error
}

// A Turn is a message that is worked on. Its methods are those of a turn.Turn. A step is
// stored whole or not at all. It is store.ErrConflict once somebody else has the turn.
type Turn interface {
	Agent() store.RuntimeID
	Message() json.RawMessage
	Begun() bool
	Begin(ctx context.Context, line []byte) error
	Intend(ctx context.Context, call *turn.Call, lines []byte) error
	MaybeDone() []turn.Call
	Again(ctx context.Context, id string) error
	Result(ctx context.Context, id string, result json.RawMessage, lines []byte) error
	Finish(ctx context.Context, lines []byte) error
}

// A Tool does what a call asks for. A call with a key that it has seen does nothing.
type Tool func(turn.Call) (text string, err error)

// Note is a tool that does nothing, and answers as much as one.
func Note(turn.Call) (string, error) { return said, nil }

// said is 1,000 bytes.
var said = strings.Repeat("It is noted. ", 77)[:1000]

type line struct {
	Role string     `json:"role"`
	Text string     `json:"text,omitempty"`
	Call *turn.Call `json:"call,omitempty"`
	Of   string     `json:"of,omitempty"`
}

func (l line) json() []byte {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err) // there is nothing in it that could fail
	}
	return append(text, '\n')
}

// Say returns the body of a message.
func Say(text string) json.RawMessage { return line{Role: "user", Text: text}.json() }

// answer is the model: it has the tool note down what it is told, and then says something.
func answer(conversation []byte) (l line, err error) {
	all := bytes.TrimSuffix(conversation, []byte("\n"))
	var last line
	if err := json.Unmarshal(all[bytes.LastIndexByte(all, '\n')+1:], &last); err != nil {
		return l, err
	}
	if last.Role != "user" {
		return line{Role: "assistant", Text: "Done. " + last.Text[:min(len(last.Text), 400)]}, nil
	}
	arguments, err := json.Marshal(last.Text)
	return line{Role: "assistant", Call: &turn.Call{ID: "note", Tool: "notebook", Arguments: arguments}}, err
}

// Serve does a turn, or the rest of one. It reads the conversation once.
func Serve(ctx context.Context, s Storage, t Turn, tool Tool) error {
	if !t.Begun() {
		if err := t.Begin(ctx, append(bytes.TrimSpace(t.Message()), '\n')); err != nil {
			return err
		}
	}
	conversation, err := s.Conversation(ctx, t.Agent())
	if err != nil {
		return err
	}
	call := func(c turn.Call) error {
		text, err := tool(c)
		if err != nil {
			return err
		}
		result, err := json.Marshal(text)
		if err != nil {
			return err
		}
		lines := line{Role: "tool", Of: c.ID, Text: text}.json()
		conversation = append(conversation, lines...)
		return t.Result(ctx, c.ID, result, lines)
	}
	for _, c := range t.MaybeDone() {
		if err := t.Again(ctx, c.ID); err != nil {
			return err
		}
		if err := call(c); err != nil {
			return err
		}
	}
	for {
		next, err := answer(conversation)
		if err != nil {
			return err
		}
		if next.Call == nil {
			return t.Finish(ctx, next.json())
		}
		lines := next.json()
		conversation = append(conversation, lines...)
		if err := t.Intend(ctx, next.Call, lines); err != nil {
			return err
		}
		if err := call(*next.Call); err != nil {
			return err
		}
	}
}
