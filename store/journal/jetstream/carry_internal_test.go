package jetstream

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// formerOne makes a journal in the first format with n values of a size, one server.
func formerOne(t *testing.T, conn *nats.Conn, name string, n, size int) map[string][]byte {
	t.Helper()
	client, err := js.New(conn)
	require.NoError(t, err)
	_, err = client.CreateStream(t.Context(), js.StreamConfig{
		Name: name, Description: description, Subjects: []string{name + ".record"},
		Discard: js.DiscardNew, Storage: js.FileStorage, Replicas: 1,
		DenyDelete: true, AllowDirect: true, AllowAtomicPublish: true,
	})
	require.NoError(t, err)
	var previous digest
	seq := uint64(0)
	values := map[string][]byte{}
	add := func(r entry) {
		r.parts, r.horizon, r.previous = 1, 1, previous
		data := formerEncode(r)
		previous = sha256.Sum256(data)
		_, err := client.Publish(t.Context(), name+".record", data, js.WithExpectLastSequence(seq))
		require.NoError(t, err)
		seq++
	}
	add(entry{kind: kindEpoch, position: journal.Position{Epoch: 1}})
	for i := range n {
		c := putOf(fmt.Sprintf("key %03d", i), size)
		values[string(c.Key)] = c.Value
		add(entry{kind: kindBatch, position: journal.Position{Epoch: 1, Index: uint64(i + 1)}, id: newID(), body: encodeChanges([]journal.Change{c})})
	}
	return values
}

// A Carry that is refused, because the partition has a journal, leaves the old one alone.
func TestARefusedCarryHarmsNothing(t *testing.T) {
	conn := oneServer(t)
	e := newOne(t, conn, Options{Prefix: "pre"})
	p, _ := openOne(t, e, "p")
	appendTo(t, p, putOf("k", 1))
	formerOne(t, conn, "other-p", 5, 10)
	require.ErrorContains(t, e.Carry(t.Context(), "other-p", "p"), "nothing was carried over")
	client, err := js.New(conn)
	require.NoError(t, err)
	former, err := client.Stream(t.Context(), "other-p")
	require.NoError(t, err)
	require.False(t, former.CachedInfo().Config.Sealed, "it is sealed for ever")
}

// Two members call Carry at the same time, open and append.
func TestOfTwoCarriesOneEnds(t *testing.T) {
	conn := oneServer(t)
	for round := range 6 {
		prefix := fmt.Sprint("cc", round)
		want := formerOne(t, conn, prefix+"-p", 20, 300<<10)
		var all sync.WaitGroup
		errs := make([]error, 2)
		for n := range errs {
			all.Go(func() {
				e := newOne(t, conn, Options{Prefix: prefix, Patience: 2 * time.Second, Timeout: 500 * time.Millisecond})
				time.Sleep(time.Duration(n*round) * 10 * time.Millisecond)
				errs[n] = e.Carry(t.Context(), prefix+"-p", "p")
			})
		}
		all.Wait()
		e := newOne(t, conn, Options{Prefix: prefix})
		if errs[0] != nil && errs[1] != nil {
			t.Log(round, "both failed:", errs)
			require.NoError(t, e.Carry(t.Context(), prefix+"-p", "p"))
		}
		_, got := openOne(t, e, "p")
		same(t, want, got)
		require.NoError(t, e.js.DeleteStream(t.Context(), prefix+"=p"))
		require.NoError(t, e.js.DeleteStream(t.Context(), prefix+"-p"))
	}
}

// A stream that the operator made beforehand, with a limit, is used by Carry.
func TestCarryKeepsAStreamMadeBeforehand(t *testing.T) {
	conn := oneServer(t)
	e := newOne(t, conn, Options{Prefix: "pre"})
	require.NoError(t, e.settle(t.Context()))
	formerOne(t, conn, "pre-p", 5, 10)
	small(t, e, 64<<20)
	require.NoError(t, e.Carry(t.Context(), "pre-p", "p"))
	p, _ := openOne(t, e, "p")
	require.EqualValues(t, 64<<20, p.stream.CachedInfo().Config.MaxBytes)
}

// 5. The answer to sealing is lost: Carry should go on.
type sealer struct {
	js.JetStream
	lose atomic.Bool
}

func (s *sealer) UpdateStream(ctx context.Context, c js.StreamConfig) (js.Stream, error) {
	stream, err := s.JetStream.UpdateStream(ctx, c)
	if s.lose.Swap(false) {
		return nil, errors.Join(err, context.DeadlineExceeded)
	}
	return stream, err
}

func TestCarryWhoseSealingIsNotAnswered(t *testing.T) {
	conn := oneServer(t)
	e := newOne(t, conn, Options{Prefix: "pre", Patience: 3 * time.Second})
	formerOne(t, conn, "pre-p", 5, 10)
	require.NoError(t, e.settle(t.Context()))
	s := &sealer{JetStream: e.js}
	s.lose.Store(true)
	e.js = s
	require.NoError(t, e.Carry(t.Context(), "pre-p", "p"))
}
