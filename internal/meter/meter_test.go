package meter

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
)

// Of the uses of a request one in 64 is timed, from a random one on, and stands
// for all of them.
func TestSample(t *testing.T) {
	m := New(false)
	firsts := map[int]bool{}
	for range 100 {
		s := SampleOf(ops.KindLoadRuntimeState)
		timed, standFor := 0, 0
		for i := range 10 * sampling {
			if m.Next(&s) {
				if timed++; timed == 1 {
					firsts[i] = true
				}
			}
			standFor += int(s.standsFor)
		}
		require.Equal(t, 10, timed)
		require.Equal(t, 10*sampling, standFor)
	}
	assert.Greater(t, len(firsts), sampling/2, "so that new requests are not all timed, or none of them")
}

// A sample counts for all that it stands for.
func TestSamplesHaveTheirWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(false)
		sampled := Sample{Kind: ops.KindLoadView, standsFor: sampling}
		when := Timing{Sent: m.Now()}
		time.Sleep(time.Millisecond)
		m.Begin(&when, sampled)
		time.Sleep(2 * time.Millisecond)
		m.End(&when, sampled)
		r := m.Read(false)
		assert.EqualValues(t, 1, r.Timed)
		assert.Equal(t, sampling*time.Millisecond, r.Wait)
		assert.Equal(t, 2*sampling*time.Millisecond, r.Busy)
		assert.Equal(t, 2*time.Millisecond, r.Slowest.Took)
	})
}

func TestQuantiles(t *testing.T) {
	var w waits
	assert.Zero(t, w.quantile(50))
	for wait, n := range map[time.Duration]uint64{0: 50, 100: 49, time.Hour: 1} {
		w[classOf(wait)] += n
	}
	assert.EqualValues(t, 1, w.quantile(50))
	assert.EqualValues(t, 128, w.quantile(51))
	assert.EqualValues(t, 128, w.quantile(99))
	assert.EqualValues(t, int64(1<<39), w.quantile(100), "the last class has no end")
}

func TestEveryTotalIsShown(t *testing.T) {
	var held store.Totals
	fields := reflect.ValueOf(&held).Elem()
	for i := range fields.NumField() {
		fields.Field(i).SetInt(int64(i + 1))
	}
	m := New(false)
	m.Publish(1, held)
	assert.Equal(t, held, m.Read(false).Held)
}
