//go:build !race

package lincheck_test

const (
	histories = 200  // of TestLinearizable
	programs  = 1000 // of each test of programs
)
