package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exactly takes n arguments, which are files or directories; takes says what they are.
func Exactly(n int, takes string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return ValueError(fmt.Sprintf("it takes %s, not %d", takes, len(args)))
		}
		return Files(nil, args)
	}
}

// Files takes any number of files. What is there is one, whatever its name is.
func Files(_ *cobra.Command, args []string) error {
	for _, arg := range args {
		if _, err := os.Lstat(arg); err != nil && IsConnection(arg) {
			return ValueError("it takes files, and not how a server is reached")
		}
	}
	return nil
}

// None takes no arguments.
func None(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return ValueError(fmt.Sprintf("it takes no arguments but flags, not %d", len(args)))
	}
	return nil
}

// twoDashes returns the arguments with two dashes before every flag that has a longer name
// than a letter, as pflag wants it. Package flag takes one as well, and so do we.
func twoDashes(root *cobra.Command, args []string) []string {
	args = append([]string(nil), args...)
	cmd := root
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		arg := args[i]
		if !strings.HasPrefix(arg, "-") {
			if sub := commandOf(cmd, arg); sub != nil {
				cmd = sub
			}
			continue
		}
		name, _, valued := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		flag := flagOf(cmd, name)
		if !strings.HasPrefix(arg, "--") && len(name) > 1 && (flag != nil || isWord(name)) {
			args[i] = "-" + arg
		}
		if flag != nil && flag.NoOptDefVal == "" && !valued {
			i++ // what follows is its value
		}
	}
	return args
}

func commandOf(cmd *cobra.Command, name string) *cobra.Command {
	for _, sub := range cmd.Commands() {
		if sub.Name() == name {
			return sub
		}
	}
	return nil
}

// flagOf finds a flag, which may come before its command.
func flagOf(cmd *cobra.Command, name string) *pflag.Flag {
	flag := cmd.Flags().Lookup(name)
	for _, sub := range cmd.Commands() {
		if flag == nil {
			flag = sub.Flags().Lookup(name)
		}
	}
	return flag
}
