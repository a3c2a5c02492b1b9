package session

// The reference: a slow reading of session documents that shares nothing with
// the one under test. It parses whole texts into trees and turns trees into
// canonical text, a function for each type. This file is its JSON.

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"unicode/utf8"
)

type refKind int

const (
	nNull refKind = iota
	nBool
	nU64
	nI64
	nF64
	nStr
	nArr
	nObj
)

type refNode struct {
	raw  int // of an object: how many raw values it is in
	room int // of an object: how many bytes raw values in it may have
	k    refKind
	b    bool
	u    uint64
	i    int64
	f    float64
	s    string
	arr  []*refNode
	keys []string
	vals []*refNode
}

var errRefused = errors.New("refused")

type refParser struct {
	s   []byte
	i   int
	rem int
	raw int // how many raw values it is in
	// How many bytes raw values in it may have. Meerkat has no such limit.
	room int
}

func refuse() { panic(errRefused) }

func (p *refParser) space() {
	for p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\n' || p.s[p.i] == '\t' || p.s[p.i] == '\r') {
		p.i++
	}
}
func (p *refParser) peek() int {
	if p.i < len(p.s) {
		return int(p.s[p.i])
	}
	return -1
}
func (p *refParser) literal(t string) {
	if !bytes.HasPrefix(p.s[p.i:], []byte(t)) {
		refuse()
	}
	p.i += len(t)
}
func (p *refParser) hex4() int {
	if p.i+4 > len(p.s) {
		refuse()
	}
	n := 0
	for j := range 4 {
		c := p.s[p.i+j]
		switch {
		case c >= '0' && c <= '9':
			n = n*16 + int(c-'0')
		case c >= 'a' && c <= 'f':
			n = n*16 + int(c-'a') + 10
		case c >= 'A' && c <= 'F':
			n = n*16 + int(c-'A') + 10
		default:
			refuse()
		}
	}
	p.i += 4
	return n
}
func (p *refParser) str(strict bool) string {
	if p.peek() != '"' {
		refuse()
	}
	p.i++
	var o []byte
	for {
		c := p.peek()
		switch {
		case c < 0x20:
			refuse()
		case c == '"':
			p.i++
			if strict && !utf8.Valid(o) {
				refuse()
			}
			return string(o)
		case c == '\\':
			p.i++
			e := p.peek()
			p.i++
			switch e {
			case '"', '\\', '/':
				o = append(o, byte(e))
			case 'b':
				o = append(o, 8)
			case 'f':
				o = append(o, 12)
			case 'n':
				o = append(o, 10)
			case 'r':
				o = append(o, 13)
			case 't':
				o = append(o, 9)
			case 'u':
				h := p.hex4()
				if !strict {
					break
				}
				if h >= 0xDC00 && h <= 0xDFFF {
					refuse()
				}
				if h >= 0xD800 && h <= 0xDBFF {
					if p.peek() != '\\' {
						refuse()
					}
					p.i++
					if p.peek() != 'u' {
						refuse()
					}
					p.i++
					l := p.hex4()
					if l < 0xDC00 || l > 0xDFFF {
						refuse()
					}
					h = 0x10000 + (h-0xD800)<<10 + (l - 0xDC00)
				}
				o = utf8.AppendRune(o, rune(h))
			default:
				refuse()
			}
		default:
			o = append(o, byte(c))
			p.i++
		}
	}
}
func isDigit(c int) bool { return c >= '0' && c <= '9' }

func (p *refParser) value() *refNode {
	p.space()
	switch c := p.peek(); {
	case c == 'n':
		p.literal("null")
		return &refNode{k: nNull}
	case c == 't':
		p.literal("true")
		return &refNode{k: nBool, b: true}
	case c == 'f':
		p.literal("false")
		return &refNode{k: nBool}
	case c == '-' || isDigit(c):
		return p.number()
	case c == '"':
		return &refNode{k: nStr, s: p.str(true)}
	case c == '[':
		n := &refNode{k: nArr}
		p.array(func() { n.arr = append(n.arr, p.value()) })
		return n
	case c == '{':
		n := &refNode{k: nObj, raw: p.raw, room: p.room}
		p.object(func(k string) { n.keys = append(n.keys, k); n.vals = append(n.vals, p.value()) })
		return n
	}
	refuse()
	return nil
}
func (p *refParser) enter() {
	p.rem--
	if p.rem == 0 {
		refuse()
	}
	p.i++
}
func (p *refParser) array(f func()) {
	p.enter()
	for first := true; ; first = false {
		p.space()
		if p.peek() == ']' {
			break
		}
		if !first {
			if p.peek() != ',' {
				refuse()
			}
			p.i++
			p.space()
			if p.peek() == ']' {
				refuse()
			}
		}
		f()
	}
	p.i++
	p.rem++
}
func (p *refParser) object(f func(k string)) {
	p.enter()
	for first := true; ; first = false {
		p.space()
		if p.peek() == '}' {
			break
		}
		if !first {
			if p.peek() != ',' {
				refuse()
			}
			p.i++
			p.space()
		}
		k := p.str(true)
		p.space()
		if p.peek() != ':' {
			refuse()
		}
		p.i++
		p.space()
		f(k)
	}
	p.i++
	p.rem++
}

