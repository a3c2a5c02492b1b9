package disk

// WithSegments returns options with segments of the log of a size.
func WithSegments(opts Options, size int64) Options {
	opts.segment = size
	return opts
}

// SegmentOf returns the size that [WithSegments] has given, 0 for none.
func SegmentOf(opts Options) int64 { return opts.segment }
