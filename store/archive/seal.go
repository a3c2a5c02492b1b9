package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// A sealer makes what ends each line of a file.
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

// seal returns what comes after the rest of the next line. It is good until the
// next call.
func (s *sealer) seal(rest []byte) []byte {
	s.hash.Write(rest)
	s.text = append(s.text[:0], sealOpening...)
	s.text = hex.AppendEncode(s.text, s.hash.Sum(s.sum[:0])[:sealDigits/2])
	s.text = append(s.text, sealEnd...)
	s.hash.Write(s.text)
	return s.text
}

// digest returns that of all lines so far.
func (s *sealer) digest() string { return hex.EncodeToString(s.hash.Sum(s.sum[:0])) }
