package inspect

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

const fewVersions = 5 // on the page of a runtime

// A versionRow is a version of a session, without its text.
type versionRow struct {
	state.SessionVersion

	Format    store.Format
	Len       int
	Messages  uint64
	SessionID string // empty if it is not a session document
	Digest    string // empty if it is not known
	Receipt   bool   // that it was committed with is still there
}

func rowOf(view *state.View, v state.SessionVersion) versionRow {
	row := versionRow{
		SessionVersion: v, Format: v.Snapshot.Format(), Len: v.Snapshot.Len(), Messages: v.Snapshot.MessageCount(), Digest: v.Snapshot.Digest(),
	}
	if row.Format == store.FormatMeerkat {
		row.SessionID = v.Snapshot.Document().ID().String()
	}
	if v.Committed {
		_, row.Receipt = view.Receipt(v.RunID, v.Sequence)
	}
	return row
}

// A versionFacts is all of a version, as a page shows it.
type versionFacts struct {
	versionRow
	*excerpt
}

func (h *handler) factsOf(view *state.View, v state.SessionVersion) *versionFacts {
	return &versionFacts{rowOf(view, v), h.excerptOfParts(v.Snapshot.Len(), v.Snapshot.Parts())}
}

// A past is a page of the versions of a session, the latest first.
type past struct {
	*state.View

	Rows               []versionRow
	Count, Page, Pages int
}

func (h *handler) versions(view *state.View, query url.Values) (body, error) {
	all := latestFirst(view)
	p := &past{View: view, Count: len(all)}
	all, p.Page, p.Pages = turnTo(query.Get("page"), all)
	p.Rows = rowsOf(view, all)
	return p, nil
}

func latestFirst(view *state.View) []state.SessionVersion {
	all := slices.Collect(view.Sessions())
	slices.Reverse(all)
	return all
}

func rowsOf(view *state.View, versions []state.SessionVersion) (rows []versionRow) {
	for _, v := range versions {
		rows = append(rows, rowOf(view, v))
	}
	return rows
}

// A chapter is one version of a session.
type chapter struct {
	*state.View

	Session *versionFacts
}

// versionOf returns the version that a query names.
func versionOf(view *state.View, query url.Values) (version state.SessionVersion, err error) {
	number, err := strconv.ParseUint(query.Get("number"), 10, 64)
	if err != nil {
		return version, unreadable("number")
	}
	version, ok := view.SessionAt(number)
	if !ok {
		err = notFound("version of the session")
	}
	return version, err
}

func (h *handler) version(view *state.View, query url.Values) (body, error) {
	version, err := versionOf(view, query)
	if err != nil {
		return nil, err
	}
	return &chapter{view, h.factsOf(view, version)}, nil
}
