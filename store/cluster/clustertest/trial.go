package clustertest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
)

// A trial tests one promise in a place of its own. Its methods fail the test if a call
// that must succeed does not. They belong to the test's goroutine.
type trial struct {
	*testing.T
	ctx  context.Context
	open func(name string) (cluster.Directory, error)
}

func newTrial(t *testing.T, f Factory) *trial {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), f.Timeout)
	t.Cleanup(cancel)
	open := f.Open(t)
	require.NotNil(t, open, "the Factory's Open returned nothing")
	return &trial{T: t, ctx: ctx, open: open}
}

// A handle is one member's way to a document.
type handle struct {
	*trial
	cluster.Directory
}

// handle returns a new handle of a document with a name that every directory takes.
func (tr *trial) handle() handle {
	tr.Helper()
	d, err := tr.open("agents")
	require.NoError(tr, err)
	require.NotNil(tr, d)
	return handle{tr, d}
}

func (h handle) read() (document []byte, revision uint64) {
	h.Helper()
	document, revision, err := h.Read(h.ctx)
	require.NoError(h, err, "Read")
	return document, revision
}

// write reports whether a document was written.
func (h handle) write(document string, revision uint64) bool {
	h.Helper()
	ok, err := h.Write(h.ctx, []byte(document), revision)
	require.NoError(h, err, "Write of %d bytes at revision %d", len(document), revision)
	return ok
}

// put replaces what stands, and returns the new revision.
func (h handle) put(document string) (revision uint64) {
	h.Helper()
	_, before := h.read()
	require.True(h, h.write(document, before), "nobody else has written, and revision %d was refused", before)
	return h.stands(document)
}

// stands fails unless this document stands. It returns its revision.
func (h handle) stands(document string) (revision uint64) {
	h.Helper()
	found, revision := h.read()
	require.Equal(h, len(document), len(found), "bytes of the document")
	require.True(h, document == string(found), "it is another document: %.60q, not %.60q", found, document)
	require.NotZero(h, revision, "the revision of a document")
	return revision
}

// stays fails unless this document stands at this revision.
func (h handle) stays(document string, revision uint64) {
	h.Helper()
	require.Equal(h, revision, h.stands(document), "the revision has changed, and nothing was written")
}

// absent fails if there is a document.
func (h handle) absent() {
	h.Helper()
	document, revision := h.read()
	require.Nil(h, document)
	require.Zero(h, revision)
}
