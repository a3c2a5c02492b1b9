package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/loopstore/loopstore/store/journal"
)

// ErrFormer means that there is a journal in the first format, under the name that the
// partition's stream had then. The same name could be another partition's. Nothing was
// written, and no new journal begun: [Engine.Carry] brings it over.
var ErrFormer = errors.New("jetstream: a journal in the first format")

// checkFormer returns ErrFormer if there is a journal under the former name.
func (e *Engine) checkFormer(ctx context.Context, partition string) error {
	name := e.formerName(partition)
	if len(name) > maxName {
		return nil
	}
	info, err := e.existing(ctx, name)
	is := false
	if err == nil && info != nil {
		is, err = persist(ctx, e, func(ctx context.Context) (bool, error) { return e.isFormer(ctx, info) })
	}
	switch {
	case err != nil:
		return fmt.Errorf("looking for a journal under the former name %s: %w", name, err)
	case is:
		return fmt.Errorf("%w: it is stream %s. If it is the journal of %s, stop all that use it and call Engine.Carry(ctx, %q, %q); if it is another's, let that one be carried over and delete the stream",
			ErrFormer, name, e.identity(partition), name, partition)
	}
	return nil
}

// isFormer reports whether a stream with a former name is a journal in the first format:
// it has the subject of one, others too perhaps, and such entries. An empty one has the
// description.
func (e *Engine) isFormer(ctx context.Context, info *streamInfo) (bool, error) {
	if !slices.Contains(info.Config.Subjects, info.Config.Name+".record") {
		return false, nil
	}
	if info.State.Msgs == 0 {
		return strings.HasPrefix(info.Config.Description, description), nil
	}
	data, err := e.at(ctx, info.Config.Name, info.State.LastSeq)
	if err != nil {
		return false, err
	}
	_, err = decode(data)
	return errors.Is(err, ErrFormer) || errors.Is(err, journal.ErrCorrupt) && strings.HasPrefix(info.Config.Description, description), nil
}
