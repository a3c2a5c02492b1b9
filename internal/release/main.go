// Command release keeps what the modules of this repository say of each other, and
// tries a release before it is one. docs/releasing.md says when to use what:
//
//	.ci/release set VERSION    requires and replaces of our own modules
//	.ci/release check          what must hold in every commit
//	.ci/release tidy [-diff]   go mod tidy in all modules
//	.ci/release tags           the tags of the release, in order
//	.ci/release proxy DIR      a module proxy of files, as after tagging
//	.ci/release rehearse       install and get everything from one
//
// A module is released if .ci/go.work uses it. Nothing else says so: a released module
// must not have a replace directive, and any other needs one for each of our modules
// that it requires.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
)

const usage = "usage: release set VERSION | check | tidy [-diff] | tags | proxy DIR | rehearse"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is main for a command line in a directory of the repository.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	root, err := rootOf(".")
	if err != nil {
		return err
	}
	repo, err := load(root)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return errors.New(usage)
	}
	switch command, rest := args[0], args[1:]; {
	case command == "set" && len(rest) == 1:
		return repo.set(rest[0])
	case command == "check" && len(rest) == 0:
		return repo.check(ctx)
	case command == "tidy" && len(rest) == 0:
		return repo.tidy(ctx)
	case command == "tidy" && len(rest) == 1 && rest[0] == "-diff":
		return repo.tidied(ctx)
	case command == "tags" && len(rest) == 0:
		tags, err := repo.tags(ctx)
		for _, tag := range tags {
			_, _ = fmt.Fprintln(stdout, tag)
		}
		return err
	case command == "proxy" && len(rest) == 1:
		return repo.proxy(ctx, rest[0])
	case command == "rehearse" && len(rest) == 0:
		return repo.rehearse(ctx, stdout)
	}
	return errors.New(usage)
}
