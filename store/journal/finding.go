package journal

import "fmt"

// A Finding is what an engine has found out about one setting, of its servers or
// of what it keeps there, that its promises depend on.
type Finding struct {
	Status  Status
	Setting string // what was looked at
	Value   string // what it is, "" if nobody could tell
	Advice  string // what it should be, and what may be lost otherwise
}

// A Status says how bad a [Finding] is.
type Status int

// From the best to the worst.
const (
	OK      Status = iota // as it should be
	Unknown               // it could not be looked at
	Risk                  // acknowledged batches may be lost by what the advice names
	Broken                // the engine cannot work
)

// String returns OK, UNKNOWN, RISK or BROKEN.
func (s Status) String() string {
	if s < OK || s > Broken {
		return fmt.Sprintf("Status(%d)", int(s))
	}
	return [...]string{"OK", "UNKNOWN", "RISK", "BROKEN"}[s]
}
