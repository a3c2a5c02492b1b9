package loopstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/loopstore/loopstore/ops"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/state"
)

// Export writes all that is held at one moment to w, in the format of package
// archive. It takes the owner no longer than any load, however much there is.
// Changes that come while it writes are not in it. When ctx ends, it stops at the
// next write. After an error, what was written is of no use.
func (l *Loop) Export(ctx context.Context, w io.Writer) error {
	image, err := Do(ctx, l, ops.LoadImage{})
	if err != nil {
		err = errors.Unwrap(err) // the caller did not ask for load_image
	} else {
		err = archive.Write(writerUnder{ctx, w}, image)
	}
	if err != nil {
		return &store.OpError{Op: "export", Err: err}
	}
	return nil
}

// ExportFile exports to a file, which [archive.WriteFile] writes: the file gets its
// name once it is whole and on disk.
func (l *Loop) ExportFile(ctx context.Context, name string) error {
	err := archive.WriteFile(name, func(w io.Writer) error { return l.Export(ctx, w) })
	if _, ours := errors.AsType[*store.OpError](err); err == nil || ours {
		return err
	}
	return &store.OpError{Op: "export", Err: err}
}

// Import takes over all that Export has written: the values, their order, the
// versions and the revision. It reads and checks the whole file first, on the
// caller's goroutine. If the file is not as it was written, the error wraps an
// *archive.Error, which names the line. The store must never have held anything
// (store.ErrNotEmpty), and the file must be within its Limits (store.ErrLimit): to
// import less, import into a store without limits and prune there. When ctx ends,
// Import stops at the next read, or before the next piece.
//
// A journal takes it in pieces, between which other calls are served. They take effect
// with the last one: nothing is there before. If something is written meanwhile the import
// fails, with store.ErrNotEmpty. What is stored of one that fails is cleared: at once, or
// after the next Open.
func (l *Loop) Import(ctx context.Context, r io.Reader) (store.Totals, error) {
	held, err := l.importing(ctx, r)
	if err != nil {
		if op, ok := errors.AsType[*store.OpError](err); ok {
			err = op.Err
		}
		return store.Totals{}, ops.Error(ops.Import{}, err)
	}
	return held, nil
}

func (l *Loop) importing(ctx context.Context, r io.Reader) (held store.Totals, err error) {
	in, err := Do(ctx, l, ops.BeginImport{})
	if err != nil {
		return held, err
	}
	from, err := archive.Read(readerUnder{ctx, r})
	if err != nil {
		return held, l.failed(ops.Import{}, err)
	}
	ended := false
	defer func() {
		if !ended && in.Stored() { // ctx may have panicked
			_, _ = patiently(context.Background(), l, ops.StorePiece{Piece: in.Abort()})
		}
	}()
	for piece := range in.Pieces(from) {
		if _, err := patiently(ctx, l, ops.StorePiece{Piece: piece}); err != nil {
			return held, err
		}
	}
	held, err = patiently(ctx, l, ops.Import{Import: in})
	ended = err == nil
	return held, err
}

// patiently does a step of an import, when the store has time for it: what is left of
// another import goes first.
func patiently[R any, O ops.Request[R], P ops.Steps[R, O]](ctx context.Context, l *Loop, op O) (R, error) {
	for {
		answer, err := Do[R, O, P](ctx, l, op)
		if !errors.Is(err, store.ErrBusy) {
			return answer, err
		}
		select {
		case <-time.After(clearAgain):
		case <-ctx.Done():
			return answer, cancelled(ctx)
		}
	}
}

// How long a piece waits that is refused, at first and at most.
const (
	clearAgain    = 10 * time.Millisecond
	clearAgainMax = 10 * time.Second
)

// clear removes what the journal has of what is not held, a piece at a time, and goes on
// until nothing is left or the store ends. Then the next Open goes on.
func (l *Loop) clear(clearing []iter.Seq[state.Piece]) {
	if len(clearing) == 0 {
		return
	}
	l.wakers.Go(func() {
		select {
		case l.durable.clearing <- struct{}{}: // one at a time
			defer func() { <-l.durable.clearing }()
		case <-l.done:
			return
		}
		for _, pieces := range clearing {
			for piece := range pieces {
				if !l.clearPiece(piece) {
					return
				}
			}
		}
	})
}

// clearPiece reports whether a piece is removed, however often the journal rejects that, or
// the store has ended.
func (l *Loop) clearPiece(piece state.Piece) bool {
	for wait := clearAgain; ; wait = min(2*wait, clearAgainMax) {
		_, err := Do(context.Background(), l, ops.StorePiece{Piece: piece})
		if err == nil || errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrFailed) {
			return err == nil
		}
		select {
		case <-time.After(wait):
		case <-l.done:
			return false
		}
	}
}

// A readerUnder fails once its context has ended.
type readerUnder struct {
	ctx context.Context
	r   io.Reader
}

func (u readerUnder) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, cancelled(u.ctx)
	}
	return u.r.Read(p)
}

// A writerUnder fails once its context has ended.
type writerUnder struct {
	ctx context.Context
	w   io.Writer
}

func (u writerUnder) Write(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, cancelled(u.ctx)
	}
	return u.w.Write(p)
}
