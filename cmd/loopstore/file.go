package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/journal/bolt"
)

// A holding is what a file holds, an exported one or a journal.
type holding struct {
	state     *store.State
	bytes     int64
	parts     int64   // lines of an exported file, records of a journal
	partition *string // of a journal
}

// A partitionFlag says which partition of a journal is meant.
type partitionFlag struct {
	name  string
	given bool
}

func (p *partitionFlag) addTo(flags *flag.FlagSet) {
	p.name = demoPartition
	flags.Func("partition", fmt.Sprintf("the partition of a journal that has this `name` (default %q)", p.name), func(name string) error {
		p.name, p.given = name, true
		return nil
	})
}

// errNoJournal means that an exported file has no partitions.
var errNoJournal = errors.New("-partition goes with a journal, and this is none")

// readFile reads an exported file, or a partition of a journal.
func readFile(ctx context.Context, name string, p partitionFlag) (*holding, error) {
	journal, err := isJournal(name)
	switch {
	case err != nil:
		return nil, err
	case journal:
		return readJournal(ctx, name, p.name)
	case p.given:
		return nil, errNoJournal
	}
	state, in, err := readArchive(ctx, name)
	if err != nil {
		return nil, err
	}
	return &holding{state: state, bytes: in.bytes, parts: in.lines}, nil
}

// isJournal reports whether a file is one of bbolt's, by the number with which
// either of its two headers begins. It does not read what can be read only once.
func isJournal(name string) (bool, error) {
	if name == "-" {
		return false, nil
	}
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false, nil // whoever reads it will tell
	}
	file, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // it was only read
	const page, at, magic = 4096, 16, 0xED0CDAED
	for _, offset := range []int64{at, page + at} {
		var number [4]byte
		if _, err := file.ReadAt(number[:], offset); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if binary.NativeEndian.Uint32(number[:]) == magic {
			return true, nil
		}
	}
	return false, nil
}

// readJournal reads a partition of a journal, and checks all of it. The engine
// knows no other way than to take the partition over, so it has a new epoch then.
func readJournal(ctx context.Context, name, partition string) (*holding, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	state := new(store.State)
	replay := store.NewReplay(state)
	journal, err := bolt.New(name, bolt.Options{}).Open(ctx, partition, replay.Put)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(replay.Done(), journal.Close(ctx)); err != nil {
		return nil, err
	}
	if replay.Records() == 0 {
		return nil, fmt.Errorf("there is nothing in its partition %q, see -partition", partition)
	}
	return &holding{state: state, bytes: info.Size(), parts: int64(replay.Records()), partition: &partition}, nil
}
