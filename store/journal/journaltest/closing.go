package journaltest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func closing() []promise {
	return []promise{
		{words: "Close may be called again", try: closesTwice},
		{words: "Close lets another holder open the partition", try: closeLetsGo},
		{words: "Close with a context that has ended gives the partition up", try: closeEnded},
		{words: "calls of a closed journal do no harm", try: closedIsHarmless},
		{words: "no goroutine is left behind", try: noGoroutineIsLeft},
	}
}

func closesTwice(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"))
	for range 3 {
		require.NoError(tr, j.Close(tr.ctx))
	}
	second := tr.open("p", contents{"a": "1"})
	require.NoError(tr, j.Close(tr.ctx), "after another has opened it")
	tr.append(second, put("b", "2"))
	tr.stands("p", contents{"a": "1", "b": "2"})
}

func closeLetsGo(tr *trial) {
	for range 5 {
		j, _, err := tr.tryOpen("p")
		require.NoError(tr, err, "Open")
		tr.append(j, put("a", "1"))
		require.NoError(tr, j.Close(tr.ctx))
	}
}

func closeEnded(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"))
	if err := j.Close(tr.endedCtx()); err != nil {
		assert.True(tr, isEnded(err), "Close returned %v", err)
	}
	tr.ended(j)
	tr.open("p", contents{"a": "1"})
}

func closedIsHarmless(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"))
	open := j.Limits()
	require.NoError(tr, j.Close(tr.ctx))
	assert.Equal(tr, open, j.Limits())
	j.Fenced()
	_ = j.Compact(tr.ctx, live(contents{"b": "2"}))
	tr.ended(j)
	tr.stands("p", contents{"a": "1"})
}

func noGoroutineIsLeft(tr *trial) {
	tr.append(tr.open("p", nil), put("a", "1"))
	tr.reopen()
	_ = tr.failAt(0)
	_, _ = tr.engine.Open(tr.endedCtx(), "p", tr.collect(contents{}))
	tr.append(tr.open("p", contents{"a": "1"}), put("b", "2"))
	tr.closeAll()
	if err := goleak.Find(tr.before); err != nil {
		tr.Errorf("the closed journals left goroutines behind: %v", err)
	}
}
