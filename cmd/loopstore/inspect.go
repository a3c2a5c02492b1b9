package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// inspectSettings are the flags of inspect.
type inspectSettings struct {
	one            *store.RuntimeID
	number         *uint64
	payloads, json bool
	addr           string
	partition      partitionFlag
}

func inspectCommand() *cobra.Command {
	var s inspectSettings
	cmd := &cobra.Command{
		Use: "inspect PATH", Short: "show what is in an exported file or a journal",
		Long: inspectHelp, Args: cli.Exactly(1, "one path"),
		RunE: func(cmd *cobra.Command, names []string) error { return s.inspect(cmd, names[0]) },
	}
	flags := cmd.Flags()
	flags.Func("runtime", "show one runtime in full: the one with this `id`", func(id string) error {
		s.one = new(store.RuntimeID(id))
		return nil
	})
	flags.Func("number", "with --runtime, show the version of the session with this `number`\ninstead of the latest", func(text string) error {
		n, err := strconv.ParseUint(text, 10, 64)
		s.number = &n
		if err != nil {
			return cli.ValueError("it must be a number")
		}
		return nil
	})
	flags.BoolVar(&s.payloads, "payloads", false, "with --runtime or --http, show snapshots and inputs too")
	flags.BoolVar(&s.json, "json", false, "print JSON instead of a table")
	flags.StringVar(&s.addr, "http", "", "show all of it to browsers at this `address`, such as :8080 or\nlocalhost:8080, until Ctrl-C")
	cli.Connects(flags, "runtime")
	s.partition.add(cmd, "it is\nneeded if there are several")
	return cmd
}

