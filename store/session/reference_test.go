package session

// The reference's types: see reference_json_test.go.

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// structOf reads a struct. A field's flag is r for required, d for one with a
// default, o for one that may be null.
type refField struct {
	name string
	flag byte
}

func structOf(n *refNode, seqOK bool, all ...refField) map[string]*refNode {
	m := map[string]*refNode{}
	switch n.k {
	case nObj:
		for i, k := range n.keys {
			for _, f := range all {
				if f.name == k {
					if _, dup := m[k]; dup {
						refuse()
					}
					m[k] = n.vals[i]
				}
			}
		}
		for _, f := range all {
			if m[f.name] == nil && f.flag == 'r' {
				refuse()
			}
		}
	case nArr:
		if !seqOK || len(n.arr) > len(all) {
			refuse()
		}
		for i, f := range all {
			if i < len(n.arr) {
				m[f.name] = n.arr[i]
			} else if f.flag != 'd' {
				refuse()
			}
		}
	default:
		refuse()
	}
	for _, f := range all {
		if f.flag == 'o' && m[f.name] != nil && m[f.name].k == nNull {
			delete(m, f.name)
		}
	}
	return m
}
func textOf(n *refNode) string {
	if n.k != nStr {
		refuse()
	}
	return n.s
}
func uintOf(n *refNode) uint64 {
	if n.k != nU64 {
		refuse()
	}
	return n.u
}

