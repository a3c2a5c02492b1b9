package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"slices"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// inspect is the subcommand.
func inspect(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var one *store.RuntimeID
	flags := flag.NewFlagSet("inspect", flag.ContinueOnError)
	flags.Func("runtime", "show one runtime in full: the one with this `id`", func(id string) error {
		one = new(store.RuntimeID(id))
		return nil
	})
	payloads := flags.Bool("payloads", false, "with -runtime, show snapshots and inputs too")
	partition := partitionFlag(flags, "it is\nneeded if there are several")
	asJSON := flags.Bool("json", false, "print JSON instead of a table")
	name, err := parseFile(flags, args, inspectHelp, inspectNotes, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case *payloads && one == nil:
		term.Say(stderr, "loopstore inspect: -payloads goes with -runtime\n")
		return exitUsage
	}
	all, err := readFile(ctx, name, *partition, 1)
	if err != nil {
		return refuse(ctx, stderr, "inspect", name, err)
	}
	read, held := all[0], all[0].state
	var shown interface{ table() string }
	if one == nil {
		shown = inventoryOf(read)
	} else if held.Version(*one) == 0 {
		term.Say(stderr, "loopstore inspect: there is no runtime %s\n", term.Named(string(*one), 80))
		return exitFailed
	} else {
		shown = detailsOf(held, *one, *payloads)
	}
	if *asJSON {
		err = writeJSON(stdout, shown, *payloads)
	} else {
		_, err = io.WriteString(stdout, shown.table())
	}
	if err != nil {
		term.Say(stderr, "loopstore inspect: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// An inventory is what -json prints of a file. inspectNotes lists the fields.
type inventory struct {
	Partition *string        `json:"partition,omitempty"`
	Revision  uint64         `json:"revision"`
	Runtimes  []summary      `json:"runtimes"`
	Sessions  []filedSession `json:"sessions"`
}

// A summary is a runtime's line in an inventory.
type summary struct {
	RuntimeID     store.RuntimeID    `json:"runtime_id"`
	Version       uint64             `json:"version"`
	RuntimeState  store.RuntimeState `json:"runtime_state,omitempty"`
	InputStates   int                `json:"input_states"`
	Ended         int                `json:"ended"`
	Runs          int                `json:"runs"`
	Receipts      int                `json:"receipts"`
	SnapshotBytes *int               `json:"snapshot_bytes"`
	Bytes         int64              `json:"bytes"`
}

// A filedSession is a snapshot that is filed under its session's id.
type filedSession struct {
	SessionID store.SessionID `json:"session_id"`
	RuntimeID store.RuntimeID `json:"runtime_id"`
	Bytes     int             `json:"bytes"`
}

func inventoryOf(read *holding) inventory {
	image := read.state.Image()
	c := inventory{
		Partition: read.partition, Revision: image.Revision(), Runtimes: []summary{},
		Sessions: sessionsOf(image, func(store.RuntimeID) bool { return true }),
	}
	for view := range image.Views() {
		c.Runtimes = append(c.Runtimes, summaryOf(view))
	}
	return c
}

func summaryOf(view *state.View) summary {
	v := view.Summary()
	s := summary{
		RuntimeID: v.RuntimeID, Version: v.Version, RuntimeState: v.RuntimeState, InputStates: v.Held.InputStates, Ended: v.Ended,
		Runs: v.Held.Runs, Receipts: v.Held.Receipts, Bytes: v.Held.Bytes(),
	}
	if snapshot, ok := view.Snapshot(); ok {
		s.SnapshotBytes = new(snapshot.Len())
	}
	return s
}

func sessionsOf(image *state.Image, by func(store.RuntimeID) bool) []filedSession {
	all := []filedSession{}
	for id, f := range image.Sessions() {
		if by(f.By) {
			all = append(all, filedSession{id, f.By, f.Snapshot.Len()})
		}
	}
	return all
}

// details is what -json prints of a runtime.
type details struct {
	summary
	Snapshot    *snapshotDetails   `json:"snapshot"`
	Inputs      []store.InputState `json:"inputs"`
	RunDetails  []runDetails       `json:"run_details"`
	DroppedRuns []droppedRun       `json:"dropped_runs"`
	Sessions    []filedSession     `json:"sessions"`

	payloads bool
}

type snapshotDetails struct {
	Bytes    int     `json:"bytes"`
	Digest   *string `json:"digest"`   // null if it is not a session document
	Messages *uint64 `json:"messages"` // likewise
	Base64   []byte  `json:"base64,omitempty"`
}

type runDetails struct {
	RunID           store.RunID                `json:"run_id"`
	HighestSequence uint64                     `json:"highest_sequence"`
	Receipts        []store.RunBoundaryReceipt `json:"receipts"`
}

type droppedRun struct {
	RunID           store.RunID `json:"run_id"`
	HighestSequence uint64      `json:"highest_sequence"`
}

func detailsOf(held *state.State, id store.RuntimeID, payloads bool) *details {
	view, image := held.View(id), held.Image()
	d := &details{
		summary: summaryOf(view), Inputs: []store.InputState{}, RunDetails: []runDetails{}, DroppedRuns: []droppedRun{},
		Sessions: sessionsOf(image, func(by store.RuntimeID) bool { return by == id }), payloads: payloads,
	}
	if snapshot, ok := view.Snapshot(); ok {
		d.Snapshot = &snapshotDetails{Bytes: snapshot.Len()}
		if document := snapshot.Document(); document != nil {
			d.Snapshot.Digest, d.Snapshot.Messages = new(document.HexDigest()), new(document.MessageCount())
		}
		if payloads {
			d.Snapshot.Base64 = snapshot.Bytes()
		}
	}
	for input := range view.InputStates() {
		if !payloads {
			input.PersistedInput = nil
		}
		d.Inputs = append(d.Inputs, input)
	}
	for r := range view.RunViews() {
		d.RunDetails = append(d.RunDetails, runDetails{r.RunID(), r.HighestSequence(), slices.Collect(r.Receipts())})
	}
	for run, highest := range view.DroppedRuns() {
		d.DroppedRuns = append(d.DroppedRuns, droppedRun{run, highest})
	}
	return d
}
