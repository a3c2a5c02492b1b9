//go:build !race

package archive_test

const (
	seeds = 50 // of TestRoundTripIsExact
	every = 1  // of so many bytes of the sample one is cut or altered
)