func (s *inspectSettings) inspect(cmd *cobra.Command, name string) error {
	switch {
	case s.addr != "" && (s.one != nil || s.json):
		return cli.Misused("--http shows all, and goes with neither --runtime nor --json")
	case s.payloads && s.one == nil && s.addr == "":
		return cli.Misused("--payloads goes with --runtime or --http")
	case s.number != nil && s.one == nil:
		return cli.Misused("--number goes with --runtime")
	}
	all, err := readFile(cmd, name, s.partition.name, 1)
	if err != nil {
		return about(name, err)
	}
	read, held := all[0], all[0].state
	if s.addr != "" {
		site, err := openSite(cmd.Context(), s.addr, stillOf(held), s.payloads, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		return site.stay(cmd.Context(), cmd.ErrOrStderr())
	}
	var shown interface{ table() string }
	if s.one == nil {
		shown = inventoryOf(read)
	} else if held.Version(*s.one) == 0 {
		return fmt.Errorf("there is no runtime %s", cli.Named(string(*s.one)))
	} else if version, ok := versionAt(held.View(*s.one), s.number); !ok && s.number != nil {
		return fmt.Errorf("runtime %s has no version %d of its session", cli.Named(string(*s.one)), *s.number)
	} else {
		shown = detailsOf(held, *s.one, version, s.payloads)
	}
	if s.json {
		return writeJSON(cmd.OutOrStdout(), shown, s.payloads)
	}
	_, err = io.WriteString(cmd.OutOrStdout(), shown.table())
	return err
}

// An inventory is what --json prints of a file. The help lists the fields.
type inventory struct {
	Partition *string        `json:"partition,omitempty"`
	Revision  uint64         `json:"revision"`
	Runtimes  []summary      `json:"runtimes"`
	Sessions  []filedSession `json:"sessions"`
	Deleted   []deleted      `json:"deleted"`
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
	Versions      int                `json:"versions"`
	Bytes         int64              `json:"bytes"`
	Made          store.Time         `json:"made,omitzero"`
	Active        store.Time         `json:"active,omitzero"`
	Labels        map[string]string  `json:"labels,omitempty"`
	Keys          int                `json:"keys"`

	open  int        // inputs that have not ended
	since store.Time // when the one was changed that was the longest time ago
}

// A deleted runtime has left a tombstone.
type deleted struct {
	RuntimeID       store.RuntimeID `json:"runtime_id"`
	Revision        uint64          `json:"revision"`
	Deleted         store.Time      `json:"deleted,omitzero"`
	HighestSequence *uint64         `json:"highest_sequence"`
	Keys            int             `json:"keys"`
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
		Sessions: sessionsOf(image, func(store.RuntimeID) bool { return true }), Deleted: []deleted{},
	}
	for t := range image.Tombstones() {
		c.Deleted = append(c.Deleted, deleted{t.RuntimeID, t.Revision, t.Deleted, t.HighestSequence, len(t.Keys)})
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
		Runs: v.Held.Runs, Receipts: v.Held.Receipts, Versions: v.Held.Snapshots + v.Held.Versions, Bytes: v.Held.Bytes(),
		Made: v.Made, Active: v.Active, Labels: v.Labels, Keys: v.Held.Keys,
	}
	if snapshot, ok := view.Snapshot(); ok {
		s.SnapshotBytes = new(snapshot.Len())
	}
	for _, in := range view.OpenInputs() {
		if s.open == 0 || in.Since.Time().Before(s.since.Time()) {
			s.since = in.Since
		}
		s.open += in.Count
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

// details is what --json prints of a runtime.
type details struct {
	summary
	Snapshot    *snapshotDetails   `json:"snapshot"`
	Origin      *state.Origin      `json:"origin"`
	Past        []versionDetails   `json:"session_versions"`
	Inputs      []store.InputState `json:"inputs"`
	RunDetails  []runDetails       `json:"run_details"`
	DroppedRuns []droppedRun       `json:"dropped_runs"`
	Sessions    []filedSession     `json:"sessions"`

	payloads bool
}

type snapshotDetails struct {
	versionDetails
	Base64 []byte `json:"base64,omitempty"`
}

// versionDetails are those of a version of a session.
type versionDetails struct {
	Number   uint64       `json:"number"`
	Format   string       `json:"format"`
	Bytes    int          `json:"bytes"`
	Digest   *string      `json:"digest"`   // null if the format is unset
	Messages *uint64      `json:"messages"` // likewise
	RunID    *store.RunID `json:"run_id"`   // of the receipt that committed it, null if none did
	Sequence *uint64      `json:"sequence"` // likewise
}

func detailsOfVersion(v state.SessionVersion) versionDetails {
	d := versionDetails{Number: v.Number, Format: v.Snapshot.Format().String(), Bytes: v.Snapshot.Len()}
	if document := v.Snapshot.Document(); document != nil {
		d.Digest, d.Messages = new(document.HexDigest()), new(document.MessageCount())
	}
	if v.Committed {
		d.RunID, d.Sequence = &v.RunID, &v.Sequence
	}
	return d
}

// versionAt returns the version of a session with a number, or the latest.
func versionAt(view *state.View, number *uint64) (found state.SessionVersion, ok bool) {
	if number != nil {
		return view.SessionAt(*number)
	}
	return view.Session()
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

// detailsOf shows a runtime with one version of its session, none if that has no number.
func detailsOf(held *state.State, id store.RuntimeID, version state.SessionVersion, payloads bool) *details {
	view, image := held.View(id), held.Image()
	d := &details{
		summary: summaryOf(view), Past: []versionDetails{}, Inputs: []store.InputState{}, RunDetails: []runDetails{}, DroppedRuns: []droppedRun{},
		Sessions: sessionsOf(image, func(by store.RuntimeID) bool { return by == id }), payloads: payloads,
	}
	if version.Number > 0 {
		d.Snapshot = &snapshotDetails{versionDetails: detailsOfVersion(version)}
		if payloads {
			d.Snapshot.Base64 = version.Snapshot.Bytes()
		}
	}
	for v := range view.Sessions() {
		d.Past = append(d.Past, detailsOfVersion(v))
	}
	if from, ok := view.Origin(); ok {
		d.Origin = &from
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
