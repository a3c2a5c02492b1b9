package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/loopstore/loopstore/cmd/internal/term"
)

// misread is the error of flags or arguments that a command could not begin with. A password
// may be in any of them, where it is mistyped: of what was typed it shows only what it has
// understood, and words.
func misread(cmd *cobra.Command, err error) error {
	return Misuse{Err: errors.New(wrong(err)), Hint: `see "` + cmd.CommandPath() + ` --help"`}
}

func wrong(err error) string {
	if flag, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if name := flag.GetSpecifiedName(); flag.GetSpecifiedShortnames() == "" && isWord(name) {
			return "there is no flag --" + name
		}
		return "there is no such flag"
	}
	if flag, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return "--" + flag.GetFlag().Name + " needs a value"
	}
	if flag, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		if why, ok := errors.AsType[ValueError](err); ok {
			return "--" + flag.GetFlag().Name + ": " + string(why)
		}
		return fmt.Sprintf("--%s: it is no value of type %s", flag.GetFlag().Name, flag.GetFlag().Value.Type())
	}
	if why, ok := errors.AsType[ValueError](err); ok {
		return string(why)
	}
	return "the flags or arguments are wrong"
}

// A ValueError says what is wrong with a flag's value, or with arguments, and quotes nothing
// of them.
type ValueError string

func (e ValueError) Error() string { return string(e) }

var word = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// isWord reports whether a name may be one that was misspelt, and is no password.
func isWord(name string) bool {
	const longest = 24
	return len(name) <= longest && word.MatchString(name)
}

// unknown is the error of a command that there is not, with those that may be meant.
func unknown(of *cobra.Command, what, name string) error {
	text := "there is no such " + what
	if isWord(name) {
		text = "there is no " + what + " " + name
	}
	if of.SuggestionsMinimumDistance = 2; len(of.SuggestionsFor(name)) > 0 {
		text += ", did you mean " + strings.Join(of.SuggestionsFor(name), " or ") + "?"
	}
	return ValueError(text)
}

// connects is the annotation of a flag that says how a server is reached.
const connects = "connects"

// Connects marks flags that say how a server is reached, and those whose value may be any
// text. No other flag may have a value that could be a connection string, so that no error
// shows it.
func Connects(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		_ = flags.SetAnnotation(name, connects, nil) // it is there
	}
}

// checkFlags returns an error if the value of a flag was meant for another.
func checkFlags(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		_, may := f.Annotations[connects]
		values := []string{f.Value.String()}
		if slice, ok := f.Value.(pflag.SliceValue); ok {
			values = slice.GetSlice()
		}
		if !may && slices.ContainsFunc(values, IsConnection) {
			err = ValueError("--" + f.Name + " is not how a server is reached")
		}
	})
	return err
}

var connection = regexp.MustCompile(`(?i)://|:.*@|@.*:|\b\w*(pas|pw|secret|token)\w*\s*=`)

// IsConnection reports whether a text may be meant to say how a server is reached.
func IsConnection(text string) bool { return connection.MatchString(text) }

// Named returns a text as [term.Named] does, or "such as that" if it may be meant to say how a
// server is reached.
func Named(text string) string {
	if IsConnection(text) {
		return "such as that"
	}
	return term.Named(text, 80)
}
