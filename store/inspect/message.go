package inspect

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
)

// A message is one of a conversation in the form in which all are shown, whatever wrote it.
type message struct {
	Number     int      `json:"number"` // from 1
	Role       string   `json:"role,omitempty"`
	Name       string   `json:"name,omitempty"`
	At         string   `json:"at,omitempty"` // as it stands there
	Stop       string   `json:"stop,omitempty"`
	Usage      []figure `json:"usage,omitempty"`
	Bytes      int      `json:"bytes"` // of its text as it stands
	Understood bool     `json:"understood"`
	Parts      []*piece `json:"parts"`
	More       int      `json:"more_parts,omitempty"` // that are left out
}

// A figure is one of the usage.
type figure struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// The kinds of parts.
const (
	partText      = "text"
	partCall      = "call"      // of a tool
	partResult    = "result"    // of a call
	partReasoning = "reasoning" // of the model
	partData      = "data"      // an image, a file: what it is, never the bytes
	partOther     = "other"     // JSON that is not understood
)

// A piece is a part of a message.
type piece struct {
	Kind   string `json:"kind"`
	Text   string `json:"text,omitempty"`  // what is said, the arguments, the result; of data its address
	Bytes  int    `json:"bytes,omitempty"` // of all of it, and of data
	Cut    bool   `json:"cut,omitempty"`
	ID     string `json:"id,omitempty"`   // of the call
	Name   string `json:"name,omitempty"` // of the tool, or the type of the data
	Failed bool   `json:"failed,omitempty"`

	Result *piece `json:"-"` // of a call, if it is on the page
	Beside bool   `json:"-"` // a result, and shown beside its call
	From   int    `json:"-"` // then, the number of its message
}

// Limits of what is read of a message.
const (
	maxName    = 200
	maxMembers = 256
	maxParts   = 60
	maxNesting = 2 // of envelopes around a message, and of what describes data
	maxResults = 3 // in each other. Each reads all that is in it once more
)

// A reader reads messages of all shapes that it knows, by the names of their members. It
// is tolerant: a shape is known by what stands there, not by what is missing.
type reader struct {
	most   int    // bytes of a part's text
	deep   int    // how many envelopes it has opened
	within int    // how many results it is in
	role   string // that one of them names
}

// fields are the members of an object by their plain names. Of two that are alike the first
// counts.
type fields map[string]value

func fieldsOf(v value) fields {
	f, n := fields{}, 0
	for name, v := range v.members() {
		if name = plain(name); f[name] == "" {
			f[name] = v
		}
		if n++; n == maxMembers {
			break
		}
	}
	return f
}

// first returns the first of these members that is there and not null.
func (f fields) first(names ...string) value {
	for _, name := range names {
		if v := f[name]; v != "" && v != "null" {
			return v
		}
	}
	return ""
}

func (f fields) name(names ...string) string {
	short, _ := firstOf(f.first(names...).short(), maxName)
	return short
}

var roles = map[string]string{
	"human": "user", "ai": "assistant", "model": "assistant", "blockassistant": "assistant", "toolresults": "tool", "function": "tool",
}

func roleOf(text string) string { return cmp.Or(roles[plain(text)], text) }

// spoken returns the role that a type names, empty if it is none.
func spoken(kind string) string {
	if role := roleOf(plain(kind)); slices.Contains([]string{"user", "assistant", "system", "tool"}, role) {
		return role
	}
	return ""
}

// message reads a message. What it does not understand is shown as it stands.
func (r reader) message(v value) *message {
	m := &message{Bytes: len(v)}
	if v.is('{') {
		r.object(m, v)
	}
	m.Understood = len(m.Parts) > 0 || m.Understood
	if !m.Understood {
		m.Parts = []*piece{r.made(partOther, string(v), false)}
	}
	if m.More = max(len(m.Parts)-maxParts, 0); m.More > 0 {
		m.Parts = m.Parts[:maxParts]
	}
	return m
}

