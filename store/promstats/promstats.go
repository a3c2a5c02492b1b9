// Package promstats shows the figures of a loopstore.Loop as Prometheus
// metrics. It is a module of its own, so that only those who use it need
// Prometheus. What the figures mean is said at loopstore.Stats.
package promstats

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/loopstore/loopstore"
)

// A Source has figures to show, as a *loopstore.Loop does.
type Source interface{ Stats() loopstore.Stats }

// A Collector shows a Loop whenever it is scraped. New makes one.
type Collector struct {
	loop                                                      Source
	serving, uptime, most                                     *prometheus.Desc
	done, failed, items, bytes                                *prometheus.Desc
	inbox, size, highest, waiting, inFlight                   *prometheus.Desc
	busy, waited, saturation, halfWaited, mostWaited, slowest *prometheus.Desc
	appends, rejected, journaled, appending                   *prometheus.Desc
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a collector to register. The labels tell its Loop from others.
func New(loop Source, labels prometheus.Labels) *Collector {
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc("loopstore_"+name, help, variable, labels)
	}
	return &Collector{
		loop:       loop,
		serving:    desc("serving", "1 until the store is closed, or has failed."),
		uptime:     desc("uptime_seconds", "Time since the store was made."),
		most:       desc("held_limit_bytes", "The most that held_bytes may come to, if that is limited."),
		done:       desc("operations_done_total", "Operations that were done.", "operation"),
		failed:     desc("operation_errors_total", "Calls that returned an error, and so changed nothing.", "operation"),
		items:      desc("held_items", "What is held.", "part"),
		bytes:      desc("held_bytes", "Memory that what is held takes, about.", "part"),
		inbox:      desc("inbox_length", "Requests that wait for the owner."),
		size:       desc("inbox_size", "Requests that may wait for the owner."),
		highest:    desc("inbox_highest", "The most requests that have waited for the owner."),
		waiting:    desc("callers_waiting", "Callers that wait for a place in the inbox, or for room in flight."),
		inFlight:   desc("in_flight_bytes", "Payload bytes of calls under way, if they are bounded."),
		busy:       desc("owner_busy_seconds_total", "Time that the owner has spent on operations, estimated."),
		waited:     desc("handoff_wait_seconds_total", "Time that operations have waited for the owner, added up, estimated."),
		saturation: desc("owner_saturation_ratio", "Share of the last ten seconds in which the owner was busy, estimated."),
		halfWaited: desc("handoff_wait_p50_seconds", "What half of the recent operations waited at most, to a power of two."),
		mostWaited: desc("handoff_wait_p99_seconds", "What 99 in 100 of the recent operations waited at most, to a power of two."),
		slowest:    desc("slowest_operation_seconds", "The time of the owner that the slowest recent operation took.", "operation"),
		appends:    desc("journal_appends_total", "Batches that the journal has stored, if there is one."),
		rejected:   desc("journal_rejected_total", "Batches that the journal has not stored."),
		journaled:  desc("journal_bytes_total", "Keys and values that the journal has stored."),
		appending:  desc("journal_append_seconds_total", "Time that appends to the journal have taken."),
	}
}

// Describe sends all that there may be.
func (c *Collector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.serving, c.uptime, c.most, c.done, c.failed, c.items, c.bytes, c.inbox, c.size, c.highest, c.waiting, c.inFlight,
		c.busy, c.waited, c.saturation, c.halfWaited, c.mostWaited, c.slowest, c.appends, c.rejected, c.journaled, c.appending,
	} {
		descs <- d
	}
}

// Collect sends the figures as they are now.
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
	}
	for _, p := range s.Held.Parts() {
		send(c.items, prometheus.GaugeValue, float64(p.Items), p.Name)
		send(c.bytes, prometheus.GaugeValue, float64(p.Bytes), p.Name)
	}
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
