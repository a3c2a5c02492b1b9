package cli

import (
	"context"
	"io"
	"os"
	"time"

	xterm "golang.org/x/term"
)

// An output is where a command writes. It keeps the first error. Once ctx has ended it
// waits no longer than lastWords for a reader.
type output struct {
	ctx context.Context
	w   io.Writer
	err error
}

const lastWords = time.Second / 2

// Write implements [io.Writer]. After an error it writes nothing.
func (o *output) Write(p []byte) (n int, err error) {
	if o.err != nil {
		return 0, o.err
	}
	type written struct {
		n   int
		err error
	}
	done := make(chan written, 1)
	go func(p []byte) {
		n, err := o.w.Write(p)
		done <- written{n, err}
	}(append([]byte(nil), p...)) // the caller may use p again when nobody waits for it any more
	var w written
	select {
	case w = <-done:
	case <-o.ctx.Done():
		timer := time.NewTimer(lastWords)
		defer timer.Stop()
		select {
		case w = <-done:
		case <-timer.C:
			w.err = context.Cause(o.ctx)
		}
	}
	o.err = w.err
	return w.n, w.err
}

// Terminal reports whether lines that were written can be written over.
func (o *output) Terminal() bool {
	file, ok := o.w.(*os.File)
	kind := os.Getenv("TERM")
	return ok && xterm.IsTerminal(int(file.Fd())) && kind != "dumb" && kind != ""
}
