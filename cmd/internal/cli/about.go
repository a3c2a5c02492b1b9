package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"github.com/loopstore/loopstore/cmd/internal/term"
)

func version() string {
	info, _ := debug.ReadBuildInfo()
	return versionOf(info)
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
	return module + " " + goVersion
}

func versionCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the versions of the module and of Go", Args: None,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", root.Name(), root.Version)
			return err
		},
	}
}

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "show the help of a command",
		ValidArgsFunction: func(*cobra.Command, []string, string) (all []string, _ cobra.ShellCompDirective) {
			for _, cmd := range root.Commands() {
				if cmd.IsAvailableCommand() {
					all = append(all, cmd.Name()+"\t"+cmd.Short)
				}
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(help *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return misread(help, unknown(root, "command", strings.Join(args, " ")))
			}
			if cmd.Hidden {
				return cmd.RunE(help, nil)
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// completionCommand finishes cobra's.
func completionCommand(cmd *cobra.Command) {
	cmd.Short = "write what lets a shell complete a command"
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return misread(cmd, unknown(cmd, "shell", args[0]))
		}
		return misread(cmd, ValueError("it takes a shell: bash, fish, powershell or zsh"))
	}
	for _, shell := range cmd.Commands() {
		shell.Args = None
	}
}

// completes reports whether a shell asks for what can come next.
func completes(args []string) bool {
	return len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd)
}

// quietCompletion keeps cobra from writing what was typed where nobody looks, which it does
// past the command's outputs.
func quietCompletion() {
	_ = os.Unsetenv("BASH_COMP_DEBUG_FILE")
	if nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = nowhere
	}
}

// plainUsages takes out of what flags are for what only the help understands: ends of
// lines, and quotes around the name of a value.
func plainUsages(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = strings.NewReplacer("\n", " ", "`", "").Replace(f.Usage) })
	}
}

func manCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "write manual pages into a directory", Args: Exactly(1, "one directory"),
		Long:              "man writes a manual page for each command into DIR, which must be there.",
		ValidArgsFunction: CompleteDirs,
		RunE: func(cmd *cobra.Command, args []string) error {
			root.DisableAutoGenTag = true
			header := doc.GenManHeader{Section: "1", Source: root.Name() + " " + strings.Fields(root.Version)[0], Manual: " "}
			if info, err := os.Stat(args[0]); err != nil {
				return Misuse{Err: err}
			} else if !info.IsDir() {
				return Misused("it takes a directory, and this is none")
			}
			if err := doc.GenManTree(root, &header, args[0]); err != nil {
				return err
			}
			term.Say(cmd.OutOrStdout(), "the pages are in %s: \"man %s\" shows the first\n", term.Printable(args[0]), term.Printable(filepath.Join(args[0], root.Name()+".1")))
			return nil
		},
	}
}

// CompleteDirs lets a shell complete arguments with directories.
func CompleteDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
