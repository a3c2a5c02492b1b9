package journaltest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

// A limited engine keeps every promise of an engine with the smaller limits.
func TestLimited(t *testing.T) {
	journaltest.Run(t, journaltest.Factory{Open: func(testing.TB) journal.Engine {
		return journaltest.Limited(journaltest.NewEngine(), journal.Limits{KeyBytes: 60_000, ValueBytes: 200_000, BatchBytes: 1 << 20})
	}})
}

// besides is an engine whose journals compact beside their holder.
type besides struct{ journal.Engine }

type beside struct{ journal.Journal }

var errBeside = errors.New("compacted beside")

func (e besides) Open(ctx context.Context, partition string, emit func(journal.Change) error) (journal.Journal, error) {
	j, err := e.Engine.Open(ctx, partition, emit)
	return beside{j}, err
}

func (beside) CompactBeside(context.Context) error { return errBeside }

func nothing(journal.Change) error { return nil }

func TestLimitedLimits(t *testing.T) {
	one := journal.Limits{KeyBytes: 10, ValueBytes: 20, BatchBytes: 30}
	for _, c := range []struct{ inner, outer, want journal.Limits }{
		{journal.Limits{}, journal.Limits{}, journal.Limits{}},
		{journal.Limits{}, one, one},
		{one, journal.Limits{}, one},
		{one, journal.Limits{KeyBytes: 9, ValueBytes: 21, BatchBytes: 29}, journal.Limits{KeyBytes: 9, ValueBytes: 20, BatchBytes: 29}},
	} {
		inner := journaltest.NewEngine()
		inner.Limits = c.inner
		j, err := journaltest.Limited(inner, c.outer).Open(t.Context(), "p", nothing)
		require.NoError(t, err)
		assert.Equal(t, c.want, j.Limits())
		require.NoError(t, j.Close(t.Context()))
	}
}

// What is beyond a limit never reaches the engine.
func TestLimitedRefusesItself(t *testing.T) {
	inner := journaltest.NewFaulty(journaltest.NewEngine())
	j, err := journaltest.Limited(inner, journal.Limits{BatchBytes: 4}).Open(t.Context(), "p", nothing)
	require.NoError(t, err)
	for value, want := range map[string]error{"123": nil, "1234": journal.ErrRejected} {
		_, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{{Key: []byte("k"), Value: []byte(value)}}})
		require.ErrorIs(t, err, want, value)
	}
	assert.Equal(t, 1, inner.Counts().Appends)
	require.NoError(t, j.Close(t.Context()))
	assert.Zero(t, inner.Counts().Open)
}

func TestLimitedPassesCompactBesideThrough(t *testing.T) {
	memory := journaltest.NewEngine()
	j, err := journaltest.Limited(besides{memory}, journal.Limits{BatchBytes: 4}).Open(t.Context(), "p", nothing)
	require.NoError(t, err)
	require.ErrorIs(t, j.(journal.Beside).CompactBeside(t.Context()), errBeside)
	_, err = j.Append(t.Context(), journal.Batch{Changes: []journal.Change{{Value: make([]byte, 5)}}})
	require.ErrorIs(t, err, journal.ErrRejected)
	require.NoError(t, j.Close(t.Context()))

	j, err = journaltest.Limited(memory, journal.Limits{}).Open(t.Context(), "p", nothing)
	require.NoError(t, err)
	_, ok := j.(journal.Beside)
	require.False(t, ok, "the engine has none")
	require.NoError(t, j.Close(t.Context()))

	opening := errors.New("not opened")
	faulty := journaltest.NewFaulty(memory)
	faulty.NextOpen(journaltest.FailOpen(opening))
	j, err = journaltest.Limited(faulty, journal.Limits{}).Open(t.Context(), "p", nothing)
	require.ErrorIs(t, err, opening)
	require.Nil(t, j)
}
