//go:build unix

package service_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest/network"
)

var (
	minutes = flag.Float64("minutes", 0, "how long faults go on, one after another; 0 is a short run with some of them")
	seed    = flag.Uint64("seed", 1, "chooses the victims")
)

// TestMain also is the main function of servers and members.
func TestMain(m *testing.M) {
	network.Serve()
	if urls := os.Getenv(memberEnv); urls != "" {
		if err := serve(urls); err != nil {
			fmt.Fprintln(os.Stderr, "member:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
