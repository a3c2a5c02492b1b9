// Package term writes for people at a terminal: numbers that are easy to read,
// names that cannot be mistaken, and nothing that a terminal takes for a command.
package term

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Say writes lines, each of them [Printable]. It ignores errors: if the terminal
// is gone, nobody is left to tell.
func Say(w io.Writer, format string, args ...any) {
	lines := strings.Split(fmt.Sprintf(format, args...), "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	_, _ = fmt.Fprint(w, strings.Join(lines, "\n"))
}

// Printable escapes every character that is not plain text, such as one that
// begins a command to the terminal.
func Printable(text string) string {
	var safe strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if strconv.IsPrint(r) && (r != utf8.RuneError || n > 1) {
			safe.WriteString(text[:n])
		} else {
			quoted := strconv.Quote(text[:n])
			safe.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[n:]
	}
	return safe.String()
}

// Named returns a name, quoted unless it is plain, and cut to room characters.
func Named(name string, room int) string {
	if name == "" || strings.ContainsAny(name, "\" \\") || Printable(name) != name {
		name = strconv.Quote(name)
	}
	if runes := []rune(name); len(runes) > room {
		name = string(runes[:room-1]) + "…"
	}
	return name
}

// Grouped returns n, which must not be negative, with a comma between thousands.
func Grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Counted returns n and the name of what it counts, in the plural unless n is 1.
func Counted(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return Grouped(n) + " " + thing
}

// Size returns a number of bytes in the largest of MB, KB and bytes that is not
// above it, rounded down.
func Size(n int64) string {
	switch {
	case n >= 1e6:
		return Grouped(n/1e6) + " MB"
	case n >= 1e3:
		return Grouped(n/1e3) + " KB"
	}
	return Counted(n, "byte")
}

// Brief returns a duration with three digits.
func Brief(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}