func (r reader) object(m *message, v value) {
	f := fieldsOf(v)
	m.At = cmp.Or(m.At, f.name("at", "timestamp", "createdat", "time"))
	for _, name := range []string{"body", "message", "content", "data"} { // a message in an envelope
		inner := f[name]
		if !inner.is('{') || r.deep == maxNesting || name == "data" && f["role"] != "" {
			continue
		}
		r.deep++
		r.role = cmp.Or(spoken(f.name("type")), r.role)
		found := r.message(inner)
		if found.Understood {
			number, at := m.Bytes, cmp.Or(m.At, found.At)
			*m = *found
			m.Bytes, m.At = number, at
			if author := f.name("author"); author != "" && author != "user" {
				m.Name = cmp.Or(m.Name, author)
			}
			m.Role = cmp.Or(roleOf(f.name("role")), m.Role, roleOf(f.name("author")))
			m.usage(f)
		}
		r.deep--
		if found.Understood {
			if delta := f["statedelta"]; delta.is('{') {
				m.Parts = append(m.Parts, r.made(partOther, string(delta), false))
			}
			return
		}
	}
	m.Role = cmp.Or(roleOf(f.name("role", "author")), spoken(f.name("type")), r.role)
	m.Name = f.name("name")
	m.Stop = cmp.Or(f.name("stopreason", "finishreason"), fieldsOf(f["responsemeta"]).name("finishreason"))
	if slices.Contains([]string{"endturn", "stop", "tooluse", "toolcalls", "completed"}, plain(m.Stop)) {
		m.Stop = "" // as it is meant to be
	}
	m.usage(f)
	if m.Role == "" { // an item of a response, which is a part by itself
		if p := r.piece(v); p.Kind != partOther {
			m.Role = map[string]string{partResult: "tool"}[p.Kind]
			m.Role = cmp.Or(m.Role, "assistant")
			m.Parts = append(m.Parts, p)
		}
		m.Name = ""
		return
	}
	if text, ok := f.first("reasoningcontent", "reasoning", "thinking").text(); ok && text != "" {
		m.Parts = append(m.Parts, r.made(partReasoning, text, false))
	}
	said := r.pieces(f.first("assistantoutputmulticontent", "userinputmulticontent", "multicontent"))
	if len(said) == 0 {
		for _, name := range []string{"content", "text", "parts", "blocks"} {
			if v, there := f[name]; there && v != "" {
				m.Understood = true
				said = append(said, r.pieces(v)...)
			}
		}
	}
	if call := f.first("toolcallid", "of", "callid", "tooluseid"); m.Role == "tool" && len(said) > 0 && f["toolcalls"] == "" && said[0].Kind != partResult {
		said = []*piece{r.result(call, cmp.Or(f.name("toolname"), m.Name), f.first("content", "text", "parts", "blocks"), f["iserror"])}
		m.Name = ""
	}
	m.Parts = append(m.Parts, said...)
	for _, name := range []string{"toolcalls", "call", "functioncall"} {
		for one := range all(f[name]) {
			m.Parts = append(m.Parts, r.call(fieldsOf(one)))
		}
	}
	m.Parts = append(m.Parts, r.pieces(f["results"])...)
}

// all returns the objects of an array, or the only one.
func all(v value) iter.Seq[value] {
	return func(yield func(value) bool) {
		if v.is('{') {
			yield(v)
			return
		}
		n := 0
		for one := range v.elements() {
			if n++; one.is('{') && (n > 10*maxParts || !yield(one)) {
				return
			}
		}
	}
}

// pieces reads the parts of a message, in an array or alone.
func (r reader) pieces(v value) (parts []*piece) {
	switch {
	case v.is('['):
		for one := range v.elements() {
			if parts = append(parts, r.piece(one)); len(parts) > 10*maxParts {
				break
			}
		}
	case v.is('{'):
		if f := fieldsOf(v); f["parts"].is('[') {
			return r.pieces(f["parts"])
		}
		parts = append(parts, r.piece(v))
	case v.is('"'):
		if v != `""` {
			parts = append(parts, r.piece(v))
		}
	}
	return parts
}

// piece reads a part.
func (r reader) piece(v value) *piece {
	if text, ok := v.text(); ok {
		return r.said(partText, text)
	}
	f := fieldsOf(v)
	if data := f["data"]; f["blocktype"] != "" && data.is('{') {
		maps.Copy(f, fieldsOf(data))
	}
	kind := plain(f.name("type", "blocktype"))
	switch kind {
	case "text", "inputtext", "outputtext", "refusal":
		if text, ok := f.first("text", "refusal").text(); ok {
			return r.said(partText, text)
		}
	case "thinking", "reasoning", "redactedthinking", "summarytext":
		if text, ok := f.first("thinking", "reasoning", "text").text(); ok {
			return r.said(partReasoning, text)
		}
		if hidden, ok := f["data"].text(); ok {
			return &piece{Kind: partReasoning, Bytes: len(hidden)}
		}
		return r.made(partReasoning, r.flat(f.first("summary", "content")), false)
	case "tooluse", "toolcall", "functioncall", "servertooluse", "mcptooluse":
		return r.call(f)
	case "toolresult", "functioncalloutput", "toolsearchresult", "mcptoolresult", "websearchtoolresult":
		return r.result(f.first("tooluseid", "toolcallid", "callid", "id"), f.name("name", "toolname"), f.first("content", "output", "result"), f["iserror"])
	}
	if call := f["functioncall"]; call.is('{') {
		return r.call(fieldsOf(call))
	}
	if of := fieldsOf(f["functionresponse"]); len(of) > 0 {
		return r.result(of["id"], of.name("name"), of.first("response"), "")
	}
	if code := fieldsOf(f["executablecode"]); len(code) > 0 {
		text, _ := code["code"].text()
		p := r.made(partCall, text, false)
		p.Name = cmp.Or(code.name("language"), "code")
		return p
	}
	if came := fieldsOf(f["codeexecutionresult"]); len(came) > 0 {
		return r.result("", cmp.Or(came.name("outcome"), "code"), came["output"], "")
	}
	if f["tooluseid"] != "" {
		return r.result(f["tooluseid"], f.name("name"), f["content"], f["iserror"])
	}
	if text, ok := f["text"].text(); ok && kind == "" {
		if f["thought"] == "true" {
			return r.said(partReasoning, text)
		}
		return r.said(partText, text)
	}
	p := &piece{Kind: partData}
	describe(p, v, 0)
	if p.Name != "" || slices.ContainsFunc([]string{"image", "audio", "video", "file", "document", "media"}, func(word string) bool { return strings.Contains(kind, word) }) {
		p.Name = cmp.Or(p.Name, f.name("type"))
		return p
	}
	return r.made(partOther, string(v), false)
}

