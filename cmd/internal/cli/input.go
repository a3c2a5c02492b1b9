package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// An input reads from what may say nothing for ever. Once ctx has ended nobody waits for
// it: it leaves the goroutine that does, which ends with the process.
type input struct {
	ctx     context.Context
	r       io.Reader
	pending chan struct{} // closed when a read has ended, nil if none was begun
	buffer  [64 << 10]byte
	rest    []byte // of the buffer, once the read has ended
	err     error
}

// Read implements [io.Reader].
func (i *input) Read(p []byte) (n int, err error) {
	if i.ctx.Err() != nil {
		return 0, context.Cause(i.ctx)
	}
	if len(i.rest) == 0 && i.err == nil {
		if i.pending == nil {
			i.pending = make(chan struct{})
			go i.fill(i.pending)
		}
		select {
		case <-i.pending:
			i.pending = nil
		case <-i.ctx.Done():
			return 0, context.Cause(i.ctx)
		}
	}
	n = copy(p, i.rest)
	if i.rest = i.rest[n:]; len(i.rest) == 0 {
		err = i.err
	}
	return n, err
}

func (i *input) fill(ended chan<- struct{}) {
	defer close(ended)
	n, err := i.r.Read(i.buffer[:])
	i.rest, i.err = i.buffer[:n], err
}

// Open opens a file to read. Nobody waits for it once ctx has ended, neither for who opens
// the other end of a pipe nor for who writes to it.
func Open(ctx context.Context, name string) (io.ReadCloser, error) {
	file, err := Within(ctx, func() (*os.File, error) { return openFile(name) })
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{&input{ctx: ctx, r: file}, file}, nil
}

// Within returns what do returns, or the cause of ctx once that has ended: nobody waits for do
// then.
func Within[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// openFile refuses a directory.
func openFile(name string) (*os.File, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		_ = file.Close() // nothing was read
		return nil, &os.PathError{Op: "open", Path: name, Err: errDirectory}
	}
	return file, nil
}

var errDirectory = errors.New("it is a directory, and not a file")

// ReadFile reads a file that has no more than so many bytes, as [Open] opens it.
func ReadFile(ctx context.Context, name string, most int64) ([]byte, error) {
	file, err := Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if int64(len(text)) > most {
		return nil, &os.PathError{Op: "read", Path: name, Err: fmt.Errorf("it has more than %d bytes", most)}
	}
	return text, err
}
