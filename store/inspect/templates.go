package inspect

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/state"
)

var (
	//go:embed pages
	files embed.FS
	//go:embed pages/style.css
	style string
	//go:embed pages/live.js
	script string
)

// policy allows the style and the script of the pages, by their hashes, and what
// these need.
var policy = strings.Join([]string{
	"default-src 'none'", "img-src data:", "style-src " + hash(style), "script-src " + hash(script), "connect-src 'self'",
	"form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'",
}, "; ")

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// A page is what the layout shows.
type page struct {
	Template string // of its main part
	Title    string
	Events   string // the address of the stream that says when it has changed; empty if it is not live
	Place    place
	Body     body
	Changes  bool    // something can be changed
	Offers   []offer // what can be
	Notice   string  // what was, empty if nothing
}

// templates has the layout with the main part of each page, by the page's name.
var templates = func() map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"ago":      ago,
		"brief":    brief,
		"bytes":    size,
		"clock":    clock,
		"count":    grouped,
		"cut":      cut,
		"label":    func(key, value string) string { return key + "=" + value },
		"last":     func(text string) string { return "…" + text[max(0, len(text)-8):] },
		"link":     link,
		"long":     long,
		"more":     func(n, than int) int { return n - than },
		"moved":    movedOf,
		"name":     name,
		"next":     next,
		"open":     func(e *entry) int { return open(&e.RuntimeSummary) },
		"piece":    func(t *transcript, m *message, index int, p *piece) placed { return placed{p, t, m, index} },
		"percent":  percent,
		"timeOf":   store.TimeOf,
		"changes":  changes,
		"receipts": receiptPartOf,
		"rows":     func(id store.RuntimeID, mixed bool, items any) part { return part{id, items, mixed} },
		"since":    func(now, then store.Time) since { return since{now, then} },
		"style":    func() template.HTML { return template.HTML("<style>" + style + "</style>") },
		"script":   func() template.HTML { return template.HTML("<script>" + script + "</script>") },
		"waiters":  func(now store.Time, items []waiter) waiters { return waiters{now, items} },
		"words":    words,
	}).ParseFS(files, "pages/layout.html", "pages/parts.html", "pages/talk.html", "pages/lanes.html"))
	all := make(map[string]*template.Template)
	for _, page := range []string{"runtimes", "runtime", "inputs", "input", "runs", "run", "versions", "version", "transcript", "message", "diff", "timeline", "stats", "cluster", "elsewhere", "problem", "action", "undone"} {
		all[page] = template.Must(template.Must(layout.Clone()).ParseFS(files, "pages/"+page+".html"))
	}
	return all
}()

// A part is what a list shows of a runtime.
type part struct {
	RuntimeID store.RuntimeID
	Items     any
	Mixed     bool // inputs in several states
}

// A since is a time that goes by.
type since struct{ Now, Then store.Time }

type waiters struct {
	Now   store.Time
	Items []waiter
}

// A turn leads to other pages of a list.
type turn struct {
	First, More bool
	Start, Next string
}

func next(page string, first, more bool, from state.Cursor, pairs ...any) turn {
	return turn{first, more, link(page, pairs...), link(page, append(pairs, "from", from)...)}
}

// text returns the text of a value, or of what it points to.
func text(value any) string {
	switch v := value.(type) {
	case *string:
		return *v
	case *uint64:
		return strconv.FormatUint(*v, 10)
	}
	return fmt.Sprint(value)
}

// words writes a name of several words.
func words(value any) string { return strings.ReplaceAll(text(value), "_", " ") }

// ago writes how long ago something was.
func ago(now, then store.Time) string { return goneBy(now.Time().Sub(then.Time())) }

// goneBy writes how long something is ago, in one unit. live.js does the same.
func goneBy(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, " d"}, {time.Hour, " h"}, {time.Minute, " min"}} {
		if d >= unit.of {
			return strconv.Itoa(int(d/unit.of)) + unit.name
		}
	}
	return strconv.Itoa(int(max(0, d)/time.Second)) + " s"
}

// clock writes a time to the millisecond.
func clock(t store.Time) string {
	date, rest, _ := strings.Cut(t.String(), "T")
	second, decimals, _ := strings.Cut(strings.TrimSuffix(rest, "Z"), ".")
	if decimals != "" {
		second += "." + decimals[:3]
	}
	return date + " " + second + " UTC"
}

// link returns the address of a page with parameters, in pairs of a name and a
// value. It leaves out empty values, but not that of an id, which may be empty.
func link(page string, pairs ...any) string {
	query := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		key, value := text(pairs[i]), text(pairs[i+1])
		if value != "" || key == "id" {
			query.Set(key, value)
		}
	}
	if len(query) == 0 {
		return page
	}
	return page + "?" + query.Encode()
}

// name returns a text, quoted if it is not plain.
func name(value any) string {
	plain := text(value)
	if plain == "" || plain[0] == '"' || plain != strings.TrimSpace(plain) ||
		strings.ContainsFunc(plain, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(plain)
	}
	return plain
}

// cut returns a text's first characters.
func cut(most int, text string) string {
	at := 0
	for i := range text {
		if at++; at > most {
			return text[:i] + "…"
		}
	}
	return text
}

// grouped writes a number with a comma between thousands.
func grouped(number any) string {
	digits := text(number)
	first := len(digits) - len(strings.TrimLeft(digits, "-"))
	for at := len(digits) - 3; at > first; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// brief writes a duration with three digits.
func brief(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// size writes a number of bytes with three digits, in units of a thousand.
func size(number any) string {
	n, _ := strconv.ParseFloat(text(number), 64)
	if n < 1000 {
		return fmt.Sprintf("%.0f B", n)
	}
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	for n /= 1000; n >= 999.5; n /= 1000 {
		units = units[1:]
	}
	return strconv.FormatFloat(n, 'f', max(0, 2-len(strconv.Itoa(int(n)))+1), 64) + " " + units[0]
}
