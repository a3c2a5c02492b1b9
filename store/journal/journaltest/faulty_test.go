package journaltest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

func put(key string) journal.Batch {
	return journal.Batch{Changes: []journal.Change{{Key: []byte(key), Value: []byte("1")}}}
}

func keys(all []journal.Change) (keys []string) {
	for _, c := range all {
		keys = append(keys, string(c.Key))
	}
	return keys
}

func ignore(journal.Change) error { return nil }

func open(t *testing.T, e journal.Engine) journal.Journal {
	t.Helper()
	j, err := e.Open(t.Context(), "p", ignore)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close(context.WithoutCancel(t.Context())) })
	return j
}

func TestFaults(t *testing.T) {
	for name, want := range map[string]struct {
		fault  journaltest.Fault
		is     error
		stored bool
		ends   bool
	}{
		"none":                      {journaltest.Fault{}, nil, true, false},
		"rejected":                  {journaltest.Reject(), journal.ErrRejected, false, false},
		"fenced":                    {journaltest.Fence(), journal.ErrFenced, false, true},
		"ambiguous, and stored":     {journaltest.Ambiguous(true), journal.ErrAmbiguous, true, true},
		"ambiguous, and not stored": {journaltest.Ambiguous(false), journal.ErrAmbiguous, false, true},
		"unknown, and stored":       {journaltest.Unknown(true), journaltest.ErrUnknown, true, true},
		"unknown, and not stored":   {journaltest.Unknown(false), journaltest.ErrUnknown, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			memory := journaltest.NewEngine()
			f := journaltest.NewFaulty(memory)
			j := open(t, f)
			f.Next(journaltest.Fault{}, want.fault)
			_, err := j.Append(t.Context(), put("first"))
			require.NoError(t, err)
			_, err = j.Append(t.Context(), put("second"))
			require.ErrorIs(t, err, want.is)
			_, err = j.Append(t.Context(), put("third"))
			stands := []string{"first"}
			if want.stored {
				stands = append(stands, "second")
			}
			counts := journaltest.Counts{Opens: 1, Appends: 3, Stored: len(stands), Open: 1}
			if want.is != nil {
				counts.Failed++
			}
			if want.ends {
				require.ErrorIs(t, err, want.is, "it is of no use any more")
				counts.Appends, counts.Late = 2, 1
			} else {
				require.NoError(t, err)
				stands = append(stands, "third")
				counts.Stored++
			}
			assert.Equal(t, stands, keys(memory.Standing("p")))
			assert.Equal(t, counts, f.Counts())
			assert.EqualValues(t, counts.Stored, memory.Position("p").Index)
		})
	}
}

func TestScript(t *testing.T) {
	memory := journaltest.NewEngine()
	f := journaltest.NewFaulty(memory)
	j := open(t, f)
	f.Script(func(n int, b journal.Batch) journaltest.Fault {
		if n%2 == 1 || string(b.Changes[0].Key) == "bad" {
			return journaltest.Reject()
		}
		return journaltest.Fault{}
	})
	for i, key := range []string{"a", "b", "bad", "c", "d"} {
		_, err := j.Append(t.Context(), put(key))
		assert.Equal(t, i == 0 || i == 4, err == nil, key)
	}
	f.Script(nil)
	_, err := j.Append(t.Context(), put("bad"))
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "bad", "d"}, keys(memory.Standing("p")))
}

func TestLatencyInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := journaltest.NewFaulty(journaltest.NewEngine())
		j := open(t, f)
		var calls []string
		note := func(what string) func(context.Context) {
			return func(context.Context) { calls = append(calls, what) }
		}
		fault := journaltest.Late(time.Hour).Then(note("before"))
		fault.After = note("after")
		release := make(chan struct{})
		f.Next(fault, journaltest.Held(release), journaltest.Held(nil))
		start := time.Now()
		_, err := j.Append(t.Context(), put("a"))
		require.NoError(t, err)
		assert.Equal(t, time.Hour, time.Since(start))
		assert.Equal(t, []string{"before", "after"}, calls)

		time.AfterFunc(time.Minute, func() { close(release) })
		_, err = j.Append(t.Context(), put("b"))
		require.NoError(t, err)
		assert.Equal(t, time.Hour+time.Minute, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = j.Append(ctx, put("c"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestOpenFaults(t *testing.T) {
	memory := journaltest.NewEngine()
	f := journaltest.NewFaulty(memory)
	j := open(t, f)
	for _, key := range []string{"a", "b", "c"} {
		_, err := j.Append(t.Context(), put(key))
		require.NoError(t, err)
	}
	require.NoError(t, j.Close(t.Context()))
	for name, want := range map[string]struct {
		fault journaltest.OpenFault
		is    error
		seen  []string
	}{
		"it fails at once":         {journaltest.FailOpen(journal.ErrInUse), journal.ErrInUse, nil},
		"it is corrupt":            {journaltest.Corrupt(2), journal.ErrCorrupt, []string{"a", "b"}},
		"it is corrupt at its end": {journaltest.Corrupt(9), journal.ErrCorrupt, []string{"a", "b", "c"}},
		"it is cut short":          {journaltest.CutShort(1), nil, []string{"a"}},
		"nothing":                  {journaltest.OpenFault{}, nil, []string{"a", "b", "c"}},
	} {
		f.NextOpen(want.fault)
		var seen []string
		j, err := f.Open(t.Context(), "p", func(c journal.Change) error {
			seen = append(seen, string(c.Key))
			return nil
		})
		require.ErrorIs(t, err, want.is, name)
		require.Equal(t, err == nil, j != nil, name)
		assert.Equal(t, want.seen, seen, name)
		if err == nil {
			require.NoError(t, j.Close(t.Context()))
		}
	}
	assert.Equal(t, 3, f.Counts().FailedOpens)
	assert.Zero(t, f.Counts().Open)
}

func TestOtherFaults(t *testing.T) {
	f := journaltest.NewFaulty(journaltest.NewEngine())
	j := open(t, f)
	select {
	case <-j.Fenced():
		t.Error("it is not fenced")
	default:
	}
	f.NoticeFence()
	f.NoticeFence()
	<-j.Fenced()
	_, err := j.Append(t.Context(), put("a"))
	require.NoError(t, err, "it is only a hint")

	f.NextCompact(journaltest.ErrUnknown, nil)
	require.ErrorIs(t, j.Compact(t.Context(), nil), journaltest.ErrUnknown)
	require.NoError(t, j.Compact(t.Context(), nil))

	f.NextClose(journaltest.ErrUnknown)
	require.ErrorIs(t, j.Close(t.Context()), journaltest.ErrUnknown)
	require.NoError(t, j.Close(t.Context()))
	require.ErrorIs(t, j.Compact(t.Context(), nil), journaltest.ErrClosed)
	assert.Equal(t, 3, f.Counts().Compacts)
	assert.Equal(t, 2, f.Counts().Closes)
}

func TestMemoryNoticesFencing(t *testing.T) {
	e := journaltest.NewEngine()
	first := open(t, e)
	second := open(t, e)
	<-first.Fenced()
	select {
	case <-second.Fenced():
		t.Error("it is not fenced")
	default:
	}
	require.ErrorIs(t, first.Compact(t.Context(), nil), journal.ErrFenced)
}
