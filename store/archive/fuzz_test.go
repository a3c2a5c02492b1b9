package archive_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/archive"
)

// FuzzRead reads anything, as it is and with its checks made right, without a
// panic. What is accepted is what would be written, or was in an earlier version.
func FuzzRead(f *testing.F) {
	f.Add(sample(f), false)
	f.Add([]byte(strings.Join(unseal(sample(f)), "\n")), true)
	f.Add([]byte(strings.Join(unseal(write(f, exported())), "\n")), true)
	f.Add(sampleOfVersion3(f), false)
	f.Add([]byte(strings.Join(unseal(sampleOfVersion3(f)), "\n")), true)
	f.Add(sampleOfVersion1(f), false)
	f.Add([]byte(strings.Join(unseal(sampleOfVersion1(f)), "\n")), true)
	f.Fuzz(func(t *testing.T, file []byte, sealed bool) {
		if sealed {
			file = sealAll(strings.Split(string(file), "\n"))
		}
		state, err := archive.Read(bytes.NewReader(file))
		if err != nil {
			require.Nil(t, state)
			return
		}
		again := write(t, state)
		if !bytes.HasPrefix(file, []byte(`{"type":"header","format":"loopstore","version":3,`)) {
			file = write(t, read(t, again))
		}
		require.Equal(t, string(file), string(again))
	})
}