// takeTag takes the tag of an internally tagged struct.
func takeTag(n *refNode, name string) (t *refNode, rest *refNode) {
	rest = &refNode{k: n.k}
	switch n.k {
	case nObj:
		for i, k := range n.keys {
			if k == name {
				if t != nil {
					refuse()
				}
				t = n.vals[i]
				continue
			}
			rest.keys = append(rest.keys, k)
			rest.vals = append(rest.vals, n.vals[i])
		}
		if t == nil {
			refuse()
		}
	case nArr:
		if len(n.arr) == 0 {
			refuse()
		}
		t = n.arr[0]
		rest.arr = n.arr[1:]
	default:
		refuse()
	}
	return
}
func enumOf(n *refNode, names ...string) string {
	var s string
	switch n.k {
	case nStr:
		s = n.s
	case nObj:
		if len(n.keys) != 1 {
			refuse()
		}
		s = n.keys[0]
		v := n.vals[0]
		if v.k != nNull && (v.k != nObj || len(v.keys) > 0) {
			refuse()
		}
	default:
		refuse()
	}
	if slices.Contains(names, s) {
		return s
	}
	refuse()
	return ""
}
func writeList(o *bytes.Buffer, n *refNode, f func(*refNode)) {
	if n.k != nArr {
		refuse()
	}
	o.WriteByte('[')
	for i, e := range n.arr {
		if i > 0 {
			o.WriteByte(',')
		}
		f(e)
	}
	o.WriteByte(']')
}
func writeStopReason(o *bytes.Buffer, n *refNode) {
	o.WriteString(`,"stop_reason":"` + enumOf(n, "end_turn", "tool_use", "max_tokens", "stop_sequence", "content_filter", "cancelled") + `"`)
}
func writeMeta(o *bytes.Buffer, n *refNode) {
	if n == nil {
		return
	}
	o.WriteString(`,"meta":`)
	t, rest := takeTag(n, "provider")
	names := []string{"anthropic", "anthropic_redacted", "anthropic_compaction", "gemini", "open_ai"}
	idx := -1
	if t.k == nU64 {
		if t.u >= 5 {
			refuse()
		}
		idx = int(t.u)
	} else {
		for i, x := range names {
			if textOf(t) == x {
				idx = i
			}
		}
	}
	if idx < 0 {
		refuse()
	}
	o.WriteString(`{"provider":"` + names[idx] + `"`)
	one := func(f string) {
		m := structOf(rest, true, refField{f, 'r'})
		o.WriteString(`,"` + f + `":`)
		writeString(o, textOf(m[f]))
	}
	switch idx {
	case 0:
		one("signature")
	case 1:
		one("data")
	case 2:
		one("content")
	case 3:
		one("thoughtSignature")
	case 4:
		m := structOf(rest, true, refField{"id", 'r'}, refField{"encrypted_content", 'o'})
		o.WriteString(`,"id":`)
		writeString(o, textOf(m["id"]))
		if e := m["encrypted_content"]; e != nil {
			o.WriteString(`,"encrypted_content":`)
			writeString(o, textOf(e))
		}
	}
	o.WriteByte('}')
}
func writeMessage(o *bytes.Buffer, n *refNode) {
	t, rest := takeTag(n, "role")
	o.WriteString(`{"role":`)
	writeString(o, textOf(t))
	switch t.s {
	case "system", "user":
		m := structOf(rest, true, refField{"content", 'r'})
		o.WriteString(`,"content":`)
		writeString(o, textOf(m["content"]))
	case "assistant":
		m := structOf(rest, true, refField{"content", 'r'}, refField{"tool_calls", 'd'}, refField{"stop_reason", 'r'}, refField{"usage", 'r'})
		o.WriteString(`,"content":`)
		writeString(o, textOf(m["content"]))
		o.WriteString(`,"tool_calls":`)
		if m["tool_calls"] == nil {
			o.WriteString("[]")
		} else {
			writeList(o, m["tool_calls"], func(n *refNode) {
				m := structOf(n, true, refField{"id", 'r'}, refField{"name", 'r'}, refField{"args", 'r'})
				o.WriteString(`{"id":`)
				writeString(o, textOf(m["id"]))
				o.WriteString(`,"name":`)
				writeString(o, textOf(m["name"]))
				o.WriteString(`,"args":`)
				writeJSON(o, m["args"])
				o.WriteByte('}')
			})
		}
		writeStopReason(o, m["stop_reason"])
		us := structOf(m["usage"], true, refField{"input_tokens", 'r'}, refField{"output_tokens", 'r'}, refField{"cache_creation_tokens", 'o'}, refField{"cache_read_tokens", 'o'})
		fmt.Fprintf(o, `,"usage":{"input_tokens":%d,"output_tokens":%d`, uintOf(us["input_tokens"]), uintOf(us["output_tokens"]))
		for _, k := range []string{"cache_creation_tokens", "cache_read_tokens"} {
			if us[k] == nil {
				fmt.Fprintf(o, `,"%s":null`, k)
			} else {
				fmt.Fprintf(o, `,"%s":%d`, k, uintOf(us[k]))
			}
		}
		o.WriteByte('}')
	case "block_assistant":
		m := structOf(rest, true, refField{"blocks", 'r'}, refField{"stop_reason", 'r'})
		o.WriteString(`,"blocks":`)
		writeList(o, m["blocks"], func(n *refNode) {
			a := structOf(n, true, refField{"block_type", 'r'}, refField{"data", 'r'})
			bt := enumOf(a["block_type"], "text", "reasoning", "tool_use")
			o.WriteString(`{"block_type":"` + bt + `","data":{`)
			switch bt {
			case "text":
				m := structOf(a["data"], false, refField{"text", 'r'}, refField{"meta", 'o'})
				o.WriteString(`"text":`)
				writeString(o, textOf(m["text"]))
				writeMeta(o, m["meta"])
			case "reasoning":
				m := structOf(a["data"], false, refField{"text", 'd'}, refField{"meta", 'o'})
				o.WriteString(`"text":`)
				if m["text"] == nil {
					o.WriteString(`""`)
				} else {
					writeString(o, textOf(m["text"]))
				}
				writeMeta(o, m["meta"])
			case "tool_use":
				m := structOf(a["data"], false, refField{"id", 'r'}, refField{"name", 'r'}, refField{"args", 'r'}, refField{"meta", 'o'})
				o.WriteString(`"id":`)
				writeString(o, textOf(m["id"]))
				o.WriteString(`,"name":`)
				writeString(o, textOf(m["name"]))
				o.WriteString(`,"args":`)
				writeJSON(o, m["args"])
				writeMeta(o, m["meta"])
			}
			o.WriteString("}}")
		})
		writeStopReason(o, m["stop_reason"])
	case "tool_results":
		m := structOf(rest, true, refField{"results", 'r'})
		o.WriteString(`,"results":`)
		writeList(o, m["results"], func(n *refNode) {
			m := structOf(n, true, refField{"tool_use_id", 'r'}, refField{"content", 'r'}, refField{"is_error", 'd'})
			o.WriteString(`{"tool_use_id":`)
			writeString(o, textOf(m["tool_use_id"]))
			o.WriteString(`,"content":`)
			writeString(o, textOf(m["content"]))
			e := false
			if x := m["is_error"]; x != nil {
				if x.k != nBool {
					refuse()
				}
				e = x.b
			}
			fmt.Fprintf(o, `,"is_error":%v}`, e)
		})
	default:
		refuse()
	}
	o.WriteByte('}')
}

