package files

import (
	"errors"
	"io"
	"os"
)

// A Patient reads a file on a disk that fails: what cannot be read reads as zeros.
type Patient struct {
	File *os.File
	Size int64
	Note func(at int64, err error) // is told of what cannot be read

	noted map[int64]bool
}

// OpenPatient opens a file for reading alone.
func OpenPatient(path string, note func(at int64, err error)) (*Patient, error) {
	f, err := OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Patient{File: f, Size: info.Size(), Note: note, noted: map[int64]bool{}}, nil
}

// block is what is given up where something cannot be read.
const block = 4096

// ReadAt implements io.ReaderAt. Its only error is io.EOF.
func (p *Patient) ReadAt(b []byte, at int64) (n int, err error) {
	n = int(min(int64(len(b)), max(p.Size-at, 0)))
	if n < len(b) {
		err = io.EOF
	}
	if _, failed := p.File.ReadAt(b[:n], at); failed == nil || n == 0 {
		return n, err
	}
	for from := 0; from < n; {
		to := min(n, from+block-int((at+int64(from))%block))
		if _, failed := p.File.ReadAt(b[from:to], at+int64(from)); failed != nil {
			clear(b[from:to])
			if begin := (at + int64(from)) / block * block; !p.noted[begin] {
				p.noted[begin] = true
				p.Note(begin, failed)
			}
		}
		from = to
	}
	return n, err
}
