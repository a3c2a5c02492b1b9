// Command loopstore shows the store at work, and looks after its files. Run it without
// arguments for its subcommands.
package main

import (
	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
)

func main() { cli.Main(newRoot()) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "loopstore", Short: "show the store at work, and look after its files",
		Long: "loopstore shows the store at work, and looks after its files: exports, and journals on a\ndisk. What needs servers is in loopstore-servers.",
	}
	root.AddCommand(agentCommand(), benchCommand(), carryCommand(), compactCommand(), demoCommand(), importCommand(), inspectCommand(), salvageCommand(), verifyCommand())
	for name, where := range map[string]string{
		"doctor": "it is in loopstore-servers",
		"export": "a store writes its exports itself, see Loop.ExportFile; \"loopstore salvage\" writes that of a closed journal",
	} {
		root.AddCommand(&cobra.Command{Use: name, Hidden: true, DisableFlagParsing: true, RunE: func(*cobra.Command, []string) error { return cli.Misused(where) }})
	}
	return root
}
