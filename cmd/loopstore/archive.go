package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/state"
)

// A source counts the lines and bytes that are read.
type source struct {
	r            io.Reader
	lines, bytes int64
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.lines += int64(bytes.Count(p[:n], []byte("\n")))
	s.bytes += int64(n)
	return n, err
}

// readArchive reads an exported file.
func readArchive(cmd *cobra.Command, name string) (*state.State, *source, error) {
	file, err := openInput(cmd, name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	in := &source{r: file}
	state, err := archive.Read(in)
	if ctx := cmd.Context(); ctx.Err() != nil {
		err = ctx.Err()
	}
	return state, in, err
}

// openInput opens a file to read, or the standard input.
func openInput(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return cli.Open(cmd.Context(), name)
}

// about returns the error of a command about a file. One that cannot be opened was not the
// right argument.
func about(name string, err error) error {
	path, ok := errors.AsType[*os.PathError](err)
	if ok && (path.Op == "open" || path.Op == "stat") && !errors.Is(err, journal.ErrCorrupt) {
		return cli.Misuse{Err: err}
	}
	err = fmt.Errorf("%s: %w", term.Printable(name), err)
	if _, ok := errors.AsType[cli.Misuse](err); ok {
		return cli.Misuse{Err: err}
	}
	return err
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
