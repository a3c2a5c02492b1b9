package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/store/archive"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/state"
)

func salvageCommand() *cobra.Command {
	var partition partitionFlag
	cmd := &cobra.Command{
		Use: "salvage DIR OUT", Short: "bring what is whole in a damaged journal into a file to import",
		Long: salvageHelp, Args: cli.Exactly(2, "a directory and a file"),
		RunE: func(cmd *cobra.Command, names []string) error {
			ctx, dir, out := cmd.Context(), names[0], names[1]
			s, err := salvageJournal(ctx, dir, partition.name)
			if err == nil {
				err = s.write(cmd, out)
			}
			if err != nil {
				return about(dir, err)
			}
			text, all := s.report(dir, out)
			term.Say(cmd.OutOrStdout(), "%s", text)
			if !all {
				return cli.ErrFailed
			}
			return nil
		},
	}
	partition.add(cmd, "needed\nif there are several")
	return cmd
}

// A salvaged partition is what could be read of it.
type salvaged struct {
	state  *state.State
	lost   state.Salvaged
	damage []disk.Damage
}

func salvageJournal(ctx context.Context, dir string, asked *string) (*salvaged, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	if journal, err := isJournal(dir); err != nil || !journal {
		return nil, cmp.Or(err, cli.Misused("a journal is a directory, and this is none: "+kindOf(dir)))
	}
	if asked == nil {
		names, _, err := disk.SalvagePartitions(ctx, dir, disk.Options{})
		if err != nil {
			return nil, err
		}
		if len(names) != 1 {
			return nil, cli.Misused("--partition must name one: what can be seen are " + quoted(names))
		}
		asked = &names[0]
	}
	s := &salvaged{state: new(state.State)}
	replay := state.NewReplay(s.state)
	defer replay.Close()
	replay.Salvage()
	var err error
	if s.damage, err = disk.Salvage(ctx, dir, *asked, disk.Options{}, state.Unit, replay.Put); err == nil {
		err = replay.Done()
	}
	s.lost = replay.Salvaged()
	return s, err
}

// write writes an export, and reads it again: what an import would not take is no use.
func (s *salvaged) write(cmd *cobra.Command, out string) error {
	if out == "-" {
		return cli.Misused("OUT is read again to check it, and the standard output cannot be")
	}
	if _, err := os.Lstat(out); err == nil {
		return cli.Misused(fmt.Sprintf("%s is there already", term.Printable(out)))
	}
	err := archive.WriteFile(out, func(w io.Writer) error { return archive.Write(w, s.state.Image()) })
	if err != nil {
		return err
	}
	if _, _, err := readArchive(cmd, out); cmd.Context().Err() != nil {
		return errors.Join(context.Cause(cmd.Context()), os.Remove(out)) // nobody knows whether it is whole
	} else if err != nil {
		return fmt.Errorf("what was salvaged, in %s, is no export that an import takes: %w", term.Printable(out), err)
	}
	return nil
}

// report says what was salvaged, and whether it is all that was held.
func (s *salvaged) report(dir, out string) (text string, all bool) {
	var t strings.Builder
	var older []string
	for _, d := range s.damage {
		if d.Older == "" {
			fmt.Fprintf(&t, "damage: %s\n", term.Printable(d.String()))
		} else if id, ok := s.state.RuntimeOf([]byte(d.Older)); ok {
			version := s.state.Version(id)
			older = append(older, fmt.Sprintf("an earlier state: runtime %s is as it was at version %s, later changes are lost\n",
				term.Printable(strconv.Quote(string(id))), term.Grouped(int64(version))))
		}
	}
	t.WriteString(strings.Join(older, ""))
	for _, a := range s.lost.Asides {
		fmt.Fprintf(&t, "not salvaged: runtime %s: %s\n", term.Printable(strconv.Quote(string(a.RuntimeID))), term.Printable(a.Reason))
	}
	if n := s.lost.Nameless; n > 0 {
		fmt.Fprintf(&t, "not salvaged: %s, which can no longer be named\n", term.Counted(int64(n), "runtime"))
	}
	if n := s.lost.Sessions; n > 0 {
		fmt.Fprintf(&t, "not salvaged: %s under ids that can no longer be named\n", term.Counted(int64(n), "filed session"))
	}
	if n := s.lost.Stones; n > 0 {
		fmt.Fprintf(&t, "not salvaged: %s, which no longer keep deleted runtimes from being made again\n", term.Counted(int64(n), "tombstone"))
	}
	if s.lost.Revision {
		t.WriteString("the record that counts what there was is lost: there may have been more runtimes\n")
	}
	all = len(s.damage)+len(s.lost.Asides)+s.lost.Nameless+s.lost.Sessions+s.lost.Stones == 0 && !s.lost.Revision
	if all {
		t.WriteString("nothing is damaged\n")
	}
	held, lost := int64(s.state.Totals().Runtimes), int64(len(s.lost.Asides)+s.lost.Nameless)
	first := fmt.Sprintf("%s: %s of %s in %s, ", term.Printable(out), term.Grouped(held), term.Counted(held+lost, "runtime"), term.Printable(dir))
	if n := len(older); n > 0 {
		first += fmt.Sprintf("%s of them in an earlier state, ", term.Grouped(int64(n)))
	}
	return first + "for \"loopstore import\"\n" + t.String(), all
}
