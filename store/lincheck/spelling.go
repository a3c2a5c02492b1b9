package lincheck

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// A node is a JSON value that can be spelled in several ways.
type node interface{ write(*speller) }

// A scalar has a canonical spelling, and possibly another one.
type scalar struct{ canonical, other string }

type array []node

// A typed object has the members of its type, in their order. A reader ignores others.
type typed []member

// A strict object is a typed one with which a reader refuses other members.
type strict []member

// A mapping is an object with any members, in ascending order. Of two members with the
// same name, the last one counts.
type mapping []member

type member struct {
	name      string
	value     node
	isDefault bool // the member may be left out
}

// A speller writes JSON in its canonical spelling, or in a random one.
type speller struct {
	strings.Builder
	chance *rand.Rand // nil for the canonical one
}

// spell returns the canonical text for seed 0, and random spellings for other seeds.
func spell(n node, seed uint64) string {
	var s speller
	if seed != 0 {
		s.chance = rand.New(rand.NewPCG(seed, 0))
	}
	n.write(&s)
	return s.String()
}

// differs is true once in n times, and never for the canonical spelling.
func (s *speller) differs(n int) bool { return s.chance != nil && s.chance.IntN(n) == 0 }

func (s *speller) space() {
	if s.differs(4) {
		s.WriteString([]string{" ", "\n\t", "\r\n"}[s.chance.IntN(3)])
	}
}

func (s *speller) shuffled(members []member) []member {
	members = slices.Clone(members)
	if s.chance != nil {
		s.chance.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	}
	return members
}

func (v scalar) write(s *speller) {
	if v.other != "" && s.differs(2) {
		s.WriteString(v.other)
	} else {
		s.WriteString(v.canonical)
	}
}

func (v array) write(s *speller) {
	s.WriteByte('[')
	for i, item := range v {
		s.item(i, item)
	}
	s.WriteByte(']')
}

func (v typed) write(s *speller) {
	members := slices.DeleteFunc(slices.Clone(v), func(m member) bool { return m.isDefault && s.differs(2) })
	if s.differs(3) {
		members = append(members, member{name: "unknown", value: array{number("1")}})
	}
	s.object(s.shuffled(members))
}

func (v strict) write(s *speller) { s.object(s.shuffled(v)) }

func (v mapping) write(s *speller) {
	members := s.shuffled(v)
	if len(v) > 0 && s.differs(3) {
		members = slices.Insert(members, 0, member{name: v[0].name, value: number("1")})
	}
	s.object(members)
}

func (s *speller) object(members []member) {
	s.WriteByte('{')
	for i, m := range members {
		s.item(i, m)
	}
	s.WriteByte('}')
}

func (m member) write(s *speller) {
	s.WriteString(`"` + m.name + `"`)
	s.space()
	s.WriteByte(':')
	s.space()
	m.value.write(s)
}

func (s *speller) item(i int, n node) {
	if i > 0 {
		s.WriteByte(',')
	}
	s.space()
	n.write(s)
	s.space()
}
