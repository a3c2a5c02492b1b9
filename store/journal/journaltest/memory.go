package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/loopstore/loopstore/store/journal"
)

// ErrClosed is the error of a closed journal of this package. All that a caller
// may rely on is that it is no error of package journal.
var ErrClosed = errors.New("journaltest: the journal is closed, nothing was stored")

// Memory is a [journal.Engine] in memory. Open takes a partition away from its
// holder. An Append whose context has ended stores nothing, and finishes the
// journal. The zero value is ready for use.
type Memory struct {
	Limits journal.Limits // of its journals; set it before the first Open

	mu         sync.Mutex
	partitions map[string]*partition
}

type partition struct {
	journal.Position
	values map[string][]byte // none is changed in place
	holder *memoryJournal    // nil while the partition is not open
}

// NewEngine returns an engine in memory, without limits.
func NewEngine() *Memory { return new(Memory) }

// Open implements [journal.Engine].
func (m *Memory) Open(ctx context.Context, name string, emit func(journal.Change) error) (journal.Journal, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("journaltest: open: %w", context.Cause(ctx))
	}
	j, values := m.takeOver(name)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := emit(journal.Change{Key: []byte(key), Value: bytes.Clone(values[key])}); err != nil {
			_ = j.Close(ctx)
			return nil, err
		}
	}
	return j, nil
}

// takeOver makes a new holder, and returns it with all that stands.
func (m *Memory) takeOver(name string) (*memoryJournal, map[string][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.partitions[name]
	if p == nil {
		p = &partition{values: map[string][]byte{}}
		if m.partitions == nil {
			m.partitions = map[string]*partition{}
		}
		m.partitions[name] = p
	}
	if p.holder != nil {
		close(p.holder.fenced)
	}
	p.Epoch++
	p.holder = &memoryJournal{engine: m, partition: p, fenced: make(chan struct{})}
	return p.holder, maps.Clone(p.values)
}

// Standing returns what stands in a partition, in ascending order of the keys.
func (m *Memory) Standing(name string) (all []journal.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.partitions[name]; p != nil {
		for _, key := range slices.Sorted(maps.Keys(p.values)) {
			all = append(all, journal.Change{Key: []byte(key), Value: bytes.Clone(p.values[key])})
		}
	}
	return all
}

// Position returns the index of a partition's latest batch, and the epoch of its
// latest Open.
func (m *Memory) Position(name string) journal.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.partitions[name]; p != nil {
		return p.Position
	}
	return journal.Position{}
}

// A memoryJournal is an open partition. The engine's mutex guards it.
type memoryJournal struct {
	engine    *Memory
	partition *partition
	fenced    chan struct{}
	ended     error // why it is finished
}

func (j *memoryJournal) Append(ctx context.Context, b journal.Batch) (journal.Position, error) {
	j.engine.mu.Lock()
	defer j.engine.mu.Unlock()
	if err := j.usable(ctx); err != nil {
		return journal.Position{}, err
	}
	if err := j.engine.Limits.Check(b); err != nil {
		return journal.Position{}, err
	}
	for _, c := range b.Changes {
		if c.Delete {
			delete(j.partition.values, string(c.Key))
		} else {
			j.partition.values[string(c.Key)] = append([]byte{}, c.Value...)
		}
	}
	j.partition.Index++
	return j.partition.Position, nil
}

// usable returns why the journal is finished, or nil.
func (j *memoryJournal) usable(ctx context.Context) error {
	switch {
	case j.ended != nil:
	case j.partition.holder != j:
		j.ended = journal.ErrFenced
	case ctx.Err() != nil:
		j.ended = fmt.Errorf("%w: %w", ErrClosed, context.Cause(ctx))
	}
	return j.ended
}

func (j *memoryJournal) Compact(ctx context.Context, _ iter.Seq[journal.Change]) error {
	j.engine.mu.Lock()
	defer j.engine.mu.Unlock()
	return j.usable(ctx)
}

func (j *memoryJournal) Limits() journal.Limits  { return j.engine.Limits }
func (j *memoryJournal) Fenced() <-chan struct{} { return j.fenced }

func (j *memoryJournal) Close(context.Context) error {
	j.engine.mu.Lock()
	defer j.engine.mu.Unlock()
	if j.ended == nil {
		j.ended = ErrClosed
	}
	if j.partition.holder == j {
		j.partition.holder = nil
	}
	return nil
}
