package session

// Continue is Replace of a document of Meerkat's, for who keeps texts as strings. It
// shares text, as one part however long that is, and nothing of d.
func (d *Document) Continue(text string) (*Document, error) {
	next := &Document{facts: Facts{Format: FormatMeerkat}}
	if err := newReader(text).document(next, d); err != nil {
		return nil, err
	}
	next.text = TextWith(LeafOf(text))
	return next, nil
}
