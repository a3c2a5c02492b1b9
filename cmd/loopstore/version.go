package main

import (
	"context"
	"io"
	"runtime"
	"runtime/debug"
)

// version is the subcommand. It takes no arguments.
func version(_ context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		say(stderr, "loopstore version: it takes no arguments\n")
		return exitUsage
	}
	info, _ := debug.ReadBuildInfo()
	say(stdout, "%s\n", versionOf(info))
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
