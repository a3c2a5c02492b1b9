package state

// RecordVersion is the version of the records that are written.
const RecordVersion = recordVersion
