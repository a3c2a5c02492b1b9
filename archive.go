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
// A journal takes it in pieces, between which other calls are served, and the last one
// makes all of it true. Nothing is there before, and if something is written meanwhile
// the import fails. What is stored of one that fails is cleared: at once, or after the
// next Open.
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
	for piece := range in.Pieces(from) {
		if err = l.storePiece(ctx, piece); err != nil {
			break
		}
	}
	for err == nil {
		held, err = Do(ctx, l, ops.Import{Import: in})
		if !errors.Is(err, store.ErrBusy) {
			break
		}
		err = pause(ctx)
	}
	if err != nil && in.Stored() {
		_ = l.storePiece(context.WithoutCancel(ctx), in.Last())
	}
	return held, err
}

// storePiece stores a piece, when the store has time for it: what is left of another
// import goes first.
func (l *Loop) storePiece(ctx context.Context, piece state.Piece) error {
	for {
		_, err := Do(ctx, l, ops.StorePiece{Piece: piece})
		if !errors.Is(err, store.ErrBusy) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-time.After(10 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return cancelled(ctx)
	}
}

// clear removes what the journal has of what is not held, a piece at a time. It ends
// with the store: the next Open goes on.
func (l *Loop) clear(clearing []iter.Seq[state.Piece]) {
	for _, pieces := range clearing {
		l.wakers.Go(func() {
			for piece := range pieces {
				if l.storePiece(context.Background(), piece) != nil {
					return
				}
			}
		})
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
