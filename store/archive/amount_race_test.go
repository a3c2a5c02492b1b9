//go:build race

package archive_test

// Nothing here runs at the same time as anything else, and the race detector
// makes it several times as slow: it sees a part.
const (
	seeds = 25 // of TestRoundTripIsExact
	every = 7  // of so many bytes of the sample one is cut or altered
)
