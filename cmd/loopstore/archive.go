package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// stdin is what the file name "-" stands for.
var stdin io.Reader = os.Stdin

// errUsage is a wrong flag or argument that the user has been told of.
var errUsage = errors.New("wrong flag or argument")

// parseFile reads flags and the one file after them, as [parseNames] does.
func parseFile(flags *flag.FlagSet, args []string, help string, notes string, stdout, stderr io.Writer) (name string, err error) {
	names, err := parseNames(flags, args, 1, "one file", help, notes, stdout, stderr)
	if err != nil {
		return "", err
	}
	return names[0], nil
}

// parseNames reads flags and the n names after them; takes says what these are. It shows
// the help, or says what is wrong, itself: the error is flag.ErrHelp or errUsage.
func parseNames(flags *flag.FlagSet, args []string, n int, takes, help, notes string, stdout, stderr io.Writer) (names []string, err error) {
	flags.SetOutput(io.Discard)
	err = flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		showHelp(stdout, flags, help, notes)
		return nil, err
	}
	names = flags.Args()
	if err == nil && len(names) > 0 && names[0] != "-" {
		err = strayFlag(args, names)
	}
	if err == nil && len(names) != n {
		err = fmt.Errorf("it takes %s, not %d", takes, len(names))
	}
	if err != nil {
		term.Say(stderr, "loopstore %s: %v\n\"loopstore %[1]s -h\" lists the flags\n", flags.Name(), err)
		return nil, errUsage
	}
	return names, nil
}

// A source counts the lines and bytes that are read, and fails when its context has
// ended.
type source struct {
	ctx          context.Context
	r            io.Reader
	lines, bytes int64
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := s.r.Read(p)
	s.lines += int64(bytes.Count(p[:n], []byte("\n")))
	s.bytes += int64(n)
	return n, err
}

// readArchive reads an exported file.
func readArchive(ctx context.Context, name string) (*state.State, *source, error) {
	input, closeInput, err := openInput(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	defer closeInput()
	in := &source{ctx: ctx, r: input}
	state, err := archive.Read(in)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return state, in, err
}

// openInput opens a file to read, or the standard input. The end of ctx ends the reading
// of a pipe.
func openInput(ctx context.Context, name string) (in io.Reader, closeInput func(), err error) {
	if name == "-" {
		return stdin, func() {}, nil
	}
	file, err := openRead(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	return file, func() {
		stop()
		_ = file.Close() // it was only read
	}, nil
}

// openRead opens a file to read. That of a pipe waits for who writes to it, or for ctx.
func openRead(ctx context.Context, name string) (*os.File, error) {
	type opened struct {
		file *os.File
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		file, err := os.Open(name)
		done <- opened{file, err}
	}()
	select {
	case o := <-done:
		return o.file, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// refuse says why a file was not read, and returns the exit code.
func refuse(ctx context.Context, stderr io.Writer, command, name string, err error) int {
	path, ok := errors.AsType[*os.PathError](err)
	if ok && (path.Op == "open" || path.Op == "stat") && !errors.Is(err, journal.ErrCorrupt) {
		term.Say(stderr, "loopstore %s: %v\n", command, err)
		return exitUsage
	}
	term.Say(stderr, "loopstore %s: %s: %v\n", command, term.Printable(name), err)
	if _, ok := errors.AsType[misuse](err); ok {
		return exitUsage
	}
	return interruptedOr(ctx, exitFailed)
}

// writeJSON writes a value for people and programs. With payloads it does not
// indent: one may be nested so deep that the indentation would outgrow it.
func writeJSON(w io.Writer, v any, payloads bool) error {
	var text strings.Builder
	enc := json.NewEncoder(&text)
	if !payloads {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(v); err != nil {
		return err
	}
	var safe strings.Builder // what is not printable can only be within JSON strings, where \u escapes it
	for _, r := range text.String() {
		switch {
		case r == '\n' || strconv.IsPrint(r):
			safe.WriteRune(r)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				_, _ = fmt.Fprintf(&safe, `\u%04x`, unit)
			}
		}
	}
	_, err := io.WriteString(w, safe.String())
	return err
}
