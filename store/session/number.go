package session

import (
	"math"
	"slices"
	"strconv"
)

// A number is an integer of 64 bits or a float, as in Meerkat.
type number struct {
	kind numberKind
	bits uint64 // the value, its magnitude, or the float's bits
}

type numberKind uint8

const (
	positive numberKind = iota
	negative
	float
)

// pow10 holds 1e0 to 1e308.
var pow10 = func() (t [309]float64) {
	for i := range t {
		t[i], _ = strconv.ParseFloat("1e"+strconv.Itoa(i), 64)
	}
	return t
}()

func (r *reader) digit() bool {
	return r.pos < len(r.in) && r.in[r.pos]-'0' <= 9
}

// skipNumber skips a number of any size.
func (r *reader) skipNumber() error {
	if r.in[r.pos] == '-' {
		r.pos++
	}
	switch {
	case !r.digit():
		return r.fail("invalid number")
	case r.in[r.pos] == '0':
		r.pos++
		if r.digit() {
			return r.fail("number with a leading zero")
		}
	default:
		r.skipDigits()
	}
	if r.literal(".") && !r.skipDigits() {
		return r.fail("invalid number")
	}
	if r.literal("e") || r.literal("E") {
		if !r.literal("+") {
			r.literal("-")
		}
		if !r.skipDigits() {
			return r.fail("invalid number")
		}
	}
	return nil
}

func (r *reader) skipDigits() bool {
	start := r.pos
	for r.digit() {
		r.pos++
	}
	return r.pos > start
}

// number reads a number as Meerkat does. A float is not rounded correctly: its
// first digits make a 64-bit significand, as many as fit, and that is multiplied
// or divided once by a power of ten.
func (r *reader) number() (number, error) {
	start := r.pos
	if err := r.skipNumber(); err != nil {
		return number{}, err
	}
	text := r.in[start:r.pos]
	minus := text[0] == '-'
	if minus {
		text = text[1:]
	}

	var significand uint64
	exponent, i, whole := int64(0), 0, true
	full := false
	for ; i < len(text) && text[i]|0x20 != 'e'; i++ {
		if text[i] == '.' { // decimals may fit again after digits that did not
			whole, full = false, false
			continue
		}
		d := uint64(text[i] - '0')
		full = full || significand > (math.MaxUint64-d)/10
		switch {
		case !full:
			significand = significand*10 + d
			if !whole {
				exponent--
			}
		case whole:
			exponent++
		}
	}
	if whole && !full && i == len(text) {
		switch {
		case !minus:
			return number{positive, significand}, nil
		case significand > 0 && significand <= 1<<63:
			return number{negative, significand}, nil
		}
	}

	explicit := int64(0)
	if i < len(text) {
		explicit = readExponent(text[i+1:])
	}
	f, ok := scale(significand, exponent, explicit)
	if !ok {
		r.pos = start
		return number{}, r.fail("number out of range")
	}
	if minus {
		f = -f
	}
	return number{float, math.Float64bits(f)}, nil
}

// hugeExponent stands for any exponent that does not fit 32 bits. The digits'
// own exponent is bounded by the text's length and cannot offset it.
const hugeExponent = int64(math.MaxInt32 + 1)

func readExponent(text []byte) int64 {
	minus := text[0] == '-'
	if minus || text[0] == '+' {
		text = text[1:]
	}
	n := int64(0)
	for _, c := range text {
		n = min(n*10+int64(c-'0'), hugeExponent)
	}
	if minus {
		return -n
	}
	return n
}

// scale returns significand × 10^(exponent+explicit), and false if that is out of
// range.
func scale(significand uint64, exponent, explicit int64) (float64, bool) {
	f := float64(significand)
	if f == 0 || explicit == -hugeExponent {
		return 0, true
	}
	if explicit == hugeExponent {
		return 0, false
	}
	exponent += explicit
	for exponent < -308 && f != 0 {
		f /= 1e308
		exponent += 308
	}
	switch {
	case f == 0:
	case exponent > 308:
		return 0, false
	case exponent >= 0:
		f *= pow10[exponent]
	default:
		f /= pow10[-exponent]
	}
	return f, !math.IsInf(f, 0)
}

// appendNumber appends n as Meerkat writes it: a float in its shortest form, with
// an exponent from 1e16 on and below 1e-5.
func appendNumber(dst []byte, n number) []byte {
	switch n.kind {
	case positive:
		return strconv.AppendUint(dst, n.bits, 10)
	case negative:
		return strconv.AppendUint(append(dst, '-'), n.bits, 10)
	}
	f := math.Float64frombits(n.bits)
	size := math.Abs(f)
	if size != 0 && (size < 1e-5 || size >= 1e16) {
		dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
		if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
			dst = append(dst[:n-2], dst[n-1]) // 1e-06 is 1e-6
		}
		return dst
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if slices.Contains(dst[start:], '.') {
		return dst
	}
	return append(dst, '.', '0')
}
