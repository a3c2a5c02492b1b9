package turns

import (
	"context"
	"encoding/json"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/turn"
)

type loop struct{ *loopstore.Loop }

type loopTurn struct{ *turn.Turn }

// OpenLoop opens a loop with a journal in a directory. A checkpoint is as large as SQLite's: by
// itself it would be larger, and less would be written.
func OpenLoop(ctx context.Context, dir string) (Storage, error) {
	l, err := loopstore.Open(ctx, disk.New(dir, disk.Options{CheckpointBytes: 4 << 20}), "turns", loopstore.Options{Queue: turn.Queue})
	return loop{l}, err
}

func (l loop) Enqueue(ctx context.Context, agent store.RuntimeID, key string, body json.RawMessage) (repeated bool, err error) {
	_, repeated, err = turn.Enqueue(ctx, l, agent, turn.Message{Key: key, Body: body})
	return repeated, err
}

func (l loop) Next(ctx context.Context) (Turn, error) {
	t, err := turn.Next(ctx, l)
	return loopTurn{t}, err
}

func (l loop) Recover(ctx context.Context) (turns []Turn, err error) {
	for agent, err := range l.Runtimes(ctx, turn.UnderWay) {
		if err != nil {
			return nil, err
		}
		t, err := turn.Recover(ctx, l, agent.RuntimeID)
		if err != nil {
			return nil, err
		}
		if t != nil {
			turns = append(turns, loopTurn{t})
		}
	}
	return turns, nil
}

func (l loop) Conversation(ctx context.Context, agent store.RuntimeID) ([]byte, error) {
	text, _, err := l.LoadSessionSnapshot(ctx, agent)
	return text, err
}

func (l loop) Commits() uint64 { return l.Stats().Journal.Appends }

func (t loopTurn) Message() json.RawMessage {
	return json.RawMessage(t.Input().PersistedInput)
}
