//go:build race

package lincheck_test

// The race detector makes each of them several times slower, so there are fewer.
const (
	histories = 20  // of TestLinearizable
	programs  = 200 // of each test of programs
)
