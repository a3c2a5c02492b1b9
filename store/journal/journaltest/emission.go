package journaltest

import (
	"errors"
	"fmt"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

func emission() []promise {
	return []promise{
		{words: "a new partition emits nothing", try: func(tr *trial) { tr.open("p", nil); tr.stands("p", nil) }},
		{words: "keys come in ascending order, once, and only those that stand", try: ascending},
		{words: "an error of emit ends Open, which returns it", try: emitFails},
		{words: "after an error of emit nothing is held open", try: nothingHeld},
		{words: "an Open with a context that has ended fails and holds nothing", try: openEnded},
	}
}

func ascending(tr *trial) {
	j := tr.open("p", nil)
	want := contents{}
	for i := range 200 {
		key := fmt.Sprintf("%c%d", rune('z'-i%26), i*7919%200)
		want[key] = "x"
		tr.append(j, put(key, "old"), put(key+"gone", "x"))
		tr.append(j, put(key, "x"), del(key+"gone"))
	}
	for _, key := range []string{"\x00", "\x00\x00", "\x01", "\xff", "\xff\x00", "\xff\xff", "\x7f", "\x80"} {
		want[key] = key
		tr.append(j, put(key, key))
	}
	tr.stands("p", want)
}

var errOfEmit = errors.New("journaltest: emit has had enough")

// failAt opens the partition with an emit that fails after n keys.
func (tr *trial) failAt(n int) error {
	tr.Helper()
	calls := 0
	j, err := tr.engine.Open(tr.ctx, "p", func(journal.Change) error {
		calls++
		if calls > n {
			return errOfEmit
		}
		return nil
	})
	if !assert.Error(tr, err, "Open") {
		tr.opened = append(tr.opened, j)
		return nil
	}
	assert.Nil(tr, j, "Open returned both an error and a journal")
	assert.Equal(tr, n+1, calls, "emit is not called again after its error")
	return err
}

func emitFails(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"), put("b", "2"), put("c", "3"))
	tr.reopen()
	for n := range 3 {
		require.ErrorIs(tr, tr.failAt(n), errOfEmit)
	}
}

func nothingHeld(tr *trial) {
	j := tr.open("p", nil)
	tr.append(j, put("a", "1"), put("b", "2"))
	tr.reopen()
	require.ErrorIs(tr, tr.failAt(1), errOfEmit)
	j = tr.open("p", contents{"a": "1", "b": "2"})
	tr.append(j, put("c", "3"))
	tr.reopen()
	require.ErrorIs(tr, tr.failAt(0), errOfEmit)
	tr.stands("p", contents{"a": "1", "b": "2", "c": "3"})
}

func openEnded(tr *trial) {
	tr.append(tr.open("p", nil), put("a", "1"))
	tr.reopen()
	j, err := tr.engine.Open(tr.endedCtx(), "p", func(journal.Change) error { return nil })
	if err == nil {
		tr.opened = append(tr.opened, j)
	}
	require.True(tr, isEnded(err), "Open returned %v", err)
	tr.open("p", contents{"a": "1"})
}
