package otelstats_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/otelstats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func Example() {
	ctx := context.Background()
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()

	reader := metric.NewManualReader() // or one that exports
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	defer func() { _ = provider.Shutdown(ctx) }()
	registration, err := otelstats.Register(provider.Meter("agents"), loop, attribute.String("db.namespace", "agents"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = registration.Unregister() }()

	if err := loop.PersistRuntimeState(ctx, "agent-1", store.RuntimeIdle); err != nil {
		panic(err)
	}
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &collected); err != nil {
		panic(err)
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		if m.Name == "loopstore.inbox.limit" {
			fmt.Println(m.Name, m.Data.(metricdata.Sum[int64]).DataPoints[0].Value, m.Unit)
		}
	}
	// Output:
	// loopstore.inbox.limit 128 {request}
}

// fixed are figures of no Loop.
type fixed loopstore.Stats

func (f fixed) Stats() loopstore.Stats { return loopstore.Stats(f) }

func TestEveryFigureIsCollected(t *testing.T) {
	loop := loopstore.New(loopstore.Options{})
	defer loop.Close()
	figures := loop.Stats() // with all kinds of operations
	for kind := range figures.Operations {
		figures.Operations[kind] = loopstore.Operations{Done: 3, Errors: 2}
	}
	figures.Held = store.Totals{
		Runtimes: 1, InputStates: 2, Runs: 100, Receipts: 3, Snapshots: 4, Versions: 30, Sessions: 5,
		RuntimeBytes: 6, InputBytes: 7, ReceiptBytes: 8, SnapshotBytes: 9,
	}
	figures.InboxSize, figures.InboxLength, figures.InboxHighest, figures.Waiting, figures.InFlight = 10, 11, 12, 13, 14
	figures.Busy, figures.Wait, figures.WaitP50, figures.WaitP99 = 15e9, 16e9, 17e9, 18e9
	figures.Uptime, figures.Limits.TotalBytes = 20e9, 21
	figures.Saturation, figures.Slowest = 0.5, &loopstore.Slow{Took: 19e9}
	figures.Journal = &loopstore.JournalStats{Appends: 22, Rejected: 23, Bytes: 24, Took: 25e9}

	got := collect(t, fixed(figures))
	operations := map[string]string{}
	for name, value := range got {
		if value == "3" && len(name) > len("loopstore.operations") && name[:20] == "loopstore.operations" {
			operations[name] = value
		}
	}
	assert.Len(t, operations, len(figures.Operations))
	for _, kind := range []ops.Kind{ops.KindFork, ops.KindLoadSessionAt} {
		assert.Contains(t, operations, "loopstore.operations{db.namespace=x,db.operation.name="+kind.String()+"} {operation}")
	}
	assert.Equal(t, "2", got["loopstore.operations{db.namespace=x,db.operation.name=load_view,error.type=_OTHER} {operation}"])
	maps.DeleteFunc(got, func(name, _ string) bool { return name[:20] == "loopstore.operations" })
	assert.Equal(t, map[string]string{
		"loopstore.held.items{db.namespace=x,loopstore.part=runtimes} {item}":                     "1",
		"loopstore.held.items{db.namespace=x,loopstore.part=input_states} {item}":                 "2",
		"loopstore.held.items{db.namespace=x,loopstore.part=receipts} {item}":                     "3",
		"loopstore.held.items{db.namespace=x,loopstore.part=snapshots} {item}":                    "39",
		"loopstore.held.versions{db.namespace=x} {version}":                                       "30",
		"loopstore.held.size{db.namespace=x,loopstore.part=runtimes} By":                          "6",
		"loopstore.held.size{db.namespace=x,loopstore.part=input_states} By":                      "7",
		"loopstore.held.size{db.namespace=x,loopstore.part=receipts} By":                          "8",
		"loopstore.held.size{db.namespace=x,loopstore.part=snapshots} By":                         "9",
		"loopstore.inbox.limit{db.namespace=x} {request}":                                         "10",
		"loopstore.inbox.length{db.namespace=x} {request}":                                        "11",
		"loopstore.inbox.highest{db.namespace=x} {request}":                                       "12",
		"loopstore.callers.waiting{db.namespace=x} {caller}":                                      "13",
		"loopstore.in_flight.size{db.namespace=x} By":                                             "14",
		"loopstore.owner.busy_time{db.namespace=x} s":                                             "15",
		"loopstore.handoff.wait_time{db.namespace=x} s":                                           "16",
		"loopstore.handoff.wait{db.namespace=x,quantile=0.5} s":                                   "17",
		"loopstore.handoff.wait{db.namespace=x,quantile=0.99} s":                                  "18",
		"loopstore.serving{db.namespace=x} 1":                                                     "1",
		"loopstore.uptime{db.namespace=x} s":                                                      "20",
		"loopstore.held.limit{db.namespace=x} By":                                                 "21",
		"loopstore.journal.appends{db.namespace=x} {batch}":                                       "22",
		"loopstore.journal.rejected{db.namespace=x} {batch}":                                      "23",
		"loopstore.journal.io{db.namespace=x} By":                                                 "24",
		"loopstore.journal.append_time{db.namespace=x} s":                                         "25",
		"loopstore.owner.utilization{db.namespace=x} 1":                                           "0.5",
		"loopstore.operation.slowest{db.namespace=x,db.operation.name=commit_session_boundary} s": "19",
	}, got)

	figures.Slowest = nil
	assert.NotContains(t, slices.Collect(maps.Keys(collect(t, fixed(figures)))), "loopstore.operation.slowest{db.namespace=x,db.operation.name=commit_session_boundary} s")
}

// collect returns what a reader gets: name, attributes and unit, and the value.
func collect(t *testing.T, source otelstats.Source) map[string]string {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	defer func() { require.NoError(t, provider.Shutdown(context.WithoutCancel(t.Context()))) }()
	registration, err := otelstats.Register(provider.Meter("test"), source, attribute.String("db.namespace", "x"))
	require.NoError(t, err)
	var collected metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &collected))
	all := map[string]string{}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		note := func(set attribute.Set, value any) {
			all[fmt.Sprintf("%s{%s} %s", m.Name, set.Encoded(attribute.DefaultEncoder()), m.Unit)] = fmt.Sprint(value)
		}
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			assert.Equal(t, m.Name == "loopstore.operations" || strings.HasPrefix(m.Name, "loopstore.journal"), d.IsMonotonic, m.Name)
			for _, p := range d.DataPoints {
				note(p.Attributes, p.Value)
			}
		case metricdata.Sum[float64]:
			assert.True(t, d.IsMonotonic, m.Name)
			for _, p := range d.DataPoints {
				note(p.Attributes, p.Value)
			}
		case metricdata.Gauge[float64]:
			for _, p := range d.DataPoints {
				note(p.Attributes, p.Value)
			}
		default:
			t.Errorf("%s is a %T", m.Name, d)
		}
		assert.NotEmpty(t, m.Description)
	}
	require.NoError(t, registration.Unregister())
	var after metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &after))
	assert.Empty(t, after.ScopeMetrics, "no longer")
	return all
}
