package archive

import (
	"errors"
	"fmt"
)

// An Error says which line of a file is not as Write writes it, and why. It quotes
// nothing of the file. It wraps io.ErrUnexpectedEOF if the file ends too early,
// and ErrVersion if another version wrote it.
type Error struct {
	Line int // from 1
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what was wrong.
func (e *Error) Unwrap() error { return e.Err }

// ErrVersion means that the file's version of the format is unknown, most likely
// because it is newer.
var ErrVersion = errors.New("unknown version of the format")

// What else may be wrong with a line.
var (
	errFormat   = errors.New("not an export of loopstore")
	errLineEnds = errors.New("its lines end in CR LF, and those of an export in LF: something has converted it")
	errCheck    = errors.New("it does not match its check: it was altered or moved, or a line before it is missing")
	errSpelling = errors.New("not spelled as it is written")
	errRevision = errors.New("no store comes to such a revision")
	errTwice    = errors.New("there is one with its id already")
	errTwo      = errors.New("more than one snapshot")
	errSequence = errors.New("the sequences do not ascend to the highest")
	errVersion  = errors.New("the version is not one of the revisions")
	errCounts   = errors.New("the header's counts are not those of the lines")
	errDigest   = errors.New("the session has another digest, or number of messages")
	errNumber   = errors.New("the numbers of the versions do not ascend from 1")
	errOrigin   = errors.New("forked from no version")
	errPart     = errors.New("neither bytes nor a list, or both, or more than a part has")
	errPartNext = errors.New("not the number of the part that comes next")
	errListed   = errors.New("a list of parts that do not come before it, in their order, each once")
	errLevels   = errors.New("a list of parts on other levels, or on too many")
	errRepeated = errors.New("a text that has a part twice")
	errTooLong  = errors.New("a text longer than all that the file has")
	errRoot     = errors.New("a text of parts that are not there, or do not belong to it")
	errRunID    = errors.New("a receipt of another run")
	errTime     = errors.New("a time that is a leap second, or none from 1970 to 2262")
	errLatest   = errors.New("no latest receipt, or none that is there")
	errEmptyRun = errors.New("a run without receipts")
	errFiled    = errors.New("filed by a runtime that is not there, or with no snapshot")
	errEnd      = errors.New("the number of lines or their SHA-256 is another")
	errMore     = errors.New("more lines after the end")
)
