package clustertest_test

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/loopstore/loopstore/store/cluster"
)

// A canary is a directory that breaks one promise. If the suite passes it, the suite
// has missed that.
type canary struct {
	name    string // its fault
	promise string // which it breaks
	open    func(testing.TB) func(string) (cluster.Directory, error)
}

func canaries() []canary {
	spoiled := func(name, promise string, spoil func(*spoilt)) canary {
		return canary{name, promise, place(func(string) cluster.Directory {
			s := &spoilt{size: 1 << 30}
			spoil(s)
			return s
		})}
	}
	named := func(name string, change func(string) string) canary {
		return canary{name, "a name is a document of its own, or is refused", func(t testing.TB) func(string) (cluster.Directory, error) {
			open := place(func(string) cluster.Directory { return cluster.NewDirectory() })(t)
			return func(name string) (cluster.Directory, error) { return open(change(name)) }
		}}
	}
	return []canary{
		spoiled("is empty, and not absent", "there is no document before the first write", func(s *spoilt) { s.neverNil = true }),
		spoiled("takes any first revision", "there is no document before the first write", func(s *spoilt) { s.anyFirst = true }),
		spoiled("looks and writes in two steps", "of many who replace a revision one does, and the others change nothing", func(s *spoilt) { s.twoSteps = true }),
		spoiled("is created by all who ask", "of many who create it one does", func(s *spoilt) { s.anyCreates = true }),
		spoiled("takes later revisions", "a write replaces the revision that it names, and no other", func(s *spoilt) { s.later = true }),
		spoiled("writes what it refuses", "a write replaces the revision that it names, and no other", func(s *spoilt) { s.writesRefused = true }),
		spoiled("makes revisions of the bytes", "no revision is used twice", func(s *spoilt) { s.sums = true }),
		spoiled("has 256 revisions", "no revision is used twice", func(s *spoilt) { s.wraps = true }),
		spoiled("answers reads from a copy that lags", "a read sees the last write that has returned, or a later one", func(s *spoilt) { s.lags = true }),
		spoiled("keeps the caller's slice", "the document is copied in and out", func(s *spoilt) { s.keeps = true }),
		spoiled("gives its own slice away", "the document is copied in and out", func(s *spoilt) { s.gives = true }),
		spoiled("takes nothing for no document", "the document is any bytes, none too", func(s *spoilt) { s.emptyIsAbsent = true }),
		spoiled("ends at a zero byte", "the document is any bytes, none too", func(s *spoilt) { s.zeroEnds = true }),
		spoiled("takes 64 KiB", "a document as large as clusters need is taken", func(s *spoilt) { s.size = 64 << 10 }),
		spoiled("cuts what is too large", "a document is stored whole, or refused", func(s *spoilt) { s.size, s.cuts = 1<<20, true }),
		spoiled("says of what is too large that another has written", "a document is stored whole, or refused", func(s *spoilt) { s.size, s.says = 1<<20, true }),
		spoiled("writes when the context has ended", "a call with an ended context returns its error, and writes nothing", func(s *spoilt) { s.writesEnded = true }),
		spoiled("ignores contexts", "a call with an ended context returns its error, and writes nothing", func(s *spoilt) { s.ignoresEnded = true }),
		named("folds case", strings.ToLower),
		named("cleans names", func(name string) string { return strings.ReplaceAll(name, ".", "-") }),
		named("cuts names", func(name string) string { return name[:min(len(name), 63)] }),
		named("trims names", strings.TrimSpace),
		named("ends names at a zero byte", func(name string) string { name, _, _ = strings.Cut(name, "\x00"); return name }),
	}
}

// A spoilt directory is one in memory, with one fault.
type spoilt struct {
	mu       sync.Mutex
	document []byte
	revision uint64
	writes   uint64
	old      []byte // what stood before
	was      uint64
	size     int

	neverNil, anyFirst, twoSteps, anyCreates, later, writesRefused, sums, wraps, lags bool
	keeps, gives, emptyIsAbsent, zeroEnds, cuts, says, writesEnded, ignoresEnded      bool
}

func (s *spoilt) Read(ctx context.Context) ([]byte, uint64, error) {
	if ctx.Err() != nil && !s.ignoresEnded {
		return nil, 0, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.neverNil && s.revision == 0:
		return []byte{}, 0, nil
	case s.emptyIsAbsent && len(s.document) == 0:
		return nil, 0, nil
	case s.gives:
		return s.document, s.revision, nil
	case s.lags && s.writes > 100 && s.writes%10 == 0:
		return bytes.Clone(s.old), s.was, nil
	}
	return bytes.Clone(s.document), s.revision, nil
}

func (s *spoilt) Write(ctx context.Context, document []byte, revision uint64) (bool, error) {
	if ctx.Err() != nil && !s.ignoresEnded {
		if s.writesEnded {
			s.set(document)
		}
		return false, ctx.Err()
	}
	if len(document) > s.size {
		switch {
		case s.says:
			return false, nil
		case !s.cuts:
			return false, errors.New("it is too large")
		}
		document = document[:s.size]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fits := revision == s.revision || s.anyFirst && s.revision == 0 ||
		s.anyCreates && revision == 0 && s.writes < 16 && s.writes > 0 && len(document) < 3 || s.later && revision > s.revision && s.revision > 0
	if s.twoSteps {
		s.mu.Unlock()
		for range 20 {
			runtime.Gosched()
		}
		s.mu.Lock()
	}
	if !fits {
		if s.writesRefused && s.revision > 0 {
			s.document = bytes.Clone(document)
		}
		return false, nil
	}
	s.unlocked(document)
	return true, nil
}

func (s *spoilt) set(document []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlocked(document)
}

func (s *spoilt) unlocked(document []byte) {
	s.old, s.was = s.document, s.revision
	s.writes++
	s.revision++
	switch {
	case s.sums:
		s.revision = uint64(crc32.ChecksumIEEE(document)) + 1
	case s.wraps:
		s.revision = s.writes%256 + 1
	}
	if s.zeroEnds {
		document, _, _ = bytes.Cut(document, []byte{0})
	}
	if s.document = document; !s.keeps {
		s.document = append([]byte{}, document...)
	}
}
