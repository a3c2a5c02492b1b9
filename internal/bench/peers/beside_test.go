package peers_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
	"github.com/loopstore/loopstore/store/journal/disk"
)

// BenchmarkDurableBeside measures the appends of 1 KB of one writer beside a compaction of
// 590 MB to 290 MB; and those to a raw file beside as many bytes that are written to another
// file, in as much time, and synced once, or in pieces of 16 MB, or beside nothing.
func BenchmarkDurableBeside(b *testing.B) {
	const keys, batch, piece = 440_000, 4000, 16 << 20
	var bytes int64 // of the compacted pages
	var took time.Duration
	rest := func() { require.NoError(b, exec.Command("sync").Run()) }
	b.Run("store=disk", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "journal")
		j, err := disk.New(path, disk.Options{CompactAt: -1}).Open(b.Context(), "", func(journal.Change) error { return nil })
		require.NoError(b, err)
		change := func(from, to int, remove bool) {
			for n := from; n < to; n += batch {
				var changes []journal.Change
				for key := range batch {
					c := journal.Change{Key: fmt.Appendf(nil, "key %08d", n+key), Delete: remove}
					if !remove {
						c.Value = make([]byte, 1<<10)
					}
					changes = append(changes, c)
				}
				_, err := j.Append(b.Context(), journal.Batch{Changes: changes})
				require.NoError(b, err)
			}
		}
		change(0, keys, false)
		change(keys/2, keys, true)
		size := func() int64 {
			info, err := os.Stat(filepath.Join(path, "pages"))
			require.NoError(b, err)
			return info.Size()
		}
		before := size()
		rest()
		took = beside(b, j, func() error { return j.Compact(b.Context(), nil) })
		bytes = size()
		b.ReportMetric(float64(before)/1e6, "before-MB")
		b.ReportMetric(float64(bytes)/1e6, "after-MB")
		require.NoError(b, j.Close(b.Context()))
	})
	for _, syncs := range []string{"none", "once", "pieces"} {
		b.Run("store=raw/syncs="+syncs, func(b *testing.B) {
			dir := b.TempDir()
			file, err := os.Create(filepath.Join(dir, "raw"))
			require.NoError(b, err)
			other, err := os.Create(filepath.Join(dir, "other"))
			require.NoError(b, err)
			block := make([]byte, piece)
			rest()
			beside(b, &rawFile{file: file}, func() error {
				start := time.Now()
				for at := int64(0); at < bytes; at += piece {
					time.Sleep(time.Until(start.Add(time.Duration(float64(took) * float64(at) / float64(bytes)))))
					if syncs == "none" {
						continue
					}
					if _, err := other.Write(block[:min(piece, bytes-at)]); err != nil {
						return err
					}
					if syncs == "pieces" {
						if err := fdatasync(other); err != nil {
							return err
						}
					}
				}
				return other.Sync()
			})
			require.NoError(b, file.Close())
			require.NoError(b, other.Close())
		})
	}
}

// beside appends 1 KB again and again while something is done. It reports how long the
// appends took, and returns how long all of it took.
func beside(b *testing.B, j journal.Journal, do func() error) time.Duration {
	start, done := time.Now(), make(chan error, 1)
	go func() { done <- do() }()
	var took []time.Duration
	for n := byte(0); ; n++ {
		select {
		case err := <-done:
			require.NoError(b, err)
			all := time.Since(start)
			b.ReportMetric(all.Seconds(), "s")
			b.ReportMetric(float64(len(took)), "appends")
			reportQuantiles(b, "", took, 0.5, 0.99, 0.999, 1)
			return all
		default:
		}
		one := time.Now()
		_, err := j.Append(b.Context(), journal.Batch{ID: [16]byte{n}, Changes: []journal.Change{{Key: []byte{n}, Value: make([]byte, 1<<10)}}})
		require.NoError(b, err)
		took = append(took, time.Since(one))
	}
}
