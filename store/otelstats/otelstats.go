// Package otelstats exports the figures of a loopstore.Loop as OpenTelemetry metrics.
// It is a module of its own, so that only its users depend on OpenTelemetry.
// loopstore.Stats says what the figures mean.
package otelstats

import (
	"context"
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/loopstore/loopstore"
)

// A Source has figures to export. A *loopstore.Loop is one.
type Source interface{ Stats() loopstore.Stats }

// Register observes a Loop whenever the metrics of meter are collected, until the
// registration ends. The attributes tell this Loop from others.
func Register(meter metric.Meter, loop Source, attributes ...attribute.KeyValue) (metric.Registration, error) {
	r := recorder{meter: meter, attributes: attributes}

	serving := r.upDown("loopstore.serving", "1", "1 while the store serves; 0 once it is closed or has failed.")
	uptime := r.gauge("loopstore.uptime", "s", "Time since the store was started.")
	most := r.upDown("loopstore.held.limit", "By", "The limit of loopstore.held.size, if there is one.")
	operations := r.counter("loopstore.operations", "{operation}", "Operations that have returned, by name. Those with an error.type changed nothing.")
	items := r.upDown("loopstore.held.items", "{item}", "What is held.")
	bytes := r.upDown("loopstore.held.size", "By", "Approximate memory of what is held.")
	versions := r.upDown("loopstore.held.versions", "{version}", "Earlier versions of sessions, which loopstore.held.items has among the snapshots.")
	inbox := r.upDown("loopstore.inbox.length", "{request}", "Requests waiting for the owner.")
	limit := r.upDown("loopstore.inbox.limit", "{request}", "Requests that the inbox has room for.")
	highest := r.upDown("loopstore.inbox.highest", "{request}", "The most requests that have waited for the owner at once.")
	waiting := r.upDown("loopstore.callers.waiting", "{caller}", "Callers waiting for a place in the inbox, or for room in flight.")
	inFlight := r.upDown("loopstore.in_flight.size", "By", "Payload bytes of calls under way, if these are limited.")
	busy := r.seconds("loopstore.owner.busy_time", "Estimated time that the owner has spent on operations.")
	waited := r.seconds("loopstore.handoff.wait_time", "Estimated total time that operations have waited for the owner.")
	saturation := r.gauge("loopstore.owner.utilization", "1", "Estimated share of the last ten seconds that the owner was busy.")
	quantiles := r.gauge("loopstore.handoff.wait", "s", "Longest wait among this share of the recent operations, to a power of two.")
	slowest := r.gauge("loopstore.operation.slowest", "s", "Time that the slowest recent operation took of the owner.")
	appends := r.counter("loopstore.journal.appends", "{batch}", "Batches that the journal has stored, if there is one.")
	rejected := r.counter("loopstore.journal.rejected", "{batch}", "Batches that the journal has rejected.")
	journaled := r.counter("loopstore.journal.io", "By", "Bytes of the keys and values that the journal has stored.")
	appending := r.seconds("loopstore.journal.append_time", "Time that appends to the journal have taken.")
	if r.err != nil {
		return nil, r.err
	}

	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := loop.Stats()
		if s.Serving {
			o.ObserveInt64(serving, 1, r.with())
		} else {
			o.ObserveInt64(serving, 0, r.with())
		}
		o.ObserveFloat64(uptime, s.Uptime.Seconds(), r.with())
		if s.Limits.TotalBytes > 0 {
			o.ObserveInt64(most, s.Limits.TotalBytes, r.with())
		}
		for kind, of := range s.Operations {
			name := attribute.String("db.operation.name", kind.String())
			o.ObserveInt64(operations, int64(of.Done), r.with(name))
			o.ObserveInt64(operations, int64(of.Errors), r.with(name, attribute.String("error.type", "_OTHER")))
			o.ObserveInt64(operations, int64(of.Conflicts), r.with(name, attribute.String("loopstore.outcome", "conflict")))
		}
		for _, p := range s.Held.Parts() {
			o.ObserveInt64(items, int64(p.Items), r.with(attribute.String("loopstore.part", p.Name)))
			o.ObserveInt64(bytes, p.Bytes, r.with(attribute.String("loopstore.part", p.Name)))
		}
		o.ObserveInt64(versions, int64(s.Held.Versions), r.with())
		o.ObserveInt64(inbox, int64(s.InboxLength), r.with())
		o.ObserveInt64(limit, int64(s.InboxSize), r.with())
		o.ObserveInt64(highest, int64(s.InboxHighest), r.with())
		o.ObserveInt64(waiting, int64(s.Waiting), r.with())
		o.ObserveInt64(inFlight, s.InFlight, r.with())
		o.ObserveFloat64(busy, s.Busy.Seconds(), r.with())
		o.ObserveFloat64(waited, s.Wait.Seconds(), r.with())
		o.ObserveFloat64(saturation, s.Saturation, r.with())
		o.ObserveFloat64(quantiles, s.WaitP50.Seconds(), r.with(attribute.Float64("quantile", 0.5)))
		o.ObserveFloat64(quantiles, s.WaitP99.Seconds(), r.with(attribute.Float64("quantile", 0.99)))
		if s.Slowest != nil {
			o.ObserveFloat64(slowest, s.Slowest.Took.Seconds(), r.with(attribute.String("db.operation.name", s.Slowest.Kind.String())))
		}
		if j := s.Journal; j != nil {
			o.ObserveInt64(appends, int64(j.Appends), r.with())
			o.ObserveInt64(rejected, int64(j.Rejected), r.with())
			o.ObserveInt64(journaled, int64(j.Bytes), r.with())
			o.ObserveFloat64(appending, j.Took.Seconds(), r.with())
		}
		return nil
	}, r.all...)
}

// A recorder makes the instruments, and joins their errors.
type recorder struct {
	meter      metric.Meter
	attributes []attribute.KeyValue
	all        []metric.Observable
	err        error
}

func (r *recorder) with(more ...attribute.KeyValue) metric.ObserveOption {
	return metric.WithAttributes(slices.Concat(r.attributes, more)...)
}

func keep[I metric.Observable](r *recorder, instrument I, err error) I {
	r.all, r.err = append(r.all, instrument), errors.Join(r.err, err)
	return instrument
}

func (r *recorder) counter(name, unit, text string) metric.Int64ObservableCounter {
	i, err := r.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
	return keep(r, i, err)
}

func (r *recorder) upDown(name, unit, text string) metric.Int64ObservableUpDownCounter {
	i, err := r.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(text))
	return keep(r, i, err)
}

func (r *recorder) seconds(name, text string) metric.Float64ObservableCounter {
	i, err := r.meter.Float64ObservableCounter(name, metric.WithUnit("s"), metric.WithDescription(text))
	return keep(r, i, err)
}

func (r *recorder) gauge(name, unit, text string) metric.Float64ObservableGauge {
	i, err := r.meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(text))
	return keep(r, i, err)
}
