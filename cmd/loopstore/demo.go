package main

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/demo"
	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
)

// runDemo is the subcommand.
func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var f demoFlags
	files, err := f.parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		term.Say(stderr, "loopstore demo: %v\n\"loopstore demo -h\" lists the flags\n", err)
		return exitUsage
	}
	if f.Documents, err = demo.ReadDocuments(files); err != nil {
		term.Say(stderr, "loopstore demo: %v\n", err)
		return exitUsage
	}
	for _, note := range f.notes {
		term.Say(stderr, "note: %s\n", note)
	}
	progress := stderr
	if f.quiet {
		progress = io.Discard
	}
	d, err := demo.Start(ctx, f.Settings, progress)
	if err != nil {
		term.Say(stderr, "loopstore demo: %v\n", err)
		return interruptedOr(ctx, exitFailed)
	}
	site, err := openSite(f.http, d.Loop(), len(files) == 0 && f.Journal == "", stderr)
	if err != nil {
		term.Say(stderr, "loopstore demo: %v\n", errors.Join(err, d.Close()))
		return exitFailed
	}
	r := d.Run(ctx, progress)
	write := r.WriteTable
	if f.json {
		write = r.WriteJSON
	}
	if err := errors.Join(write(stdout), site.stay(ctx, stderr), d.Close()); err != nil {
		term.Say(stderr, "loopstore demo: %v\n", err)
		return exitFailed
	}
	return exitCode(ctx, r)
}

// exitCode returns that of a demo that was run under ctx.
func exitCode(ctx context.Context, r *demo.Report) int {
	switch {
	case !r.OK:
		return exitFailed
	case r.Interrupted:
		return interruptedOr(ctx, exitOK)
	}
	return exitOK
}
