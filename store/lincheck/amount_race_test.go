//go:build race

package lincheck_test

// The race detector makes each several times as slow, so there are fewer.
const (
	histories = 20  // of TestLinearizable
	programs  = 200 // of each test of programs
)
