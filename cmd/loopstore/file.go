package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/state"
)

// A holding is what an exported file or a partition of a journal holds.
type holding struct {
	state     *state.State
	bytes     int64
	parts     int64   // lines of an exported file, records of a journal
	partition *string // of a journal
}

// A partitionFlag is the value of --partition.
type partitionFlag struct {
	name *string // nil if it is not given
}

// add adds the flag. otherwise says what happens without it.
func (p *partitionFlag) add(cmd *cobra.Command, otherwise string) {
	cmd.Flags().Func("partition", "the partition of a journal with this `name`; "+otherwise, func(name string) error {
		p.name = &name
		return nil
	})
	cli.Connects(cmd.Flags(), "partition")
}

// readFile reads an exported file, or the partition of a journal that is asked for.
// If none is asked for it reads all partitions, and refuses more than most.
func readFile(cmd *cobra.Command, name string, asked *string, most int) ([]*holding, error) {
	ctx := cmd.Context()
	journal, err := isJournal(name)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	case journal:
		return readJournal(ctx, name, asked, most)
	case asked != nil:
		return nil, cli.Misused("--partition goes with a journal, which is a directory, and this is none")
	}
	state, in, err := readArchive(cmd, name)
	if err != nil {
		return nil, err
	}
	return []*holding{{state: state, bytes: in.bytes, parts: in.lines}}, nil
}

// isJournal reports whether a name is a journal's, which is a directory. Of a journal that
// is a file, as those of earlier versions were, it says what to do with it. It does not
// open what can be read only once.
func isJournal(name string) (bool, error) {
	if name == "-" {
		return false, nil
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return false, nil // reading it will say what is wrong
	case info.IsDir():
		return true, nil
	case !info.Mode().IsRegular():
		return false, nil
	case isPart(name):
		return false, errPart
	}
	pages, err := isPages(name)
	if pages {
		err = errEarlier
	}
	return false, err
}

// errEarlier is that of a journal from before a journal was a directory.
var errEarlier = errors.New("it is a journal of an earlier version, which was a file: \"loopstore carry FILE DIR\" brings it into a directory")

var errPart = cli.Misused("it is a part of a journal: name the directory that it is in")

// isPart reports whether a file is one of those that a journal's directory has.
func isPart(name string) bool {
	const start = "loopstore journal"
	dir, base := filepath.Split(name)
	format, _ := headOf(filepath.Join(dir, "format"), len(start)) // what cannot be read is none
	return string(format) == start && (base == "format" || base == "pages" || strings.HasPrefix(base, "log-"))
}

// kindOf says what a file is that is no journal.
func kindOf(name string) string {
	const enough = 512
	switch head, err := headOf(name, enough); {
	case errors.Is(err, errNoFile):
		return "it is no file"
	case err != nil:
		return "it cannot be read"
	default:
		return archive.Kind(head)
	}
}

// isPages reports whether a file is one of bbolt's, by the number at the beginning of
// either of its two headers.
func isPages(name string) (bool, error) {
	const page, at, size, magic = 4096, 16, 4, 0xED0CDAED
	head, err := headOf(name, page+at+size)
	for _, offset := range []int{at, page + at} {
		if len(head) >= offset+size && binary.NativeEndian.Uint32(head[offset:]) == magic {
			return true, nil
		}
	}
	return false, err
}

var errNoFile = errors.New("it is no file")

// headOf returns the first bytes of a file, so many if it has them. It opens nothing else: a
// pipe would wait.
func headOf(name string, most int) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		return nil, err
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(file, int64(most)))
}

// sizeOf returns how many bytes the files of a journal have.
func sizeOf(name string) (bytes int64, err error) {
	entries, err := os.ReadDir(name)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return 0, err
		}
		bytes += info.Size()
	}
	return bytes, err
}

// readJournal is readFile of a journal.
func readJournal(ctx context.Context, name string, asked *string, most int) (all []*holding, err error) {
	var names []string
	if asked != nil {
		names = []string{*asked}
	} else if names, err = disk.Partitions(ctx, name, disk.Options{}); err != nil {
		return nil, err
	}
	if len(names) > most {
		return nil, cli.Misused("--partition must name one of " + quoted(names))
	}
	for _, partition := range names {
		h, err := readPartition(ctx, name, partition)
		if err != nil {
			return nil, err
		}
		all = append(all, h)
	}
	if len(all) == 0 {
		return nil, errors.New("it has no partition")
	}
	return all, nil
}

// quoted lists names.
func quoted(names []string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = strconv.Quote(name)
	}
	return strings.Join(all, ", ")
}

// readPartition reads a partition of a journal, and checks all of it.
func readPartition(ctx context.Context, name, partition string) (*holding, error) {
	bytes, err := sizeOf(name)
	if err != nil {
		return nil, err
	}
	h := &holding{state: new(state.State), bytes: bytes, partition: &partition}
	replay := state.NewReplay(h.state)
	defer replay.Close()
	if _, err = disk.Read(ctx, name, partition, disk.Options{}, replay.Put); err == nil {
		err = replay.Done()
	}
	if err != nil && cli.IsConnection(partition) {
		return nil, errors.New("there is no partition such as that, or it is damaged")
	}
	if err != nil {
		return nil, fmt.Errorf("partition %q: %w", partition, err)
	}
	h.parts = int64(replay.Records())
	return h, nil
}
