package lincheck_test

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// FuzzPrograms uses its bytes as the choices of a program, runs the program on a Loop,
// and compares each answer with the model's.
func FuzzPrograms(f *testing.F) {
	random := rand.NewChaCha8([32]byte{})
	for size := 1 << 8; size <= 1<<14; size <<= 1 {
		choices := make([]byte, size)
		_, _ = random.Read(choices)
		f.Add(choices)
	}
	f.Fuzz(rapid.MakeFuzz(checkLoop))
}
