package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/turn"
)

// A fullEngine is one whose disk may be full.
type fullEngine struct {
	journal.Engine
	disk *room
}

type room struct {
	full    atomic.Bool
	refused atomic.Int64 // batches
}

func (e fullEngine) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := e.Engine.Open(ctx, partition, emit)
	return fullJournal{j, e.disk}, err
}

type fullJournal struct {
	journal.Journal
	disk *room
}

func (j fullJournal) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	if j.disk.full.Load() {
		j.disk.refused.Add(1)
		return journal.Position{}, fmt.Errorf("%w: no room", journal.ErrRejected)
	}
	return j.Journal.Append(ctx, b)
}

// TestFullDisk fills the disk while a tool is called. When there is room again, its agent goes on.
func TestFullDisk(t *testing.T) {
	full := new(room)
	dir := t.TempDir()
	loop, err := loopstore.Open(t.Context(), fullEngine{disk.New(filepath.Join(dir, "state"), disk.Options{}), full}, "chat", options())
	require.NoError(t, err)
	defer func() { assert.NoError(t, loop.Close()) }()
	book, err := openNotebook(filepath.Join(dir, "notebook"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, book.Close()) }()
	s := newService(loop, scripted{}, fills{book, full})
	defer s.stop()
	ctx, stop := context.WithCancel(t.Context())
	working := make(chan error, 1)
	go func() { working <- s.work(ctx, 2) }()
	s.send(t, "anna", "1", "Hello")
	const both = 2 // the call's result, and the end of the turn
	require.Eventually(t, func() bool { return full.refused.Load() >= both }, 10*time.Second, time.Millisecond)
	full.full.Store(false)
	s.send(t, "anna", "2", "Still there?")
	require.Eventually(t, func() bool { return strings.Contains(s.read(t, "/agents/anna/messages"), "line 2") }, 10*time.Second, 10*time.Millisecond)
	stop()
	require.NoError(t, <-working)
}

type fills struct {
	*notebook
	disk *room
}

func (f fills) do(ctx context.Context, call turn.Call) (string, error) {
	text, err := f.notebook.do(ctx, call)
	if strings.Contains(string(call.Arguments), "Hello") {
		f.disk.full.Store(true)
	}
	return text, err
}
