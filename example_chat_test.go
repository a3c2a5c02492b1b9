package loopstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

// A message is one of a conversation: any type of yours will do.
type message struct {
	Role string `json:"role"`
	Text string `json:"text"`
}

// lines returns messages as JSON Lines.
func lines(messages ...message) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b) // it ends each value with "\n"
	for _, m := range messages {
		if err := enc.Encode(m); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

// A conversation of your own type is kept as JSON Lines. A turn sends only what it
// adds, and its receipt is about all of the conversation.
func Example_chat() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()

	run := store.NewRunID()
	turn := func(messages ...message) {
		receipt, err := loop.CommitSessionBoundary(ctx, "chat-1", store.BoundaryCommit{
			Session:  store.SessionDelta{SessionSnapshot: lines(messages...), Format: store.FormatLines, Append: true},
			RunID:    run,
			Boundary: store.RunCheckpoint,
		})
		if err != nil {
			panic(err) // nothing was applied
		}
		fmt.Println("sequence", receipt.Sequence, "messages", receipt.MessageCount, "digest", (*receipt.ConversationDigest)[:8])
	}
	turn(message{"user", "What is the tallest mountain?"}, message{"agent", "Mount Everest."})
	turn(message{"user", "And the second?"}, message{"agent", "K2."})

	text, _, err := loop.LoadSessionSnapshot(ctx, "chat-1")
	dec := json.NewDecoder(bytes.NewReader(text))
	for dec.More() {
		var m message
		if err := dec.Decode(&m); err != nil {
			panic(err)
		}
		fmt.Println(m.Role+":", m.Text)
	}
	fmt.Println(err)

	_, err = loop.CommitSessionBoundary(ctx, "chat-1", store.BoundaryCommit{
		Session:  store.SessionDelta{SessionSnapshot: []byte(`{"role":"user"`), Format: store.FormatLines, Append: true},
		Boundary: store.RunCheckpoint,
	})
	fmt.Println(errors.Is(err, store.ErrInvalidSnapshot), err)
	// Output:
	// sequence 0 messages 2 digest a357344f
	// sequence 1 messages 4 digest 26c088a0
	// user: What is the tallest mountain?
	// agent: Mount Everest.
	// user: And the second?
	// agent: K2.
	// <nil>
	// true commit_session_boundary of runtime "chat-1": invalid session snapshot: the text ends within a value at byte 14, in line 1 (nothing was applied)
}

// With Retention.Sessions a session has a past: look at it, go back, or go on from there
// in a runtime of its own. The versions share what they have in common.
func Example_past() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{Retention: store.Retention{Sessions: store.Keep{Last: 100}}})
	defer loop.Close()

	run := store.NewRunID()
	for _, text := range []string{"Plan a trip.", "To Rome.", "By train."} {
		_, err := loop.CommitSessionBoundary(ctx, "trip", store.BoundaryCommit{
			Session:  store.SessionDelta{SessionSnapshot: lines(message{"user", text}), Format: store.FormatLines, Append: true},
			RunID:    run,
			Boundary: store.RunCheckpoint,
		})
		if err != nil {
			panic(err)
		}
	}
	show := func(view *state.View) {
		for version := range view.Sessions() {
			fmt.Println(view.RuntimeID(), version.Number, version.Snapshot.MessageCount(), "messages", version.Committed)
		}
	}
	view, err := loop.View(ctx, "trip")
	if err != nil {
		panic(err)
	}
	show(view)

	// Another try from where the second turn has ended. What comes of it is not seen here.
	number, _ := view.BoundaryVersion(run, 1)
	if err := loop.Fork(ctx, "trip", number, "trip, by plane"); err != nil {
		panic(err)
	}
	forked, err := loop.View(ctx, "trip, by plane")
	origin, _ := forked.Origin()
	fmt.Println(origin.RuntimeID, origin.Number, err)
	show(forked)

	// Back to before that turn: a new version, with the text of an earlier one. If the
	// conversation has moved on since we looked, the error is store.ErrConflict.
	last, _ := view.Snapshot()
	_, err = loop.Commit(ctx, batch.Batch{
		If:   []batch.Condition{batch.SessionDigestIs{RuntimeID: "trip", Digest: last.Digest()}},
		Then: []batch.Write{batch.RestoreSession{RuntimeID: "trip", Number: number - 1}},
	})
	view, _ = loop.View(ctx, "trip")
	fmt.Println("back to 1:", err)
	show(view)

	earlier, ok, err := loop.LoadSessionAt(ctx, "trip", 3)
	fmt.Println(earlier.MessageCount(), earlier.Format(), ok, err)
	// Output:
	// trip 1 1 messages true
	// trip 2 2 messages true
	// trip 3 3 messages true
	// trip 2 <nil>
	// trip, by plane 1 2 messages false
	// back to 1: <nil>
	// trip 1 1 messages true
	// trip 2 2 messages true
	// trip 3 3 messages true
	// trip 4 1 messages false
	// 3 lines true <nil>
}
