package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
	"github.com/loopstore/loopstore/cmd/internal/demo"
	"github.com/loopstore/loopstore/cmd/internal/term"
	"github.com/loopstore/loopstore/cmd/loopstore-servers/internal/crew"
)

const (
	fewestMembers = 2
	mostMembers   = 9

	demoDuration  = 15 * time.Second
	leastDuration = 10 * time.Second // enough for all that happens, on most machines
)

func demoCommand() *cobra.Command {
	var f demo.Flags
	var members int
	cmd := &cobra.Command{
		Use: "demo [SESSION.json ...]", Short: "drive a workload through a cluster whose members and servers fail, and check it",
		Long: demoHelp, Args: cli.Files,
		RunE: func(cmd *cobra.Command, files []string) error {
			if members < fewestMembers || members > mostMembers {
				return cli.Misused(fmt.Sprintf("--members is %d, and must be from %d to %d", members, fewestMembers, mostMembers))
			}
			if err := f.Read(cmd, demoDuration, files); err != nil {
				return err
			}
			if f.Duration > 0 && f.Duration < leastDuration {
				demo.Note(cmd, "%s may be too short: a kill, the take-over and the stop of a server need about %s", term.Brief(f.Duration), leastDuration)
			}
			return runDemo(cmd, &f, members)
		},
	}
	f.Add(cmd.Flags(), demoDuration)
	cmd.Flags().IntVar(&members, "members", 3, fmt.Sprintf("how many members there are, from %d to %d", fewestMembers, mostMembers))
	return cmd
}

func runDemo(cmd *cobra.Command, f *demo.Flags, members int) error {
	ctx, progress := cmd.Context(), f.Progress(cmd)
	term.Say(progress, "starting %s on %d NATS servers\n", term.Counted(int64(members), "member"), crew.Servers)
	c, err := crew.Start(ctx, members)
	if err != nil {
		return err
	}
	r := demo.RunOn(ctx, f.Settings, c, progress)
	if err := errors.Join(f.Write(cmd, r), c.Close()); err != nil {
		return err
	}
	return r.Verdict(ctx)
}
