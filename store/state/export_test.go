package state

// RecordVersion is the version of the records that are written.
const RecordVersion = recordVersion

// ChangesAfter reads a cursor and looks up what comes after it, in one step.
func (s *State) ChangesAfter(after ChangeCursor, random uint64) (Changes, error) {
	c, err := ChangesAfter(after)
	if err != nil {
		return c, err
	}
	return c, s.LoadChanges(&c, random)
}
