package jetstream

import (
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	maxName = 255 // bytes of a stream's name, which is a folder of the servers

	plain = "abcdefghijklmnopqrstuvwxyz0123456789-_"
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// A NameError says why a prefix, a domain, or the name of a partition or a directory
// cannot be used. Nothing was done with it.
type NameError struct {
	What   string // "prefix", "domain", "partition" or "directory"
	Name   string
	Reason string
}

// Error implements error.
func (e *NameError) Error() string {
	name := e.Name
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	return fmt.Sprintf("jetstream: the name %q of a %s cannot be used: %s", name, e.What, e.Reason)
}

// checkPrefix refuses upper-case letters: two prefixes that differ in them alone would
// be one folder on some file systems.
func checkPrefix(prefix string) error {
	const most = 128
	switch {
	case strings.Trim(prefix, plain) != "":
		return &NameError{"prefix", prefix, "it has other characters than lower-case letters, digits, - and _"}
	case len(prefix) > most:
		return &NameError{"prefix", prefix, fmt.Sprintf("it has %d bytes, the limit is %d", len(prefix), most)}
	}
	return nil
}

// checkDomain refuses what is not one token of a subject.
func checkDomain(domain string) error {
	const most = 40 // with the longest prefix a bucket has maxName
	switch {
	case strings.ContainsAny(domain, ".*> \t\r\n\f\x00"):
		return &NameError{"domain", domain, "it has a dot, a wildcard, or white space"}
	case len(domain) > most:
		return &NameError{"domain", domain, fmt.Sprintf("it has %d bytes, the limit is %d", len(domain), most)}
	}
	return nil
}

// StreamName returns the name of a partition's stream: the prefix, an =, and the
// partition's name. Each byte of that but lower-case letters, digits, - and _ stands
// as = and two hexadecimal digits. As a prefix has no =, the first one ends it, and no
// two names are alike on any file system. A name that is too long is a [*NameError].
func (e *Engine) StreamName(partition string) (string, error) {
	name := e.options.Prefix + "=" + escape(partition)
	if len(name) > maxName {
		return "", &NameError{"partition", partition, fmt.Sprintf("the stream's name would have %d bytes, the limit is %d", len(name), maxName)}
	}
	return name, nil
}

// partitionOf returns whose stream it is, if its name is one that this engine gives.
func (e *Engine) partitionOf(stream string) (partition string, ok bool) {
	return partitionIn(stream, e.options.Prefix+"=")
}

// formerName returns the name that a partition's stream had in the first format. The
// same name may be another partition's, of a longer or shorter prefix.
func (e *Engine) formerName(partition string) string {
	return e.options.Prefix + "-" + escape(partition)
}

// formerPartitionOf returns whose stream it may be, if its name is one of the first
// format.
func (e *Engine) formerPartitionOf(stream string) (partition string, ok bool) {
	return partitionIn(stream, e.options.Prefix+"-")
}

func partitionIn(stream, front string) (partition string, ok bool) {
	escaped, ok := strings.CutPrefix(stream, front)
	if !ok {
		return "", false
	}
	return unescape(escaped)
}

func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02x", c)
		}
	}
	return b.String()
}

// unescape undoes escape. What escape does not return is not ok.
func unescape(escaped string) (name string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		if escaped[i] != '=' {
			b.WriteByte(escaped[i])
			continue
		}
		if i+2 >= len(escaped) {
			return "", false
		}
		c, err := hex.DecodeString(escaped[i+1 : i+3])
		if err != nil {
			return "", false
		}
		b.Write(c)
		i += 2
	}
	return b.String(), escape(b.String()) == escaped
}

// subject is where the entries of a stream are published. It carries the domain: the
// subjects of domains that are joined are one space.
func (e *Engine) subject(stream string) string { return e.inDomain(stream) + ".record" }

// holderSubject is where its holders announce themselves. The stream does not keep
// that.
func (e *Engine) holderSubject(stream string) string { return e.inDomain(stream) + ".owner" }

func (e *Engine) inDomain(stream string) string {
	if e.domain == "" {
		return stream
	}
	return stream + "." + e.domain
}

// bucketName returns the name of the directories' bucket: the prefix, and in a domain
// -AT- and the domain. A prefix has no upper-case letters, so the first one ends it. A
// bucket's name has letters, digits, - and _ only: each other byte of the domain stands
// as _ and two hexadecimal digits, and so does _.
func (e *Engine) bucketName() string {
	if e.domain == "" {
		return e.options.Prefix
	}
	var b strings.Builder
	b.WriteString(e.options.Prefix + "-AT-")
	for _, c := range []byte(e.domain) {
		if c != '_' && strings.IndexByte(plain+upper, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

// checkDirectory refuses what is not one token of a key.
func checkDirectory(name string) error {
	switch {
	case name == "" || strings.Trim(name, plain+upper) != "":
		return &NameError{"directory", name, "it is empty, or has other characters than letters, digits, - and _"}
	case len(name) > maxName:
		return &NameError{"directory", name, fmt.Sprintf("it has %d bytes, the limit is %d", len(name), maxName)}
	}
	return nil
}