// direct reads a struct of the document itself, whose unknown members are
// ignored ('i') or refused ('x').
func (p *refParser) direct(unknown byte, all []refField, read func(i int)) {
	p.space()
	seen := make([]bool, len(all))
	switch p.peek() {
	case '{':
		p.object(func(k string) {
			for i, f := range all {
				if f.name == k {
					if seen[i] {
						refuse()
					}
					seen[i] = true
					if f.flag == 'o' && p.peek() == 'n' {
						p.literal("null")
						return
					}
					read(i)
					return
				}
			}
			if unknown == 'x' {
				refuse()
			}
			p.ignore()
		})
		for i, f := range all {
			if !seen[i] && f.flag == 'r' {
				refuse()
			}
		}
	case '[':
		n := 0
		p.array(func() {
			p.space()
			if n >= len(all) {
				refuse()
			}
			if all[n].flag == 'o' && p.peek() == 'n' {
				p.literal("null")
			} else {
				read(n)
			}
			n++
		})
		for ; n < len(all); n++ {
			if all[n].flag != 'd' {
				refuse()
			}
		}
	default:
		refuse()
	}
}
func (p *refParser) uint(limit uint64) uint64 {
	p.space()
	if c := p.peek(); c != '-' && !isDigit(c) {
		refuse()
	}
	n := p.number()
	if n.k != nU64 || n.u > limit {
		refuse()
	}
	return n.u
}
func (p *refParser) usage() {
	p.direct('i', []refField{{"input_tokens", 'r'}, {"output_tokens", 'r'}, {"cache_creation_tokens", 'o'}, {"cache_read_tokens", 'o'}}, func(int) { p.uint(math.MaxUint64) })
}
func (p *refParser) systemTime() {
	var v [2]uint64
	p.direct('x', []refField{{"secs_since_epoch", 'r'}, {"nanos_since_epoch", 'r'}}, func(i int) { v[i] = p.uint([]uint64{math.MaxUint64, math.MaxUint32}[i]) })
	s := v[0] + v[1]/1e9
	if s < v[0] || s > math.MaxInt64 {
		refuse()
	}
}
func uuidOf(s string) (o [16]byte) {
	switch {
	case len(s) == 32:
		s = s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	case len(s) == 38 && s[0] == '{' && s[37] == '}':
		s = s[1:37]
	case len(s) == 45 && s[:9] == "urn:uuid:":
		s = s[9:]
	case len(s) == 36:
	default:
		refuse()
	}
	j := 0
	for i := 0; i < 36; {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				refuse()
			}
			i++
			continue
		}
		for _, c := range []byte{s[i], s[i+1]} {
			if !bytes.ContainsRune([]byte("0123456789abcdefABCDEF"), rune(c)) {
				refuse()
			}
		}
		b, _ := strconv.ParseUint(s[i:i+2], 16, 8)
		o[j] = byte(b)
		j++
		i += 2
	}
	return
}

// reference reads a document, and returns its digest unless it refuses it.
func reference(text string) (digest [sha256.Size]byte, ok bool) {
	defer func() {
		if x := recover(); x != nil && x != errRefused {
			panic(x)
		}
	}()
	in := []byte(text)
	p := &refParser{s: in, rem: 128}
	p.direct('i', []refField{{"version", 'd'}, {"id", 'r'}, {"messages", 'r'}, {"created_at", 'r'}, {"updated_at", 'r'}, {"metadata", 'd'}, {"usage", 'd'}}, func(i int) {
		p.space()
		switch i {
		case 0:
			p.uint(math.MaxUint32)
		case 1:
			uuidOf(p.str(true))
		case 2:
			digest = p.messages()
		case 3, 4:
			p.systemTime()
		case 5:
			if p.peek() != '{' {
				refuse()
			}
			writeSorted(new(bytes.Buffer), p.value())
		case 6:
			p.usage()
		}
	})
	p.space()
	return digest, p.i == len(in)
}

func (p *refParser) messages() [sha256.Size]byte {
	if p.peek() != '[' {
		refuse()
	}
	var o bytes.Buffer
	o.WriteByte('[')
	p.array(func() {
		if o.Len() > 1 {
			o.WriteByte(',')
		}
		writeMessage(&o, p.value())
	})
	o.WriteByte(']')
	return sha256.Sum256(o.Bytes())
}
