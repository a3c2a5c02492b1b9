package main

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/journal/disk"
)

func importCommand() *cobra.Command {
	var partition partitionFlag
	cmd := &cobra.Command{
		Use: "import --partition NAME EXPORT DIR", Short: "bring an exported file into a journal",
		Long: importHelp, Args: cli.Exactly(2, "an exported file and a directory"),
		RunE: func(cmd *cobra.Command, names []string) error {
			file, dir := names[0], names[1]
			if partition.name == nil {
				return about(dir, cli.Misused("--partition must name the partition that the service opens"))
			}
			held, err := importInto(cmd, file, dir, *partition.name)
			if err != nil {
				if of, reading := errors.AsType[*archive.Error](err); reading {
					return about(file, of)
				}
				return about(dir, err)
			}
			text := fmt.Sprintf("%s: partition %q now holds %s: %s, %s, %s, %s", term.Printable(dir), *partition.name, term.Printable(file),
				term.Counted(int64(held.Runtimes), "runtime"), term.Counted(int64(held.InputStates), "input state"),
				term.Counted(int64(held.Receipts), "receipt"), term.Counted(int64(held.Snapshots), "snapshot"))
			if held.Versions > 0 {
				text += ", " + term.Counted(int64(held.Versions), "earlier version")
			}
			term.Say(cmd.OutOrStdout(), "%s\n", text)
			return nil
		},
	}
	partition.add(cmd, "the one that\nthe service opens")
	return cmd
}

// importInto returns how much has been imported.
func importInto(cmd *cobra.Command, file, dir, partition string) (held store.Totals, err error) {
	ctx := cmd.Context()
	in, err := openInput(cmd, file)
	if err != nil {
		return held, err
	}
	defer func() { _ = in.Close() }() // it was only read
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
		sayProgress(cmd.ErrOrStderr(), done, read, loop)
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
