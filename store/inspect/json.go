package inspect

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

// A body is what a page is about.
type body interface {
	// JSON returns what the page shows, for encoding/json. Names are those of "loopstore
	// inspect --json" where both show the same.
	JSON() any
}

// wantsJSON reports whether a request asks for JSON, by its path or by what it accepts.
// Where both are as welcome, a page is what it gets, unless only JSON is named.
func wantsJSON(r *http.Request) bool {
	if strings.HasSuffix(r.URL.Path, ".json") {
		return true
	}
	var asJSON, asPage float64
	named := false
	for _, accepted := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(accepted, ",") {
			kind, quality := qualityOf(one)
			switch kind {
			case "application/json":
				asJSON = quality
			case "text/html":
				asPage, named = quality, true
			}
		}
	}
	return asJSON > 0 && (!named || asJSON > asPage)
}

// qualityOf reads one element of an Accept header.
func qualityOf(accepted string) (kind string, quality float64) {
	parts := strings.Split(accepted, ";")
	quality = 1
	for _, parameter := range parts[1:] {
		if name, value, _ := strings.Cut(strings.TrimSpace(parameter), "="); strings.EqualFold(name, "q") {
			quality, _ = strconv.ParseFloat(value, 64) // what cannot be read is not welcome
		}
	}
	return strings.ToLower(strings.TrimSpace(parts[0])), quality
}

// writeJSON writes a value. Nothing in it can be taken for markup.
func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// ofOne is at the head of what is about one runtime.
type ofOne struct {
	RuntimeID store.RuntimeID `json:"runtime_id"`
	Version   uint64          `json:"version"` // of the runtime
}

func ofView(v *state.View) ofOne { return ofOne{v.RuntimeID(), v.Version()} }

// A summaryJSON is a runtime in a list.
type summaryJSON struct {
	ofOne

	RuntimeState store.RuntimeState                `json:"runtime_state,omitempty"`
	InputStates  int                               `json:"input_states"`
	InputsIn     map[store.InputLifecycleState]int `json:"inputs_in"` // by state, but for those that none is in
	Ended        int                               `json:"ended"`
	Runs         int                               `json:"runs"`
	Receipts     int                               `json:"receipts"`
	Versions     int                               `json:"versions"` // of the session
	Bytes        int64                             `json:"bytes"`
	Made         store.Time                        `json:"made,omitzero"`
	Active       store.Time                        `json:"active,omitzero"`
	OpenSince    store.Time                        `json:"open_since,omitzero"` // of the input that has been in its state longest, of those that have not ended
	Labels       map[string]string                 `json:"labels,omitempty"`
	Keys         int                               `json:"keys"`
}

func summaryOf(s *state.RuntimeSummary) summaryJSON {
	return summaryJSON{
		ofOne: ofOne{s.RuntimeID, s.Version}, RuntimeState: s.RuntimeState, InputStates: s.Held.InputStates, InputsIn: s.CountInputStates(),
		Ended: s.Ended, Runs: s.Held.Runs, Receipts: s.Held.Receipts, Versions: s.Held.Snapshots + s.Held.Versions, Bytes: s.Held.Bytes(),
		Made: s.Made, Active: s.Active, Labels: s.Labels, Keys: s.Held.Keys,
	}
}

// A leafJSON says which leaf of a list this is, of how many.
type leafJSON struct {
	Count int `json:"count"`
	Page  int `json:"page"` // from 1
	Pages int `json:"pages"`
}

// A turnJSON leads to the next page of a list.
type turnJSON struct {
	Next string `json:"next,omitempty"` // the parameter from of the next page; empty if this is the last
}

func turnOf[T any](p state.Page[T]) (t turnJSON) {
	if p.More {
		t.Next = p.Next.String()
	}
	return t
}

// An inputRow is an input in a list.
type inputRow struct {
	InputID              store.InputID             `json:"input_id"`
	CurrentState         store.InputLifecycleState `json:"current_state"`
	Version              uint64                    `json:"version"`
	AttemptCount         uint32                    `json:"attempt_count"`
	RecoveryCount        uint32                    `json:"recovery_count"`
	CreatedAt            store.Time                `json:"created_at"`
	UpdatedAt            store.Time                `json:"updated_at"`
	LastRunID            *store.RunID              `json:"last_run_id,omitempty"`
	LastBoundarySequence *uint64                   `json:"last_boundary_sequence,omitempty"`
	PayloadBytes         *int                      `json:"payload_bytes"` // null if there is none
}

