package agents

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/loopstore/loopstore/store/turn"
)

// A notebook is a tool whose effect can be counted outside of the store: it writes a line
// into a file for each call.
type notebook struct {
	mu    sync.Mutex
	file  *os.File
	lines int
	at    map[string]int // the line of each call, from 1, by the call's key
}

// openNotebook opens a file, and makes it if it is not there. Half a line at its end, which a
// crash has left, is none: nobody was told that it was written.
func openNotebook(name string) (*notebook, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	b := &notebook{file: file, at: make(map[string]int)}
	whole, err := eachLine(file, func(key, _ string) {
		b.lines++
		b.at[key] = b.lines
	})
	if err == nil {
		err = file.Truncate(whole)
	}
	if err == nil {
		_, err = file.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return b, nil
}

// eachLine calls a function with the key and the arguments of the call in each whole line of a
// notebook, and returns how many bytes these have.
func eachLine(r io.Reader, see func(key, arguments string)) (whole int64, err error) {
	for lines := bufio.NewReader(r); ; {
		text, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		whole += int64(len(text))
		key, arguments, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		see(key, arguments)
	}
}

func (b *notebook) close() error { return b.file.Close() }

// done returns what a call has come to, if it was made.
func (b *notebook) done(call turn.Call) (text string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, ok := b.at[call.Key()]
	return saying(at), ok
}

// write makes a call. It does not look whether that was made before.
func (b *notebook) write(call turn.Call) (text string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := fmt.Fprintf(b.file, "%s %s\n", call.Key(), call.Arguments); err != nil {
		return "", err
	}
	b.lines++
	b.at[call.Key()] = b.lines
	return saying(b.lines), b.file.Sync()
}

func saying(line int) string { return fmt.Sprintf("It is line %d.", line) }
