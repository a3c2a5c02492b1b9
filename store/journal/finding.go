package journal

import "fmt"

// A Finding is an engine's verdict on one setting that its promises depend on,
// of its servers or of what it keeps there.
type Finding struct {
	Status  Status
	Setting string // its name
	Value   string // "" if it could not be read
	Advice  string // what the setting should be, and what may be lost otherwise
}

// A Status says how bad a [Finding] is.
type Status int

// From the best to the worst.
const (
	OK      Status = iota // as it should be
	Unknown               // it could not be read
	Risk                  // acknowledged batches may be lost, as the advice says
	Broken                // the engine cannot work
)

// String returns OK, UNKNOWN, RISK or BROKEN.
func (s Status) String() string {
	if s < OK || s > Broken {
		return fmt.Sprintf("Status(%d)", int(s))
	}
	return [...]string{"OK", "UNKNOWN", "RISK", "BROKEN"}[s]
}
