package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/cluster"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

func TestOptionsAreChecked(t *testing.T) {
	c := newCrew(t, 1)
	for option, change := range map[string]func(*cluster.Options){
		"Cluster: ":    func(o *cluster.Options) { o.Cluster = "" },
		"Cluster:":     func(o *cluster.Options) { o.Cluster = "a/b" },
		"Partitions: ": func(o *cluster.Options) { o.Partitions = 0 },
		"Partitions:":  func(o *cluster.Options) { o.Partitions = cluster.MaxPartitions + 1 },
		"Self: ":       func(o *cluster.Options) { o.Self.Name = "" },
		"Self:":        func(o *cluster.Options) { o.Self.Address = "\xff" },
		"Engine:":      func(o *cluster.Options) { o.Engine = nil },
		"Directory: ":  func(o *cluster.Options) { o.Directory = nil },
		"Directory:":   func(o *cluster.Options) { o.Assign = func(int) cluster.Member { return o.Self } },
	} {
		opts, _ := c.options("a")
		change(&opts)
		_, err := cluster.Join(t.Context(), opts)
		require.ErrorIs(t, err, cluster.ErrOptions, option)
		assert.ErrorContains(t, err, option)
	}
}

func TestPartitionCountIsRecordedWithTheData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 8)
		c.join("a")
		require.NoError(t, c.members["a"].Close())
		before := c.memory.Standing("c/about")
		require.Len(t, before, 1)
		assert.Equal(t, `cluster {"version":1,"cluster":"c","partitions":8}`, fmt.Sprintf("%s %s", before[0].Key, before[0].Value))

		opts, _ := c.options("b")
		opts.Partitions, opts.Directory = 16, cluster.NewDirectory()
		_, err := cluster.Join(t.Context(), opts)
		require.ErrorIs(t, err, cluster.ErrPartitionCount)
		assert.ErrorContains(t, err, `"c" has 8, and Options say 16`)
		assert.Equal(t, before, c.memory.Standing("c/about"))

		opts.Cluster = "another"
		n, err := cluster.Join(t.Context(), opts)
		require.NoError(t, err)
		require.NoError(t, n.Close())
		assert.EqualValues(t, 1, c.memory.Position("c/about").Index, "it is written once")
	})
}

func TestManyJoinAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 16)
		gate := journaltest.NewFaulty(c.memory)
		c.engine = gate
		gate.Next(journaltest.Late(time.Second), journaltest.Unknown(true), journaltest.Ambiguous(false))
		gate.NextOpen(journaltest.OpenFault{}, journaltest.FailOpen(journal.ErrInUse))
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				opts, l := c.options(fmt.Sprint(i))
				l.far.Store(true)
				n, err := cluster.Join(context.WithoutCancel(t.Context()), opts)
				if assert.NoError(t, err) {
					mu.Lock()
					defer mu.Unlock()
					c.members[fmt.Sprint(i)] = &hand{n, l}
				}
			})
		}
		wg.Wait()
		assert.Len(t, c.memory.Standing("c/about"), 1)
		time.Sleep(10 * lease)
		c.balanced()
		assert.Positive(t, c.directory.refused, "they met")
	})
}

func TestWhatTheEngineSaysEndsJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		faulty := journaltest.NewFaulty(c.memory)
		c.engine = faulty
		opts, _ := c.options("a")
		for name, tell := range map[string]struct {
			is   error
			told func()
		}{
			"corrupt":   {journal.ErrCorrupt, func() { faulty.NextOpen(journaltest.FailOpen(journal.ErrCorrupt)) }},
			"rejected":  {journal.ErrRejected, func() { faulty.Next(journaltest.Reject()) }},
			"not close": {journaltest.ErrUnknown, func() { faulty.NextClose(journaltest.ErrUnknown) }},
		} {
			tell.told()
			opts.Cluster = name
			_, err := cluster.Join(t.Context(), opts)
			require.ErrorIs(t, err, tell.is, name)
			assert.Zero(t, faulty.Counts().Open)
		}
		for range 1000 {
			faulty.NextOpen(journaltest.FailOpen(journal.ErrInUse))
		}
		began := time.Now()
		_, err := cluster.Join(t.Context(), opts)
		require.ErrorIs(t, err, journal.ErrInUse)
		assert.GreaterOrEqual(t, time.Since(began), lease, "it was tried for a lease")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = cluster.Join(ctx, opts)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, journal.ErrInUse)
	})
}

func TestAboutThatCannotBeRead(t *testing.T) {
	for value, is := range map[string]error{
		`{"version":2,"more":[]}`:        journal.ErrNewerFormat,
		`{"version":1,"partitions":0}`:   journal.ErrCorrupt,
		`{"version":0,"partitions":2}`:   journal.ErrCorrupt,
		`{"version":1,"partitions":"2"}`: journal.ErrCorrupt,
		`hello`:                          journal.ErrCorrupt,

		`{"version":1,"cluster":"C","partitions":2}`: cluster.ErrOptions, // an engine that folds case
		`{"version":1,"partitions":2}`:               nil,                // an earlier version's
	} {
		c := newCrew(t, 2)
		j, err := c.memory.Open(t.Context(), "c/about", func(journal.Change) error { return nil })
		require.NoError(t, err)
		_, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{{Key: []byte("cluster"), Value: []byte(value)}}})
		require.NoError(t, err)
		require.NoError(t, j.Close(t.Context()))
		opts, _ := c.options("a")
		n, err := cluster.Join(t.Context(), opts)
		require.ErrorIs(t, err, is, value)
		if err == nil {
			require.NoError(t, n.Close())
		}
	}
}

func TestDirectoryThatFailsEndsJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrew(t, 2)
		opts, l := c.options("a")
		l.cut()
		_, err := cluster.Join(t.Context(), opts)
		require.ErrorIs(t, err, errCut)
		l.mend()

		l.hang.Store(true)
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCut)
		defer cancel()
		_, err = cluster.Join(ctx, opts)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, errCut, "the cause")
		l.mend()

		l.deaf.Store(true)
		_, err = cluster.Join(t.Context(), opts)
		require.ErrorIs(t, err, errCut)
		assert.Empty(t, c.directory.standing().Members, "what was written, though nobody knew, was taken back")
	})
}

// What cannot be read is never replaced.
func TestForeignDocumentIsLeftAlone(t *testing.T) {
	for name, text := range map[string]string{
		"a newer version": `{"version":7,"all":"is different"}`, "garbage": `what?`, "another cluster": `{"version":1,"cluster":"x","members":[],"owners":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrew(t, 2)
				ok, err := c.directory.Write(t.Context(), []byte(text), 0)
				require.True(t, ok, err)
				opts, _ := c.options("a")
				_, err = cluster.Join(t.Context(), opts)
				require.ErrorIs(t, err, cluster.ErrDocument)

				c.directory.Directory = cluster.NewDirectory()
				c.join("a")
				time.Sleep(time.Second)
				_, revision, err := c.directory.Read(t.Context())
				require.NoError(t, err)
				ok, err = c.directory.Write(t.Context(), []byte(text), revision)
				require.True(t, ok, err)
				time.Sleep(3 * lease)
				a := c.members["a"]
				assert.ErrorIs(t, a.Status().Directory, cluster.ErrDocument)
				assert.True(t, a.Status().Lapsed)
				found, _, err := c.directory.Read(t.Context())
				require.NoError(t, err)
				assert.Equal(t, text, string(found))
				require.ErrorIs(t, a.Close(), cluster.ErrDocument)
				require.ErrorIs(t, a.Close(), cluster.ErrDocument, "it says so again")
			})
		})
	}
}