// ignore_value
func (p *refParser) ignore() {
	p.space()
	switch c := p.peek(); {
	case c == 'n':
		p.literal("null")
	case c == 't':
		p.literal("true")
	case c == 'f':
		p.literal("false")
	case c == '"':
		p.str(false)
	case c == '-' || isDigit(c):
		if c == '-' {
			p.i++
		}
		if !isDigit(p.peek()) {
			refuse()
		}
		if p.peek() == '0' {
			p.i++
			if isDigit(p.peek()) {
				refuse()
			}
		}
		for isDigit(p.peek()) {
			p.i++
		}
		if p.peek() == '.' {
			p.i++
			if !isDigit(p.peek()) {
				refuse()
			}
			for isDigit(p.peek()) {
				p.i++
			}
		}
		if p.peek() == 'e' || p.peek() == 'E' {
			p.i++
			if p.peek() == '+' || p.peek() == '-' {
				p.i++
			}
			if !isDigit(p.peek()) {
				refuse()
			}
			for isDigit(p.peek()) {
				p.i++
			}
		}
	case c == '[':
		p.i++
		for first := true; ; first = false {
			p.space()
			if p.peek() == ']' {
				p.i++
				return
			}
			if !first {
				if p.peek() != ',' {
					refuse()
				}
				p.i++
				p.space()
			}
			p.ignore()
		}
	case c == '{':
		p.i++
		for first := true; ; first = false {
			p.space()
			if p.peek() == '}' {
				p.i++
				return
			}
			if !first {
				if p.peek() != ',' {
					refuse()
				}
				p.i++
				p.space()
			}
			p.str(false)
			p.space()
			if p.peek() != ':' {
				refuse()
			}
			p.i++
			p.ignore()
		}
	default:
		refuse()
	}
}

func writeString(o *bytes.Buffer, s string) {
	o.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			o.WriteByte('\\')
			o.WriteByte(c)
		case c == 8:
			o.WriteString(`\b`)
		case c == 9:
			o.WriteString(`\t`)
		case c == 10:
			o.WriteString(`\n`)
		case c == 12:
			o.WriteString(`\f`)
		case c == 13:
			o.WriteString(`\r`)
		case c < 32:
			fmt.Fprintf(o, `\u%04x`, c)
		default:
			o.WriteByte(c)
		}
	}
	o.WriteByte('"')
}

const refRawKey = "$serde_json::private::RawValue"

func writeJSON(o *bytes.Buffer, n *refNode) {
	switch n.k {
	case nNull:
		o.WriteString("null")
	case nBool:
		fmt.Fprint(o, n.b)
	case nU64:
		fmt.Fprint(o, n.u)
	case nI64:
		fmt.Fprint(o, n.i)
	case nF64:
		o.WriteString(formatFloat(n.f))
	case nStr:
		writeString(o, n.s)
	case nArr:
		o.WriteByte('[')
		for i, e := range n.arr {
			if i > 0 {
				o.WriteByte(',')
			}
			writeJSON(o, e)
		}
		o.WriteByte(']')
	case nObj:
		if len(n.keys) > 0 && n.keys[0] == refRawKey {
			if n.vals[0].k != nStr || len(n.keys) > 1 {
				refuse()
			}
			room := n.room
			if n.raw == 0 {
				room = max(2*len(n.vals[0].s), 4<<10)
			}
			if n.raw == 8 || len(n.vals[0].s) > room {
				refuse()
			}
			p := &refParser{s: []byte(n.vals[0].s), rem: 128, raw: n.raw + 1, room: room - len(n.vals[0].s)}
			v := p.value()
			p.space()
			if p.i != len(p.s) {
				refuse()
			}
			writeJSON(o, v)
			return
		}
		writeSorted(o, n)
	}
}
func writeSorted(o *bytes.Buffer, n *refNode) {
	m := map[string]string{}
	for i, k := range n.keys {
		var b bytes.Buffer
		writeJSON(&b, n.vals[i])
		m[k] = b.String()
	}
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	sort.Strings(ks)
	o.WriteByte('{')
	for i, k := range ks {
		if i > 0 {
			o.WriteByte(',')
		}
		writeString(o, k)
		o.WriteByte(':')
		o.WriteString(m[k])
	}
	o.WriteByte('}')
}
