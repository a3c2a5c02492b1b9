package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/cmd/internal/demo"
)

var workloadTime = flag.Duration("workload", 5*time.Second, "how long BenchmarkWritten lets the workload run; give it a few checkpoints")

// BenchmarkWritten measures how many bytes are written for each byte of a key or a value
// that the workload appends to its journal, in three ways:
//
//   - called: what the process gives to the system in calls that write.
//   - process: what the system says that the process has caused to be written. Where it
//     keeps pages in groups, it counts a whole group for a part of it, and then this is
//     far too much.
//   - device: what the disk was given, by all processes: nothing else may write.
//
// An operation is a whole workload, which must be on a disk, see TMPDIR:
//
//	go test -run - -bench Written -benchtime 1x -workload 2m .
func BenchmarkWritten(b *testing.B) {
	documents, err := demo.ReadDocuments(b.Context(), nil)
	require.NoError(b, err)
	var all written
	var journaled, appends, turns uint64
	for b.Loop() {
		dir := b.TempDir()
		before := writtenUntilNow(b, dir)
		journal := filepath.Join(dir, "journal")
		loop, err := openDemo(b.Context(), journal)
		require.NoError(b, err)
		r := demo.Run(b.Context(), demo.Settings{Runtimes: 100, Callers: 8, Duration: *workloadTime, Documents: documents}, loop, io.Discard)
		require.NoError(b, loop.Close())
		require.True(b, r.OK, "%v%v", r.Errors, r.Failures)
		for way, n := range writtenUntilNow(b, dir) {
			all[way] += n - before[way]
		}
		journaled += r.Journal.Bytes
		appends += r.Journal.Appends
		turns += uint64(r.Turns)
		require.NoError(b, os.RemoveAll(journal))
	}
	for way, n := range all {
		if n > 0 { // nobody counts it otherwise
			b.ReportMetric(float64(n)/float64(journaled), [...]string{"called", "process", "device"}[way]+"/journaled")
		}
	}
	b.ReportMetric(float64(journaled)/float64(b.N)/(1<<20), "journaled-MiB")
	b.ReportMetric(float64(journaled)/float64(appends), "B/append")
	b.ReportMetric(float64(turns)/float64(b.N), "turns")
}

// written are bytes, counted in the ways of BenchmarkWritten.
type written [3]uint64

func writtenUntilNow(b *testing.B, dir string) (w written) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip("this system does not count what a process writes:", err)
	}
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "wchar: %d", &w[0])
		_, _ = fmt.Sscanf(line, "write_bytes: %d", &w[1])
	}
	w[2] = writtenToDevice(b, dir)
	return w
}

// writtenToDevice returns how many bytes were written to the disk that a directory is on,
// 0 if it is on none.
func writtenToDevice(b *testing.B, dir string) uint64 {
	b.Helper()
	info, err := os.Stat(dir)
	require.NoError(b, err)
	dev := info.Sys().(*syscall.Stat_t).Dev
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", dev>>8&0xfff, dev&0xff|dev>>12&^0xff))
	if err != nil {
		return 0
	}
	const sector = 512
	var figures [7]uint64 // see block/stat in the kernel's documentation; the last are the sectors written
	args := make([]any, len(figures))
	for i := range figures {
		args[i] = &figures[i]
	}
	_, err = fmt.Sscan(string(text), args...)
	require.NoError(b, err)
	return figures[6] * sector
}
