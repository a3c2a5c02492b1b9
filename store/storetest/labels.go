package storetest

import (
	"fmt"
	"maps"
	"strings"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/state"
)

func labeling(id store.RuntimeID, labels map[string]string) batch.Write {
	return batch.PutLabels{RuntimeID: id, Labels: labels}
}

func labelsAreReplaced(tr *trial) {
	many := map[string]string{}
	for n := range store.MaxLabels {
		many[strings.Repeat(string(rune('a'+n)), store.MaxLabelBytes)] = strings.Repeat("v", store.MaxLabelBytes)
	}
	for _, labels := range []map[string]string{{"a": "b"}, {"c": "", "\x00": "é", " ": "a"}, many, {}, {"A": "b"}, nil} {
		result := tr.write(labeling("a", labels))
		require.Equal(tr, result.Revision, tr.version("a"))
		require.True(tr, maps.Equal(labels, tr.summary("a").Labels), "labels %v, not %v", tr.summary("a").Labels, labels)
		if has[state.Viewer](tr) {
			require.True(tr, maps.Equal(labels, tr.look("a").Summary().Labels), "labels of a view")
		}
	}
	tr.write(labeling("a", map[string]string{"a": "b"}))
	tr.fill("a")
	require.Equal(tr, map[string]string{"a": "b"}, tr.summary("a").Labels, "other writes leave them")
	tr.write(labeling("only", map[string]string{"a": "c"}))
	assert.Equal(tr, []store.RuntimeID{"only"}, tr.listed(state.Listing{Labels: map[string]string{"a": "c"}}), "a runtime of labels alone")
	if h, ok := tr.store.(state.Historian); ok {
		require.NoError(tr, h.Fork(tr.Context(), "a", 1, "fork"))
		require.Empty(tr, tr.summary("fork").Labels, "a fork has none")
	}
	tr.write(deleting("a"), setting("a", store.RuntimeIdle))
	require.Empty(tr, tr.summary("a").Labels, "they go with their runtime")
	_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{labeling("a", many), putting("a", store.InputState{})}})
	tr.refused("a batch with a bad write", err, store.ErrInvalidValue)
	require.Empty(tr, tr.summary("a").Labels)
}

func badLabelsAreRefused(tr *trial) {
	tr.fill("a")
	tr.write(labeling("a", map[string]string{"a": "b"}))
	before := summaryText(tr.summary("a"))
	many := map[string]string{}
	for n := range store.MaxLabels + 1 {
		many[fmt.Sprint(n)] = ""
	}
	long := strings.Repeat("x", store.MaxLabelBytes+1)
	for _, bad := range []map[string]string{many, {long: ""}, {"a": long}, {"": "a"}, {"a": "\xff"}, {"\xff": "a"}} {
		for _, id := range []store.RuntimeID{"a", "b"} {
			_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{labeling(id, bad)}})
			tr.refused("PutLabels", err, store.ErrInvalidValue)
		}
	}
	_, err := tr.tryBatch(batch.Batch{Then: []batch.Write{labeling("\xff", nil)}})
	tr.refused("PutLabels of an id that is not text", err, store.ErrInvalidValue)
	require.Equal(tr, before, summaryText(tr.summary("a")))
	require.Equal(tr, []store.RuntimeID{"a"}, tr.listed(state.Listing{}))
}

func labelsAreCopied(tr *trial) {
	given := map[string]string{"a": "b"}
	tr.write(labeling("a", given))
	require.Equal(tr, map[string]string{"a": "b"}, given, "Commit changed its argument")
	given["a"], given["c"] = "x", "y"
	for range 2 {
		s := tr.summary("a")
		require.Equal(tr, map[string]string{"a": "b"}, s.Labels)
		s.Labels["a"], s.Labels["c"] = "x", "y"
		if has[state.Viewer](tr) {
			labels := tr.look("a").Summary().Labels
			require.Equal(tr, map[string]string{"a": "b"}, labels)
			labels["a"], labels["c"] = "x", "y"
		}
	}
}
