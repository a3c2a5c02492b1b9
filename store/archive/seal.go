package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// A sealer makes the end of each line, with its check.
type sealer struct {
	hash hash.Hash
	sum  [sha256.Size]byte
	text []byte
}

const (
	sealOpening = `,"check":"`
	sealDigits  = 16
	sealEnd     = "\"}\n"
	sealLength  = len(sealOpening) + sealDigits + len(sealEnd)
)

func newSealer() *sealer { return &sealer{hash: sha256.New()} }

// seal takes the next line without its end, and returns that end. The result is
// valid until the next call.
func (s *sealer) seal(rest []byte) []byte {
	s.hash.Write(rest)
	s.text = append(s.text[:0], sealOpening...)
	s.text = hex.AppendEncode(s.text, s.hash.Sum(s.sum[:0])[:sealDigits/2])
	s.text = append(s.text, sealEnd...)
	s.hash.Write(s.text)
	return s.text
}

// digest returns the SHA-256 of all lines so far, in hex.
func (s *sealer) digest() string { return hex.EncodeToString(s.hash.Sum(s.sum[:0])) }
