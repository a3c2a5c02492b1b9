package postgres

// FormatVersion is the version of the tables that are made.
const FormatVersion = formatVersion
