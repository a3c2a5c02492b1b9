package promstats_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/promstats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(promstats.New(loop, prometheus.Labels{"store": "agents"}))

	if err := loop.PersistRuntimeState(context.Background(), "agent-1", store.RuntimeIdle); err != nil {
		panic(err)
	}
	for line := range strings.Lines(scrape(registry)) {
		if strings.HasPrefix(line, "loopstore_held_items") {
			fmt.Print(line)
		}
	}
	// Output:
	// loopstore_held_items{part="input_states",store="agents"} 0
	// loopstore_held_items{part="receipts",store="agents"} 0
	// loopstore_held_items{part="runtimes",store="agents"} 1
	// loopstore_held_items{part="snapshots",store="agents"} 0
}

// scrape returns what Prometheus gets.
func scrape(registry *prometheus.Registry) string {
	response := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(response, httptest.NewRequest("GET", "/metrics", nil))
	return response.Body.String()
}

// fixed are figures of no Loop.
type fixed loopstore.Stats

func (f fixed) Stats() loopstore.Stats { return loopstore.Stats(f) }

func TestEveryFigureIsScraped(t *testing.T) {
	figures := loopstore.Stats{
		Operations: map[ops.Kind]loopstore.Operations{ops.KindCommit: {Done: 3, Errors: 2, Conflicts: 6}, ops.KindFork: {Done: 4}, ops.KindLoadSessionAt: {Errors: 5}},
		Held: store.Totals{
			Runtimes: 1, InputStates: 2, Runs: 100, Receipts: 3, Snapshots: 4, Versions: 30, Sessions: 5,
			RuntimeBytes: 6, InputBytes: 7, ReceiptBytes: 8, SnapshotBytes: 9,
		},
		InboxSize: 10, InboxLength: 11, InboxHighest: 12, Waiting: 13, InFlight: 14,
		Busy: 15e9, Wait: 16e9, WaitP50: 17e9, WaitP99: 18e9, Saturation: 0.5,
		Slowest: &loopstore.Slow{Kind: ops.KindPrune, Took: 19e9},
		Serving: true, Uptime: 20e9, Limits: store.Limits{TotalBytes: 21},
		Journal: &loopstore.JournalStats{Appends: 22, Rejected: 23, Bytes: 24, Took: 25e9},
	}
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(promstats.New(fixed(figures), nil)))
	var got []string
	types := map[string]string{}
	for line := range strings.Lines(scrape(registry)) {
		line = strings.TrimSpace(line)
		if name, of, ok := strings.Cut(strings.TrimPrefix(line, "# TYPE "), " "); ok && strings.HasPrefix(line, "# TYPE") {
			types[name] = of
		}
		if !strings.HasPrefix(line, "#") {
			got = append(got, line)
		}
	}
	assert.ElementsMatch(t, []string{
		`loopstore_operations_done_total{operation="commit"} 3`,
		`loopstore_operation_errors_total{operation="commit"} 2`,
		`loopstore_operation_conflicts_total{operation="commit"} 6`,
		`loopstore_operations_done_total{operation="fork"} 4`,
		`loopstore_operation_errors_total{operation="fork"} 0`,
		`loopstore_operation_conflicts_total{operation="fork"} 0`,
		`loopstore_operations_done_total{operation="load_session_at"} 0`,
		`loopstore_operation_errors_total{operation="load_session_at"} 5`,
		`loopstore_operation_conflicts_total{operation="load_session_at"} 0`,
		`loopstore_held_items{part="runtimes"} 1`,
		`loopstore_held_items{part="input_states"} 2`,
		`loopstore_held_items{part="receipts"} 3`,
		`loopstore_held_items{part="snapshots"} 39`,
		`loopstore_held_versions 30`,
		`loopstore_held_bytes{part="runtimes"} 6`,
		`loopstore_held_bytes{part="input_states"} 7`,
		`loopstore_held_bytes{part="receipts"} 8`,
		`loopstore_held_bytes{part="snapshots"} 9`,
		`loopstore_inbox_size 10`,
		`loopstore_inbox_length 11`,
		`loopstore_inbox_highest 12`,
		`loopstore_callers_waiting 13`,
		`loopstore_in_flight_bytes 14`,
		`loopstore_owner_busy_seconds_total 15`,
		`loopstore_handoff_wait_seconds_total 16`,
		`loopstore_handoff_wait_p50_seconds 17`,
		`loopstore_handoff_wait_p99_seconds 18`,
		`loopstore_slowest_operation_seconds{operation="prune"} 19`,
		`loopstore_owner_saturation_ratio 0.5`,
		`loopstore_serving 1`,
		`loopstore_uptime_seconds 20`,
		`loopstore_held_limit_bytes 21`,
		"loopstore_journal_appends_total 22", "loopstore_journal_rejected_total 23",
		"loopstore_journal_bytes_total 24", "loopstore_journal_append_seconds_total 25",
	}, got)
	for name, of := range types {
		assert.Equal(t, strings.HasSuffix(name, "_total"), of == "counter", name)
	}

	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	assert.Empty(t, problems)
}
