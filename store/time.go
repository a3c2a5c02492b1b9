package store

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A Time is an instant in UTC with nanoseconds. Unlike a time.Time it can
// stand in a leap second, which a record of Meerkat's may hold, and it has no
// location and no monotonic clock, so == compares instants. The zero value is
// the Unix epoch.
//
// Its text is RFC 3339 with 0, 3, 6 or 9 decimals, the fewest that lose
// nothing. Years outside of 0 to 9999 have a sign and at least five digits.
// The earliest is -262143, the last 262142.
type Time struct {
	sec  int64  // since the epoch
	nsec uint32 // from 1e9 up in a leap second, which sec does not count
}

const (
	minYear, maxYear = -262143, 262142

	minSec = -8334601228800 // -262143-01-01T00:00:00Z
	maxSec = 8210266876799  // +262142-12-31T23:59:59Z
)

// TimeOf returns the instant t.
func TimeOf(t time.Time) Time { return Time{t.Unix(), uint32(t.Nanosecond())} }

// Time returns the instant in UTC. A leap second becomes the second after it.
func (t Time) Time() time.Time { return time.Unix(t.sec, int64(t.nsec)).UTC() }

// IsZero reports whether t is the zero value, which is also the Unix epoch.
func (t Time) IsZero() bool { return t == Time{} }

// Validate returns a *ValueError if t's year is out of range.
func (t Time) Validate() error {
	if t.sec < minSec || t.sec > maxSec {
		return &ValueError{Reason: "year out of range"}
	}
	return nil
}

// String returns the time's text.
func (t Time) String() string {
	text, _ := t.AppendText(nil)
	return string(text)
}

// MarshalText returns the time's text.
func (t Time) MarshalText() ([]byte, error) { return t.AppendText(nil) }

// AppendText appends the time's text.
func (t Time) AppendText(text []byte) ([]byte, error) {
	at := time.Unix(t.sec, 0).UTC()
	second, nsec := at.Second(), t.nsec
	if nsec >= 1e9 {
		second, nsec = second+1, nsec-1e9
	}
	year, month, day := at.Date()
	switch {
	case year < 0:
		text, year = append(text, '-'), -year
	case year > 9999:
		text = append(text, '+')
	}
	text = appendDigits(text, year, 4)
	text = appendDigits(append(text, '-'), int(month), 2)
	text = appendDigits(append(text, '-'), day, 2)
	text = appendDigits(append(text, 'T'), at.Hour(), 2)
	text = appendDigits(append(text, ':'), at.Minute(), 2)
	text = appendDigits(append(text, ':'), second, 2)
	switch {
	case nsec == 0:
	case nsec%1e6 == 0:
		text = appendDigits(append(text, '.'), int(nsec/1e6), 3)
	case nsec%1e3 == 0:
		text = appendDigits(append(text, '.'), int(nsec/1e3), 6)
	default:
		text = appendDigits(append(text, '.'), int(nsec), 9)
	}
	return append(text, 'Z'), nil
}

// appendDigits appends a number of at least so many digits.
func appendDigits(text []byte, n, digits int) []byte {
	for limit := 10; digits > 1; digits, limit = digits-1, limit*10 {
		if n < limit {
			return strconv.AppendInt(append(text, "00000000"[:digits-1]...), int64(n), 10)
		}
	}
	return strconv.AppendInt(text, int64(n), 10)
}

// UnmarshalText reads RFC 3339 with any offset, and what else chrono, the
// Meerkat's library, takes for it: a space or a small letter instead of T,
// spaces between the parts, numbers without leading zeros, "UTC" as an
// offset, an offset without its colon, decimals beyond the ninth, which are
// dropped, and a 60th second. The error is a *ValueError.
func (t *Time) UnmarshalText(text []byte) error {
	p := timeParser{rest: string(text)}
	v, ok := p.time()
	if !ok {
		return &ValueError{Reason: "not a time of RFC 3339"}
	}
	if err := v.Validate(); err != nil {
		return err
	}
	*t = v
	return nil
}

// A timeParser takes a time apart from its start. Once bad is set, what it
// returns means nothing.
type timeParser struct {
	rest string
	bad  bool
}

func (p *timeParser) time() (Time, bool) {
	year := p.year()
	p.take("-")
	month := p.number(1, 12)
	p.take("-")
	day := p.number(1, 31)
	p.oneOf("Tt ")
	hour := p.number(0, 23)
	p.take(":")
	minute := p.number(0, 59)
	p.take(":")
	second := p.number(0, 60)
	nsec := p.decimals()
	offset := p.offset()
	p.space()

	if second == 60 {
		second, nsec = 59, nsec+1e9
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	ok := !p.bad && p.rest == "" && at.Day() == day
	return Time{at.Unix() - int64(offset), nsec}, ok
}

func (p *timeParser) space() { p.rest = strings.TrimLeftFunc(p.rest, unicode.IsSpace) }

func (p *timeParser) take(text string) {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, text)
	p.rest, p.bad = rest, p.bad || !ok
}

// oneOf takes any of the bytes in set, without white space before it.
func (p *timeParser) oneOf(set string) byte {
	if p.rest == "" || !strings.Contains(set, p.rest[:1]) {
		p.bad = true
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

// digits takes up to limit digits and returns their value and how many there
// were. It stops before the value outgrows any year.
func (p *timeParser) digits(limit int) (value, n int) {
	for n < limit && n < len(p.rest) && p.rest[n]-'0' <= 9 {
		value = min(value*10+int(p.rest[n]-'0'), 1e9)
		n++
	}
	p.rest = p.rest[n:]
	p.bad = p.bad || n == 0
	return value, n
}

func (p *timeParser) number(low, high int) int {
	p.space()
	v, _ := p.digits(2)
	p.bad = p.bad || v < low || v > high
	return v
}

// year takes four digits, or any number of them after a sign.
func (p *timeParser) year() int {
	p.space()
	sign, limit := 1, 4
	switch {
	case strings.HasPrefix(p.rest, "-"):
		sign, limit = -1, len(p.rest)
		p.rest = p.rest[1:]
	case strings.HasPrefix(p.rest, "+"):
		limit = len(p.rest)
		p.rest = p.rest[1:]
	}
	v, _ := p.digits(limit)
	p.bad = p.bad || sign*v < minYear || sign*v > maxYear
	return sign * v
}

func (p *timeParser) decimals() uint32 {
	if !strings.HasPrefix(p.rest, ".") {
		return 0
	}
	p.rest = p.rest[1:]
	v, n := p.digits(9)
	for ; n < 9; n++ {
		v *= 10
	}
	p.rest = strings.TrimLeft(p.rest, "0123456789")
	return uint32(v)
}

// offset takes the offset from UTC and returns it in seconds.
func (p *timeParser) offset() int {
	p.space()
	if len(p.rest) >= 3 && strings.EqualFold(p.rest[:3], "UTC") {
		p.rest = p.rest[3:]
		return 0
	}
	if rest, ok := strings.CutPrefix(p.rest, "\u2212"); ok { // the minus sign proper
		p.rest = "-" + rest
	}
	sign := 1
	switch p.oneOf("Zz+-") {
	case 'Z', 'z':
		return 0
	case '-':
		sign = -1
	}
	hours, n := p.digits(2)
	p.rest = strings.TrimLeftFunc(p.rest, func(r rune) bool { return r == ':' || unicode.IsSpace(r) })
	minutes, m := p.digits(2)
	p.bad = p.bad || n != 2 || m != 2 || hours > 23 || minutes > 59
	return sign * (hours*3600 + minutes*60)
}