func inputRows(inputs []state.Input) []inputRow {
	all := make([]inputRow, 0, len(inputs))
	for _, in := range inputs {
		s := &in.State
		row := inputRow{
			InputID: s.InputID, CurrentState: s.CurrentState, Version: in.Version, AttemptCount: s.AttemptCount, RecoveryCount: s.RecoveryCount,
			CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, LastRunID: s.LastRunID, LastBoundarySequence: s.LastBoundarySequence,
		}
		if s.PersistedInput != nil {
			row.PayloadBytes = new(len(s.PersistedInput))
		}
		all = append(all, row)
	}
	return all
}

// A receiptRow is a receipt in a list, with the first inputs that took part.
type receiptRow struct {
	RunID                store.RunID            `json:"run_id"`
	Sequence             uint64                 `json:"sequence"`
	Boundary             store.RunApplyBoundary `json:"boundary"`
	ContributingInputIDs []store.InputID        `json:"contributing_input_ids"`
	ContributingInputs   int                    `json:"contributing_inputs"` // how many took part
	ConversationDigest   *string                `json:"conversation_digest"` // null if it is not known
	MessageCount         uint64                 `json:"message_count"`
}

func receiptRows(receipts []store.RunBoundaryReceipt, most int) []receiptRow {
	all := make([]receiptRow, 0, len(receipts))
	for _, r := range receipts {
		took := append([]store.InputID{}, r.ContributingInputIDs...)
		all = append(all, receiptRow{
			r.RunID, r.Sequence, r.Boundary, took[:min(len(took), most)], len(took), r.ConversationDigest, r.MessageCount,
		})
	}
	return all
}

// A versionJSON is a version of a session.
type versionJSON struct {
	Number    uint64       `json:"number"`
	Format    string       `json:"format"`
	Bytes     int          `json:"bytes"`
	Digest    *string      `json:"digest"`   // null if the format is unset
	Messages  *uint64      `json:"messages"` // likewise
	SessionID string       `json:"session_id,omitempty"`
	RunID     *store.RunID `json:"run_id"`   // of the receipt that committed it, null if none did
	Sequence  *uint64      `json:"sequence"` // likewise
}

func versionRows(rows []versionRow) []versionJSON {
	all := make([]versionJSON, 0, len(rows))
	for _, row := range rows {
		all = append(all, row.shown())
	}
	return all
}

func (row versionRow) shown() versionJSON {
	v := versionJSON{Number: row.Number, Format: row.Format.String(), Bytes: row.Len, SessionID: row.SessionID}
	if row.Digest != "" {
		v.Digest, v.Messages = &row.Digest, &row.Messages
	}
	if row.Committed {
		v.RunID, v.Sequence = &row.RunID, &row.Sequence
	}
	return v
}

// A payloadJSON is as much of a payload as a page shows.
type payloadJSON struct {
	Bytes  int    `json:"bytes"` // of all of it
	Hidden bool   `json:"hidden"`
	Text   string `json:"text,omitempty"`
	Cut    bool   `json:"cut,omitempty"`
}

func payloadOf(e *excerpt) *payloadJSON { return (*payloadJSON)(e) }

func (l *listing) JSON() any {
	all := make([]summaryJSON, 0, len(l.Rows))
	for _, row := range l.Rows {
		all = append(all, summaryOf(&row.RuntimeSummary))
		all[len(all)-1].OpenSince = row.since
	}
	return struct {
		Now      store.Time  `json:"now"`
		Open     []openState `json:"open"`
		Waiting  queue       `json:"waiting"`
		UnderWay queue       `json:"under_way"`
		All      int         `json:"all"`
		Matching int         `json:"matching"`
		Sorted   int         `json:"sorted"`
		Page     int         `json:"page"` // from 1
		Pages    int         `json:"pages"`

		Runtimes []summaryJSON `json:"runtimes"`
	}{l.Now, append([]openState{}, l.Standing.Open...), l.Standing.Waiting, l.Standing.UnderWay, l.All, l.Matching, l.Sorted, l.Page, l.Pages, all}
}

