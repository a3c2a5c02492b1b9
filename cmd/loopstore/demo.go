package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopstore/loopstore"
	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/demo"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/cmd/loopstore/internal/agents"
	"github.com/loopstore/loopstore/store/journal/disk"
)

const demoDuration = 5 * time.Second

func demoCommand() *cobra.Command {
	var f demo.Flags
	var journal, addr, agent string
	var kills int
	cmd := &cobra.Command{
		Use: "demo [SESSION.json ...]", Short: "drive a workload of agent runtimes through a store, and check it",
		Long: demoHelp, Args: cli.Files,
		RunE: func(cmd *cobra.Command, files []string) error {
			if cmd.Flags().Changed("agent") {
				return runAgents(cmd, &f, agent, kills, files)
			}
			if cmd.Flags().Changed("kills") {
				return cli.Misused("--kills goes with --agent")
			}
			if err := f.Read(cmd, demoDuration, files); err != nil {
				return err
			}
			if err := writable(f.Export); err != nil {
				return err
			}
			loop, err := openDemo(cmd.Context(), journal)
			if err != nil {
				return err
			}
			err = runDemo(cmd, &f, loop, addr, len(files) == 0 && journal == "")
			return errors.Join(err, loop.Close())
		},
	}
	flags := cmd.Flags()
	f.Add(flags, demoDuration)
	flags.StringVar(&journal, "journal", "", "keep the store in this `directory`; killed at any moment and started again,\nthe demo continues where it stopped")
	flags.StringVar(&f.Export, "export", "", "export the store to this `file` at the end, for\n\"loopstore inspect\" and \"loopstore verify\"")
	flags.StringVar(&addr, "http", "", "show the store to browsers at this `address`, such as :8080 or\nlocalhost:8080, until Ctrl-C after the report")
	flags.StringVar(&agent, "agent", "", "instead, kill a process with agents again and again, which keeps them in\nthis `directory`, its journal in state, and check what it has left")
	flags.IntVar(&kills, "kills", 30, fmt.Sprintf("with --agent, how often, at most %d", maxKills))
	for _, name := range []string{"journal", "agent"} {
		_ = cmd.MarkFlagDirname(name) // it is there
	}
	return cmd
}

// openDemo opens the partition of a journal that is the demo's own, so that it never
// touches anybody else's runtimes; without a directory a store in memory.
func openDemo(ctx context.Context, journal string) (*loopstore.Loop, error) {
	if journal == "" {
		return loopstore.New(loopstore.Options{}), nil
	}
	return loopstore.Open(ctx, disk.New(journal, disk.Options{}), "demo", loopstore.Options{})
}

// writable returns an error if a file, unless its name is empty, can never be exported to.
func writable(name string) error {
	if name == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Dir(name)); err != nil {
		return cli.Misuse{Err: fmt.Errorf("--export %s: %w", term.Printable(name), err)}
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return cli.Misused(fmt.Sprintf("--export %s: it is there, and is no file", term.Printable(name)))
	}
	return nil
}

func runDemo(cmd *cobra.Command, f *demo.Flags, loop *loopstore.Loop, addr string, payloads bool) error {
	ctx := cmd.Context()
	site, err := openSite(ctx, addr, loop, payloads, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	r := demo.Run(ctx, f.Settings, loop, f.Progress(cmd))
	if err := errors.Join(f.Write(cmd, r), site.stay(ctx, cmd.ErrOrStderr())); err != nil {
		return err
	}
	return r.Verdict(ctx)
}

const maxKills = 1000

// runAgents is demo --agent.
func runAgents(cmd *cobra.Command, f *demo.Flags, dir string, kills int, files []string) error {
	var other string
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if !slices.Contains([]string{"agent", "kills", "json", "quiet"}, flag.Name) {
			other = flag.Name
		}
	})
	switch {
	case other != "":
		return cli.Misused("--" + other + " does not go with --agent")
	case len(files) > 0:
		return cli.Misused("--agent takes no files: its conversations are its own")
	case dir == "":
		return cli.Misused("--agent needs a directory")
	case kills < 0 || kills > maxKills:
		return cli.Misused(fmt.Sprintf("--kills is %d, and must be from 0 to %d", kills, maxKills))
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	progress := demo.NewPlace(f.Progress(cmd))
	o, err := agents.Run(cmd.Context(), agents.Settings{
		Dir: dir, Kills: kills, Child: func() *exec.Cmd { return exec.Command(self, agentCommandName, "--", dir) },
	}, func(line string) { progress.Show(line + "\n") })
	progress.Clear()
	if err != nil {
		return about(dir, err)
	}
	if _, err := readJournal(cmd.Context(), agents.StateIn(dir), nil, 1); err != nil { // as verify does
		return about(agents.StateIn(dir), err)
	}
	if f.JSON {
		err = writeJSON(cmd.OutOrStdout(), o, false)
	} else {
		_, err = io.WriteString(cmd.OutOrStdout(), o.Table())
	}
	if err == nil && !o.OK {
		err = cli.ErrFailed
	}
	return err
}

const agentCommandName = "demo-agent"

// agentCommand is the process that demo --agent kills.
func agentCommand() *cobra.Command {
	return &cobra.Command{
		Use: agentCommandName + " DIR", Hidden: true, Args: cli.Exactly(1, "one directory"),
		RunE: func(cmd *cobra.Command, names []string) error {
			return agents.Serve(cmd.Context(), names[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}
