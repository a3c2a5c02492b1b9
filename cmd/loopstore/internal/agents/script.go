// Package agents is the demo of agents whose process is killed: a child process has the
// store, and agents that work on messages with a model and a tool. The parent sends the
// messages, kills the child again and again, and checks at the end what it has left.
package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/turn"
)

// partition is the part of the journal that the agents are in.
const partition = "agents"

// options are those of the store, in every process that opens it.
var options = loopstore.Options{Queue: turn.Queue, UniqueKeys: true}

// A note is a message to an agent, the number-th from 0. Its number is its key too.
type note struct {
	Agent  int `json:"agent"`
	Number int `json:"number"`
}

func agentID(agent int) store.RuntimeID {
	return store.RuntimeID(fmt.Sprintf("agent-%02d", agent))
}

func (n note) key() string { return fmt.Sprint(n.Number) }

func (n note) text() string { return fmt.Sprintf("Note %d, for %s.", n.Number, agentID(n.Agent)) }

// calls says how many calls of the tool the answer to a note takes.
func (n note) calls() int { return (n.Agent + n.Number) % 3 }

// A line is one of a conversation.
type line struct {
	Role string     `json:"role"` // user, assistant or tool
	Text string     `json:"text,omitempty"`
	Call *turn.Call `json:"call,omitempty"` // that the assistant asks for
	Of   string     `json:"of,omitempty"`   // the id of the call that this is the result of
}

func (l line) encode() []byte {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err) // there is nothing in it that could fail
	}
	return append(text, '\n')
}

func decode(text string) (all []line, err error) {
	for text := range strings.Lines(text) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// answer is the model: it says what comes next in a conversation. It calls the tool as often
// as the last note takes, and then repeats what the tool has said.
func answer(agent int, conversation []line) (line, error) {
	at := len(conversation) - 1
	for at >= 0 && conversation[at].Role != "user" {
		at--
	}
	if at < 0 {
		return line{}, errors.New("it has no note")
	}
	n, calls, said := note{Agent: agent}, 0, "Done."
	if _, err := fmt.Sscanf(conversation[at].Text, "Note %d,", &n.Number); err != nil {
		return line{}, fmt.Errorf("its last note is none: %w", err)
	}
	for _, l := range conversation[at:] {
		if l.Role == "tool" {
			calls++
			said += " " + l.Text
		}
	}
	if calls == n.calls() {
		return line{Role: "assistant", Text: said}, nil
	}
	arguments, err := json.Marshal(n.text())
	return line{Role: "assistant", Call: &turn.Call{ID: fmt.Sprint("call-", calls), Tool: "notebook", Arguments: arguments}}, err
}