func (o *overview) JSON() any {
	shown := struct {
		summaryJSON
		Snapshot    *snapshotJSON `json:"snapshot"` // the latest version of the session, null if there is none
		Versions    []versionJSON `json:"session_versions"`
		Origin      *state.Origin `json:"origin"`
		Inputs      []inputRow    `json:"inputs"`
		Receipts    []receiptRow  `json:"latest_receipts"`
		Latest      *receiptRow   `json:"latest_receipt"`
		DroppedRuns int           `json:"dropped_runs"`
	}{
		summaryJSON: summaryOf(o.Summary), Versions: versionRows(o.Past), Origin: o.Forked, Inputs: []inputRow{}, Receipts: []receiptRow{},
		DroppedRuns: o.Dropped,
	}
	shown.OpenSince = newEntry(*o.Summary, o.OpenInputs()).since
	if o.Session != nil {
		shown.Snapshot = o.Session.JSON()
	}
	for _, group := range o.Groups {
		shown.Inputs = append(shown.Inputs, inputRows(group.Inputs.Items)...)
	}
	for _, run := range o.Runs {
		shown.Receipts = append(shown.Receipts, receiptRows(run.Receipts.Items, maxInputs)...)
	}
	if o.Latest != nil {
		shown.Latest = &receiptRows([]store.RunBoundaryReceipt{*o.Latest}, maxInputs)[0]
	}
	return shown
}

func (list *inputList) JSON() any {
	return struct {
		ofOne
		State store.InputLifecycleState `json:"state,omitempty"` // in which all are that are listed
		Count int                       `json:"count"`
		turnJSON
		Inputs []inputRow `json:"inputs"`
	}{ofView(list.View), list.State, list.Count, turnOf(list.Page), inputRows(list.Page.Items)}
}

func (s *single) JSON() any {
	input := s.Input
	input.PersistedInput = nil
	return struct {
		ofOne
		Input        store.InputState `json:"input"`         // without its payload
		Entries      int              `json:"history_count"` // of which input has the last ones
		InputVersion uint64           `json:"input_version"`
		Payload      *payloadJSON     `json:"payload"` // null if there is none
	}{ofView(s.View), input, s.Entries, s.InputVersion, payloadOf(s.Payload)}
}

func (list *runList) JSON() any {
	type runJSON struct {
		RunID           store.RunID `json:"run_id"`
		HighestSequence uint64      `json:"highest_sequence"`
	}
	runs := make([]runJSON, 0, len(list.Runs))
	for _, run := range list.Runs {
		runs = append(runs, runJSON{run.RunID(), run.HighestSequence()})
	}
	return struct {
		ofOne
		leafJSON
		Runs []runJSON `json:"runs"`
	}{ofView(list.View), leafJSON{list.Count, list.Page, list.Pages}, runs}
}

func (line *timeLine) JSON() any {
	most := maxInputs
	if line.One {
		most = len(line.Page.Items[0].ContributingInputIDs)
	}
	return struct {
		ofOne
		RunID           store.RunID `json:"run_id"`
		HighestSequence uint64      `json:"highest_sequence"`
		turnJSON
		Receipts []receiptRow `json:"receipts"`
	}{ofView(line.View), line.RunID, line.Highest, turnOf(line.Page), receiptRows(line.Page.Items, most)}
}

func (p *past) JSON() any {
	return struct {
		ofOne
		leafJSON
		Versions []versionJSON `json:"session_versions"`
	}{ofView(p.View), leafJSON{p.Count, p.Page, p.Pages}, versionRows(p.Rows)}
}

// A snapshotJSON is a version of a session with its text.
type snapshotJSON struct {
	versionJSON

	Payload *payloadJSON `json:"payload"`
}

// JSON returns what is shown of a version.
func (f *versionFacts) JSON() *snapshotJSON { return &snapshotJSON{f.shown(), payloadOf(f.excerpt)} }

func (c *chapter) JSON() any {
	return struct {
		ofOne
		Snapshot *snapshotJSON `json:"snapshot"`
	}{ofView(c.View), c.Session.JSON()}
}

func (p *problem) JSON() any {
	return struct {
		Error  string `json:"error"`
		Detail string `json:"detail"`
		Status int    `json:"status"`
	}{p.title, p.Text, p.status}
}
