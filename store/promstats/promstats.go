// Package promstats exports the figures of a loopstore.Loop as Prometheus metrics. It
// is a module of its own, so that only its users depend on Prometheus.
// loopstore.Stats says what the figures mean.
package promstats

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/loopstore/loopstore"
)

// A Source has figures to export. A *loopstore.Loop is one.
type Source interface{ Stats() loopstore.Stats }

// A Collector reads a Loop whenever it is scraped. New returns one.
type Collector struct {
	loop                                                      Source
	serving, uptime, most                                     *prometheus.Desc
	done, failed, conflicts, items, bytes, versions           *prometheus.Desc
	inbox, size, highest, waiting, inFlight                   *prometheus.Desc
	busy, waited, saturation, halfWaited, mostWaited, slowest *prometheus.Desc
	appends, rejected, journaled, appending                   *prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a collector to register. The labels tell this Loop from others.
func New(loop Source, labels prometheus.Labels) *Collector {
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("loopstore_"+name, help, variable, labels)
	}
	return &Collector{
		loop:       loop,
		serving:    desc("serving", "1 while the store serves; 0 once it is closed or has failed."),
		uptime:     desc("uptime_seconds", "Time since the store was started."),
		most:       desc("held_limit_bytes", "The limit of held_bytes, if there is one."),
		done:       desc("operations_done_total", "Operations that have succeeded.", "operation"),
		failed:     desc("operation_errors_total", "Calls that returned an error, and changed nothing.", "operation"),
		conflicts:  desc("operation_conflicts_total", "Calls that changed nothing, since a condition did not hold.", "operation"),
		items:      desc("held_items", "What is held.", "part"),
		bytes:      desc("held_bytes", "Approximate memory of what is held.", "part"),
		versions:   desc("held_versions", "Earlier versions of sessions, which held_items has among the snapshots."),
		inbox:      desc("inbox_length", "Requests waiting for the owner."),
		size:       desc("inbox_size", "Requests that the inbox has room for."),
		highest:    desc("inbox_highest", "The most requests that have waited for the owner at once."),
		waiting:    desc("callers_waiting", "Callers waiting for a place in the inbox, or for room in flight."),
		inFlight:   desc("in_flight_bytes", "Payload bytes of calls under way, if these are limited."),
		busy:       desc("owner_busy_seconds_total", "Estimated time that the owner has spent on operations."),
		waited:     desc("handoff_wait_seconds_total", "Estimated total time that operations have waited for the owner."),
		saturation: desc("owner_saturation_ratio", "Estimated share of the last ten seconds that the owner was busy."),
		halfWaited: desc("handoff_wait_p50_seconds", "Longest wait among the faster half of the recent operations, to a power of two."),
		mostWaited: desc("handoff_wait_p99_seconds", "Longest wait among the fastest 99 % of the recent operations, to a power of two."),
		slowest:    desc("slowest_operation_seconds", "Time that the slowest recent operation took of the owner.", "operation"),
		appends:    desc("journal_appends_total", "Batches that the journal has stored, if there is one."),
		rejected:   desc("journal_rejected_total", "Batches that the journal has rejected."),
		journaled:  desc("journal_bytes_total", "Bytes of the keys and values that the journal has stored."),
		appending:  desc("journal_append_seconds_total", "Time that appends to the journal have taken."),
	}
}

// Describe sends the descriptions of all metrics.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.serving, c.uptime, c.most, c.done, c.failed, c.conflicts, c.items, c.bytes, c.versions, c.inbox, c.size, c.highest, c.waiting, c.inFlight,
		c.busy, c.waited, c.saturation, c.halfWaited, c.mostWaited, c.slowest, c.appends, c.rejected, c.journaled, c.appending,
	} {
		descs <- d
	}
}

// Collect sends the current figures.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, of prometheus.ValueType, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, of, value, labels...)
	}
	s := c.loop.Stats()
	serving := 0.
	if s.Serving {
		serving = 1
	}
	send(c.serving, prometheus.GaugeValue, serving)
	send(c.uptime, prometheus.GaugeValue, s.Uptime.Seconds())
	if s.Limits.TotalBytes > 0 {
		send(c.most, prometheus.GaugeValue, float64(s.Limits.TotalBytes))
	}
	for kind, of := range s.Operations {
		send(c.done, prometheus.CounterValue, float64(of.Done), kind.String())
		send(c.failed, prometheus.CounterValue, float64(of.Errors), kind.String())
		send(c.conflicts, prometheus.CounterValue, float64(of.Conflicts), kind.String())
	}
	for _, p := range s.Held.Parts() {
		send(c.items, prometheus.GaugeValue, float64(p.Items), p.Name)
		send(c.bytes, prometheus.GaugeValue, float64(p.Bytes), p.Name)
	}
	send(c.versions, prometheus.GaugeValue, float64(s.Held.Versions))
	send(c.inbox, prometheus.GaugeValue, float64(s.InboxLength))
	send(c.size, prometheus.GaugeValue, float64(s.InboxSize))
	send(c.highest, prometheus.GaugeValue, float64(s.InboxHighest))
	send(c.waiting, prometheus.GaugeValue, float64(s.Waiting))
	send(c.inFlight, prometheus.GaugeValue, float64(s.InFlight))
	send(c.busy, prometheus.CounterValue, s.Busy.Seconds())
	send(c.waited, prometheus.CounterValue, s.Wait.Seconds())
	send(c.saturation, prometheus.GaugeValue, s.Saturation)
	send(c.halfWaited, prometheus.GaugeValue, s.WaitP50.Seconds())
	send(c.mostWaited, prometheus.GaugeValue, s.WaitP99.Seconds())
	if s.Slowest != nil {
		send(c.slowest, prometheus.GaugeValue, s.Slowest.Took.Seconds(), s.Slowest.Kind.String())
	}
	if j := s.Journal; j != nil {
		send(c.appends, prometheus.CounterValue, float64(j.Appends))
		send(c.rejected, prometheus.CounterValue, float64(j.Rejected))
		send(c.journaled, prometheus.CounterValue, float64(j.Bytes))
		send(c.appending, prometheus.CounterValue, j.Took.Seconds())
	}
}
