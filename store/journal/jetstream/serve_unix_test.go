//go:build unix

package jetstream_test

import "github.com/loopstore/loopstore/store/journal/jetstream/jetstreamtest/network"

// serve makes this process one of the servers of a network, if it was started for that.
func serve() { network.Serve() }