func (r reader) call(f fields) *piece {
	of := fieldsOf(f["function"])
	arguments := cmp.Or(f.first("args", "arguments", "input"), of.first("arguments", "args"))
	text, ok := arguments.text()
	if !ok {
		text = string(arguments)
	}
	p := r.made(partCall, indented(text), false)
	p.ID = f.name("callid", "id", "toolcallid", "tooluseid")
	p.Name = cmp.Or(of.name("name"), f.name("name", "tool"))
	return p
}

func (r reader) result(id value, name string, v value, failed value) *piece {
	p := r.made(partResult, r.flat(v), failed == "true")
	p.ID, _ = firstOf(id.short(), maxName)
	p.Name = name
	return p
}

// flat returns what is said as one text, with the other parts named in it. What is in too
// many results stays as it stands.
func (r reader) flat(v value) string {
	if text, ok := v.text(); ok {
		return indented(text)
	}
	if !v.is('[') || r.within == maxResults {
		return indented(string(v))
	}
	r.within++
	var lines []string
	for _, p := range r.pieces(v) {
		switch p.Kind {
		case partOther:
			return indented(string(v))
		case partData:
			lines = append(lines, strings.TrimSpace("["+p.Name+", "+size(p.Bytes)+"] "+p.Text))
		default:
			lines = append(lines, p.Text)
		}
	}
	return strings.Join(lines, "\n")
}

// said returns a part with a text, or with what the text is if it is data.
func (r reader) said(kind, text string) *piece {
	if p := (&piece{Kind: partData}); isData(p, text) {
		return p
	}
	return r.made(kind, text, false)
}

func (r reader) made(kind, text string, failed bool) *piece {
	p := &piece{Kind: kind, Bytes: len(text), Failed: failed}
	p.Text, p.Cut = firstOf(text, r.most)
	return p
}

// isData reports whether a text is data in an address, and says what that is.
func isData(p *piece, text string) bool {
	rest, ok := strings.CutPrefix(text, "data:")
	head, body, comma := strings.Cut(rest, ",")
	if !ok || !comma || len(head) > maxName {
		return false
	}
	p.Name, _, _ = strings.Cut(head, ";")
	p.Bytes = len(body)
	if strings.HasSuffix(head, ";base64") {
		p.Bytes = decoded(body)
	}
	return true
}

// decoded returns how many bytes a text of base64 stands for.
func decoded(text string) int { return len(strings.TrimRight(text, "=")) * 3 / 4 }

// describe says of what kind and size an image or a file is, and where, if that is an
// address.
func describe(p *piece, v value, deep int) {
	for name, v := range v.members() {
		if v.is('{') && deep < maxNesting {
			describe(p, v, deep+1)
		}
		switch plain(name) {
		case "mimetype", "mediatype", "format":
			p.Name = cmp.Or(p.Name, fields{"": v}.name(""))
		case "data", "base64data", "base64", "filedata", "b64json":
			if len(v) > 2 && v.is('"') && !isData(p, string(v[1:len(v)-1])) {
				p.Bytes = decoded(string(v[1 : len(v)-1]))
			}
		case "url", "uri", "fileuri", "imageurl", "fileurl", "fileid", "filename":
			if text, ok := v.text(); ok && !isData(p, text) {
				address, _ := firstOf(text, maxName)
				p.Text = cmp.Or(p.Text, address)
			}
		}
	}
}

// usage reads what the message has taken.
func (m *message) usage(f fields) {
	for _, v := range []value{f["usage"], f["usagemetadata"], fieldsOf(f["responsemeta"])["usage"]} {
		for name, v := range v.members() {
			n := v.number()
			if of := usages[plain(name)]; of != "" && n > 0 && !slices.ContainsFunc(m.Usage, func(f figure) bool { return f.Name == of }) {
				m.Usage = append(m.Usage, figure{of, n})
			}
		}
	}
}

var usages = map[string]string{
	"inputtokens": "in", "prompttokens": "in", "prompttokencount": "in",
	"outputtokens": "out", "completiontokens": "out", "candidatestokencount": "out",
	"cachecreationtokens": "cache written", "cachecreationinputtokens": "cache written",
	"cachereadtokens": "cache read", "cachereadinputtokens": "cache read", "cachedtokens": "cache read", "cachedcontenttokencount": "cache read",
	"reasoningtokens": "reasoning", "thoughtstokencount": "reasoning",
	"totaltokens": "in all", "totaltokencount": "in all",
}
