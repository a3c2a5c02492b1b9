package disk_test

import (
	"path/filepath"
	"testing"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
	"github.com/loopstore/loopstore/store/journal/journaltest"
)

func TestConformance(t *testing.T) {
	journaltest.Run(t, journaltest.Factory{
		Open: func(t testing.TB) journal.Engine {
			return disk.New(filepath.Join(t.TempDir(), "journal"), disk.Options{Timeout: -1})
		},
		Exclusive: true,
	})
}
