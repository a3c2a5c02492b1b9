package session

// The reference's numbers: see reference_json_test.go.

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// number like serde_json, streaming
func (p *refParser) number() *refNode {
	pos := true
	if p.peek() == '-' {
		pos = false
		p.i++
	}
	c := p.peek()
	if !isDigit(c) {
		refuse()
	}
	p.i++
	if c == '0' {
		if isDigit(p.peek()) {
			refuse()
		}
		return p.afterInt(pos, 0)
	}
	s := uint64(c - '0')
	for isDigit(p.peek()) {
		d := uint64(p.peek() - '0')
		if overflows(s, d) {
			e := int32(0)
			for isDigit(p.peek()) {
				p.i++
				e++
			}
			switch p.peek() {
			case '.':
				return floatNode(p.decimals(pos, s, e))
			case 'e', 'E':
				return floatNode(p.exponent(pos, s, e))
			}
			return floatNode(fromParts(pos, s, e))
		}
		p.i++
		s = s*10 + d
	}
	return p.afterInt(pos, s)
}
func floatNode(f float64) *refNode { return &refNode{k: nF64, f: f} }
func overflows(s, d uint64) bool {
	const m = math.MaxUint64
	return s >= m/10 && (s > m/10 || d > m%10)
}
func (p *refParser) afterInt(pos bool, s uint64) *refNode {
	switch p.peek() {
	case '.':
		return floatNode(p.decimals(pos, s, 0))
	case 'e', 'E':
		return floatNode(p.exponent(pos, s, 0))
	}
	if pos {
		return &refNode{k: nU64, u: s}
	}
	n := -int64(s)
	if n >= 0 {
		return floatNode(negate(float64(s)))
	}
	return &refNode{k: nI64, i: n}
}
func negate(f float64) float64 { return math.Copysign(f, -1) }
func (p *refParser) decimals(pos bool, s uint64, e int32) float64 {
	p.i++
	after := int32(0)
	for isDigit(p.peek()) {
		d := uint64(p.peek() - '0')
		if overflows(s, d) {
			for isDigit(p.peek()) {
				p.i++
			}
			if p.peek() == 'e' || p.peek() == 'E' {
				return p.exponent(pos, s, e+after)
			}
			return fromParts(pos, s, e+after)
		}
		p.i++
		s = s*10 + d
		after--
	}
	if after == 0 {
		refuse()
	}
	if p.peek() == 'e' || p.peek() == 'E' {
		return p.exponent(pos, s, e+after)
	}
	return fromParts(pos, s, e+after)
}
func (p *refParser) exponent(pos bool, s uint64, start int32) float64 {
	p.i++
	pe := true
	if p.peek() == '+' {
		p.i++
	} else if p.peek() == '-' {
		p.i++
		pe = false
	}
	if !isDigit(p.peek()) {
		refuse()
	}
	e := int64(0)
	over := false
	for isDigit(p.peek()) {
		if !over {
			e = e*10 + int64(p.peek()-'0')
			if e > math.MaxInt32 {
				over = true
				if s != 0 && pe {
					refuse()
				}
			}
		}
		p.i++
	}
	if over {
		if pos {
			return 0
		}
		return negate(0)
	}
	var f int64
	if pe {
		f = int64(start) + e
	} else {
		f = int64(start) - e
	}
	f = max(min(f, math.MaxInt32), math.MinInt32)
	return fromParts(pos, s, int32(f))
}
func fromParts(pos bool, s uint64, e int32) float64 {
	f := float64(s)
	x := int64(e)
	for {
		a := x
		if a < 0 {
			a = -a
		}
		if a <= 308 {
			pw, _ := strconv.ParseFloat(fmt.Sprintf("1e%d", a), 64)
			if x >= 0 {
				f *= pw
				if math.IsInf(f, 0) {
					refuse()
				}
			} else {
				f /= pw
			}
			break
		}
		if f == 0 {
			break
		}
		if x >= 0 {
			refuse()
		}
		f /= 1e308
		x += 308
	}
	if pos {
		return f
	}
	return negate(f)
}

func formatFloat(f float64) string {
	if f == 0 {
		if math.Signbit(f) {
			return "-0.0"
		}
		return "0.0"
	}
	sg := ""
	if f < 0 {
		sg = "-"
		f = -f
	}
	t := strconv.FormatFloat(f, 'e', -1, 64) // d.ddde[+-]xx
	m, es, _ := strings.Cut(t, "e")
	e, _ := strconv.Atoi(es)
	d := strings.Replace(m, ".", "", 1)
	kk := e + 1
	switch {
	case kk > 0 && kk <= 16:
		if len(d) <= kk {
			return sg + d + strings.Repeat("0", kk-len(d)) + ".0"
		}
		return sg + d[:kk] + "." + d[kk:]
	case kk > -5 && kk <= 0:
		return sg + "0." + strings.Repeat("0", -kk) + d
	}
	r := d[:1]
	if len(d) > 1 {
		r += "." + d[1:]
	}
	if e >= 0 {
		return sg + r + "e+" + strconv.Itoa(e)
	}
	return sg + r + "e" + strconv.Itoa(e)
}
