// Command loopstore-servers is for servers that keep journals: it checks them, and shows a
// cluster on servers of its own. Run it without arguments for its subcommands.
package main

import (
	"github.com/spf13/cobra"

	"github.com/loopstore/loopstore/cmd/internal/cli"
)

func main() { cli.Main(newRoot()) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use: "loopstore-servers", Short: "check servers that keep journals, and show a cluster",
		Long: "loopstore-servers is for servers that keep journals: it checks NATS and PostgreSQL servers,\nand shows a cluster on servers of its own. What needs no servers is in loopstore.",
	}
	root.AddCommand(demoCommand(), doctorCommand())
	return root
}
