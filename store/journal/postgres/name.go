package postgres

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrName means that the server would refuse the schema's name, or make another one
// of it. Nothing was created.
var ErrName = errors.New("the schema's name cannot be used")

// maxName is how long a name may be in a server as it is distributed. Longer ones are
// cut to that, so two of them may be one schema.
const maxName = 63

// checkName returns nil, or ErrName with the reason. A server may have narrower
// limits: see standing.checkName.
func checkName(schema string) error {
	switch {
	case len(schema) > maxName:
		return badName("it has %d bytes, the limit is %d", len(schema), maxName)
	case strings.ContainsRune(schema, 0):
		return badName("it contains a NUL")
	case !utf8.ValidString(schema):
		return badName("it is not valid UTF-8")
	case strings.HasPrefix(schema, "pg_"), schema == "information_schema":
		return badName("%s is the server's own", schema)
	}
	return nil
}

// checkName checks the schema's name against what the server says of itself. Where
// texts are converted on their way, one name may become another.
func (s *standing) checkName(schema string) error {
	plain := !strings.ContainsFunc(schema, func(r rune) bool { return r > unicode.MaxASCII })
	switch {
	case int64(len(schema)) > s.longest:
		return badName("it has %d bytes, the limit of this server is %d", len(schema), s.longest)
	case plain:
		return nil
	case s.serverEncoding != "UTF8":
		return badName("it is not ASCII, and the database's encoding is %s, not UTF8", s.serverEncoding)
	case s.clientEncoding != "UTF8":
		return badName("it is not ASCII, and client_encoding is %s, not UTF8", s.clientEncoding)
	}
	return nil
}

func badName(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrName, fmt.Sprintf(format, args...))
}
