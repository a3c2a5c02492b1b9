package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// importFile is the subcommand import.
func importFile(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("import", flag.ContinueOnError)
	partition := flags.String("partition", "", "import into the partition with this `name`, the one that the service opens")
	names, err := parseNames(flags, args, 2, "an exported file and a directory", importHelp, "", stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	file, dir := names[0], names[1]
	named := false
	flags.Visit(func(f *flag.Flag) { named = named || f.Name == "partition" })
	if !named {
		return refuse(ctx, stderr, "import", dir, misuse("-partition must name the partition that the service opens"))
	}
	held, err := importInto(ctx, file, dir, *partition, stderr)
	if err != nil {
		of, reading := errors.AsType[*archive.Error](err)
		if reading {
			return refuse(ctx, stderr, "import", file, of)
		}
		return refuse(ctx, stderr, "import", dir, err)
	}
	term.Say(stdout, "%s: partition %q holds %s, %s, %s, %s and %s of %s\n", term.Printable(dir), *partition,
		term.Counted(int64(held.Runtimes), "runtime"), term.Counted(int64(held.InputStates), "input state"),
		term.Counted(int64(held.Receipts), "receipt"), term.Counted(int64(held.Snapshots), "snapshot"),
		term.Counted(int64(held.Versions), "earlier version"), term.Printable(file))
	return exitOK
}

// importInto returns how much has been imported.
func importInto(ctx context.Context, file, dir, partition string, progress io.Writer) (held store.Totals, err error) {
	in, closeInput, err := openInput(ctx, file)
	if err != nil {
		return held, err
	}
	defer closeInput()
	if isPart(dir) {
		return held, errPart
	}
	loop, err := loopstore.Open(ctx, disk.New(dir, disk.Options{}), partition, loopstore.Options{})
	if err != nil {
		return held, err
	}
	read := &counter{r: in}
	said := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(said)
		sayProgress(progress, done, read, loop)
	}()
	held, err = loop.Import(ctx, read)
	close(done)
	<-said
	return held, errors.Join(err, loop.Close())
}

// A counter counts what is read.
type counter struct {
	r     io.Reader
	bytes atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

const progressEvery = 2 * time.Second

// sayProgress says how far an import is, until it is done.
func sayProgress(w io.Writer, done <-chan struct{}, read *counter, loop *loopstore.Loop) {
	ticks := time.NewTicker(progressEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			text := fmt.Sprintf("read and checked %s", term.Size(read.bytes.Load()))
			if stored := loop.Stats().Journal.Bytes; stored > 0 {
				text += fmt.Sprintf(", stored %s", term.Size(int64(stored)))
			}
			term.Say(w, "loopstore import: %s\n", text)
		case <-done:
			return
		}
	}
}
