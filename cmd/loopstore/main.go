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
	root.AddCommand(benchCommand(), carryCommand(), compactCommand(), demoCommand(), importCommand(), inspectCommand(), salvageCommand(), verifyCommand())
	return root
}
