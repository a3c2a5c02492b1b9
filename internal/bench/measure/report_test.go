package measure_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/internal/bench/measure"
)

// result returns one whose rounds took so long.
func result(cell, subject string, allocs float64, ns ...float64) measure.Result {
	r := measure.Result{Cell: cell, Subject: subject}
	for _, n := range ns {
		r.Samples = append(r.Samples, measure.Sample{Calls: 1000, Values: []measure.Value{{measure.Time, n}, {measure.Bytes, 16 * allocs}, {measure.Allocs, allocs}}})
	}
	return r
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		rounds []float64
		want   float64
	}{{[]float64{5}, 5}, {[]float64{9, 1}, 5}, {[]float64{7, 1, 9}, 7}, {[]float64{4, 100, 2, 6}, 5}, {[]float64{5, 4, 3, 2, 1}, 3}} {
		r := result("x", "y", 3, c.rounds...)
		median, ok := r.Median(measure.Time)
		require.True(t, ok)
		require.InDelta(t, c.want, median, 0)
	}
	r := result("x", "y", 3, 1)
	_, ok := r.Median("p50-ns/op")
	require.False(t, ok)
	r = result("x", "y", 3)
	_, ok = r.Median(measure.Time)
	require.False(t, ok)
}

func latency(subject string, mean, p50, max float64) measure.Result {
	return measure.Result{Cell: "read_while_committing/session=1MB", Subject: subject, Samples: []measure.Sample{{Calls: 7, Values: []measure.Value{
		{measure.Time, mean}, {"p50-ns/op", p50}, {"max-ns/op", max},
	}}}}
}

func how(r measure.Result, how string) measure.Result {
	r.How = how
	return r
}

func fakeReport() *measure.Report {
	return &measure.Report{
		Machine: measure.Machine{
			CPU: "Fast 1", GOOS: "linux", GOARCH: "amd64", Go: "go1.26", GOMAXPROCS: 2, Began: time.Date(2026, 11, 25, 9, 5, 0, 0, time.UTC),
		},
		Subjects: []string{"loop", "a mutex"},
		Results: []measure.Result{
			result("hand_off/callers=1", "bare hand-off", 0, 400, 500, 300),
			result("hand_off/callers=8", "bare hand-off", 0),
			result("operation=small/callers=1", "loop", 0, 440, 440, 9999),
			result("operation=small/callers=1", "a mutex", 1.24, 44.4),
			result("operation=small/callers=8", "loop", 0, 440),
			result("operation=small/callers=8", "a mutex", 1, 39),
			result("operation=large/callers=1", "loop", 12, 4001),
			result("operation=large/callers=1", "a mutex", 14, 2.5e6),
			latency("loop", 5e3, 3e3, 60e3), latency("a mutex", 2e3, 1e3, 2.4e9),
			how(result("batch/writes=64", "loop", 1, 50e3), "by Commit"),
			how(result("batch/writes=64", "a mutex", 64, 25e3), "one call after another"),
			how(result("reader/callers=1", "loop", 0, 2.34), "by its reader"),
			how(result("reader/callers=1", "a mutex", 0, 70), "by LoadRuntimeState"),
			how(result("reader/callers=8", "loop", 0, 2), "by its reader"),
			how(result("reader/callers=8", "a mutex", 0), ""),
		},
	}
}

func TestTable(t *testing.T) {
	const want = `Fast 1, linux/amd64, go1.26, GOMAXPROCS 2, 2026-11-25 09:05

time per operation                    loop  allocs  a mutex   ratio  allocs  in hand-offs

hand_off/callers=1                                                             1 = 400 ns
hand_off/callers=8                                                                      -

operation=small/callers=1           440 ns       0  44.4 ns   0.10x       1          1.10
operation=small/callers=8           440 ns       0  39.0 ns  0.089x       1
operation=large/callers=1          4.00 µs      12  2.50 ms    625x      14

read_while_committing/session=1MB  5.00 µs          2.00 µs   0.40x
  p50                              3.00 µs          1.00 µs   0.33x
  max                              60.0 µs           2.40 s  40000x

batch/writes=64                    50.0 µs       1  25.0 µs   0.50x      64

reader/callers=1                   2.34 ns       0  70.0 ns   29.9x       0        0.0058
reader/callers=8                   2.00 ns       0        -

batch by Commit: loop
batch one call after another: a mutex
reader by its reader: loop
reader by LoadRuntimeState: a mutex
`
	var table strings.Builder
	require.NoError(t, fakeReport().WriteTable(&table))
	require.Equal(t, want, table.String())
}

func TestTableOfLittle(t *testing.T) {
	r := &measure.Report{Machine: measure.Machine{Go: "go1.26"}, Subjects: []string{"a"}, Results: []measure.Result{result("operation=x/callers=1", "a", 0)}}
	var table strings.Builder
	require.NoError(t, r.WriteTable(&table))
	require.Contains(t, table.String(), "\noperation=x/callers=1  -\n")
}

func TestBenchstatReadsALineForEachRound(t *testing.T) {
	r := fakeReport()
	var text strings.Builder
	require.NoError(t, r.WriteBenchstat(&text))
	lines := strings.Split(text.String(), "\n")
	require.Equal(t, []string{
		"goos: linux", "goarch: amd64", "go: go1.26", "cpu: Fast 1",
		"BenchmarkStore/hand_off/callers=1/subject=bare_hand-off-2\t1000\t400.0 ns/op\t0 B/op\t0 allocs/op",
		"BenchmarkStore/hand_off/callers=1/subject=bare_hand-off-2\t1000\t500.0 ns/op\t0 B/op\t0 allocs/op",
		"BenchmarkStore/hand_off/callers=1/subject=bare_hand-off-2\t1000\t300.0 ns/op\t0 B/op\t0 allocs/op",
		"BenchmarkStore/operation=small/callers=1/subject=loop-2\t1000\t440.0 ns/op\t0 B/op\t0 allocs/op",
	}, lines[:8])
	require.Contains(t, lines, "BenchmarkStore/read_while_committing/session=1MB/subject=a_mutex-2\t7\t2000 ns/op\t1000 p50-ns/op\t2400000000 max-ns/op")
	require.Contains(t, lines, "BenchmarkStore/operation=small/callers=1/subject=a_mutex-2\t1000\t44.4 ns/op\t19 B/op\t1 allocs/op", "rounded down")
	require.Contains(t, lines, "BenchmarkStore/reader/callers=1/subject=loop-2\t1000\t2.34 ns/op\t0 B/op\t0 allocs/op")

	r.Machine.GOMAXPROCS, r.Machine.CPU = 1, ""
	text.Reset()
	require.NoError(t, r.WriteBenchstat(&text))
	require.Contains(t, text.String(), "/subject=loop\t")
	require.NotContains(t, text.String(), "cpu:")
}

// A full writer has no room.
type full struct{}

var errFull = errors.New("full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWritersErrorsAreReturned(t *testing.T) {
	require.ErrorIs(t, fakeReport().WriteTable(full{}), errFull)
	require.ErrorIs(t, fakeReport().WriteBenchstat(full{}), errFull)
}

func TestReportsAreJSON(t *testing.T) {
	text, err := json.Marshal(fakeReport())
	require.NoError(t, err)
	var back measure.Report
	require.NoError(t, json.Unmarshal(text, &back))
	require.Len(t, back.Results, len(fakeReport().Results))
	require.Contains(t, string(text), `{"cell":"reader/callers=1","subject":"loop","how":"by its reader","samples":[{"calls":1000,"values":[{"unit":"ns/op","amount":2.34}`)
}
