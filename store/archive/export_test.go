package archive

// FormatVersion is the version of the files that are written.
const FormatVersion = formatVersion
