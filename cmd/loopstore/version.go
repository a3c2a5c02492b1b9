package main

import (
	"context"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/loopstore/loopstore/cmd/loopstore/internal/term"
)

// version is the subcommand. It takes no arguments.
func version(_ context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		term.Say(stderr, "loopstore version: it takes no arguments\n")
		return exitUsage
	}
	info, _ := debug.ReadBuildInfo()
	term.Say(stdout, "%s\n", versionOf(info))
	return exitOK
}

// versionOf takes nil for a binary that says nothing of its build.
func versionOf(info *debug.BuildInfo) string {
	module, goVersion := "(unknown)", runtime.Version()
	if info != nil {
		goVersion = info.GoVersion
		if info.Main.Version != "" {
			module = info.Main.Version
		}
	}
	return "loopstore " + module + " " + goVersion
}
