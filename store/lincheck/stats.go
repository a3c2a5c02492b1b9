package lincheck

import "fmt"

// Stats count what [Check] saw.
type Stats struct {
	Histories         int // that have an order
	Operations        int // calls, without those of the audits
	Audited           int // calls of the audits
	Cancelled         int // calls that returned their context's error
	CancelledUnderWay int // those of them whose context was alive when they began
	Overlapping       int // calls that began during another call on the same runtime
	Refused           int // calls with invalid arguments, for exhausted runs, or whose conditions did not hold
	Batches           int // that were applied
	Guarded           int // commits of one operation with conditions, that were applied
	Conflicts         int // batches and commits whose conditions did not hold
	Views             int
	Appends           int // that were applied, in batches too, as are the next two
	Restores          int // of earlier versions of a session
	Forks             int
	KeysTaken         int // calls that were refused since an input has, or had, the key
	Deleted           int // calls that were refused since the runtime was deleted
	Revivals          int // of such runtimes, or of others, which changes nothing
	Imports           int // that were applied
	Claims            int // that were answered with an input
	Changes           int // that followers were shown
	TooLarge          int // calls that were refused with Config.TooLarge
}

func (s *Stats) add(t Stats) {
	s.Operations += t.Operations
	s.Audited += t.Audited
	s.Cancelled += t.Cancelled
	s.CancelledUnderWay += t.CancelledUnderWay
	s.Overlapping += t.Overlapping
	s.Refused += t.Refused
	s.Batches += t.Batches
	s.Guarded += t.Guarded
	s.Conflicts += t.Conflicts
	s.Views += t.Views
	s.Appends += t.Appends
	s.Restores += t.Restores
	s.Forks += t.Forks
	s.KeysTaken += t.KeysTaken
	s.Deleted += t.Deleted
	s.Revivals += t.Revivals
	s.Imports += t.Imports
	s.Claims += t.Claims
	s.Changes += t.Changes
	s.TooLarge += t.TooLarge
}

// String returns all counts in one line.
func (s Stats) String() string {
	return fmt.Sprintf("%d histories, %d operations and %d loads in audits: %d overlapped another, %d were cancelled (%d under way), %d were refused, %d batches, %d guarded commits and %d conflicts, %d views, %d appends, %d restores, %d forks, %d keys taken, %d deleted, %d revivals, %d imports, %d claims, %d changes followed, %d too large",
		s.Histories, s.Operations, s.Audited, s.Overlapping, s.Cancelled, s.CancelledUnderWay, s.Refused, s.Batches, s.Guarded, s.Conflicts, s.Views, s.Appends, s.Restores, s.Forks, s.KeysTaken, s.Deleted, s.Revivals, s.Imports, s.Claims, s.Changes, s.TooLarge)
}
