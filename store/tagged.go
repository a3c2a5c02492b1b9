package store

import (
	"cmp"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

func (o *TerminalOutcome) validate() error {
	if o == nil {
		return nil
	}
	if err := oneOf(outcomeTypes, o.Type); err != nil {
		return InField("outcome_type", err)
	}
	own := TerminalOutcome{Type: o.Type}
	switch o.Type {
	case OutcomeSuperseded:
		own.SupersededBy = o.SupersededBy
	case OutcomeCoalesced:
		own.AggregateID = o.AggregateID
	case OutcomeAbandoned:
		if err := oneOf(allReasons, o.Reason); err != nil {
			return InField("reason", err)
		}
		if own.Reason = o.Reason; o.Reason == AbandonMaxAttemptsExhausted {
			own.Attempts = o.Attempts
		}
	}
	if own != *o {
		return errOtherType()
	}
	return nil
}

func (r *ReconstructionSource) validate() error {
	if r == nil {
		return nil
	}
	projection := r.RuleID != "" || r.SourceEventID != ""
	if r.Type == SourceProjection && r.SourceInputIDs != nil || r.Type == SourceCoalescing && projection {
		return errOtherType()
	}
	return cmp.Or(
		InField("source_type", oneOf(sourceTypes, r.Type)),
		InField("rule_id", validText(&r.RuleID)),
		InField("source_event_id", validText(&r.SourceEventID)),
	)
}

func errOtherType() error { return &ValueError{Reason: "has a field of another type"} }

// MarshalJSON returns the outcome's JSON, tagged by outcome_type. An invalid
// outcome is a *ValueError.
func (o TerminalOutcome) MarshalJSON() ([]byte, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	type tag struct {
		Type OutcomeType `json:"outcome_type"`
	}
	switch o.Type {
	case OutcomeSuperseded:
		return marshal(struct {
			tag
			SupersededBy InputID `json:"superseded_by"`
		}{tag{o.Type}, o.SupersededBy})
	case OutcomeCoalesced:
		return marshal(struct {
			tag
			AggregateID InputID `json:"aggregate_id"`
		}{tag{o.Type}, o.AggregateID})
	case OutcomeAbandoned:
		var reason any = o.Reason
		if o.Reason == AbandonMaxAttemptsExhausted {
			type attempts struct {
				Attempts uint32 `json:"attempts"`
			}
			reason = struct {
				attempts `json:"max_attempts_exhausted"`
			}{attempts{o.Attempts}}
		}
		return marshal(struct {
			tag
			Reason any `json:"reason"`
		}{tag{o.Type}, reason})
	}
	return marshal(tag{o.Type})
}

// UnmarshalJSON reads an outcome, with a reason that version 0.4.6 of Meerkat knows. The
// error is a *ValueError.
func (o *TerminalOutcome) UnmarshalJSON(data []byte) error { return o.read(data, false) }

func (o *TerminalOutcome) read(data []byte, later bool) error {
	var v TerminalOutcome
	if err := readTag(data, "outcome_type", &v.Type); err != nil {
		return err
	}
	var own []member
	switch v.Type {
	case OutcomeSuperseded:
		own = []member{{"superseded_by", required, &v.SupersededBy}}
	case OutcomeCoalesced:
		own = []member{{"aggregate_id", required, &v.AggregateID}}
	case OutcomeAbandoned:
		own = []member{{"reason", required, &v.Reason}}
		if later {
			own[0].into = v.readLaterReason
		}
	}
	err := readVariant(data, "outcome_type", own...)
	if err == nil {
		*o = v
	}
	return err
}

// readLaterReason reads a reason of any version.
func (o *TerminalOutcome) readLaterReason(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		text, err := dec.ReadToken()
		if err != nil {
			return err
		}
		return read(allReasons[:len(allReasons)-1], &o.Reason, []byte(text.String()))
	}
	if err := begin(dec, '{'); err != nil {
		return err
	}
	if name, err := dec.ReadToken(); err != nil || name.String() != string(AbandonMaxAttemptsExhausted) {
		return cmp.Or(err, error(&ValueError{Reason: "not a reason"}))
	}
	o.Reason = AbandonMaxAttemptsExhausted
	if err := readObject(dec, member{"attempts", required, &o.Attempts}); err != nil {
		return InField(string(o.Reason), reasonOf(err))
	}
	if end, err := dec.ReadToken(); err != nil || end.Kind() != '}' {
		return cmp.Or(err, error(&ValueError{Reason: "more than one reason"}))
	}
	return nil
}

// MarshalJSON returns the source's JSON, tagged by source_type. An invalid
// source is a *ValueError.
func (r ReconstructionSource) MarshalJSON() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	return marshal(r.tagged())
}

// MarshalJSONTo writes the same without a copy of it.
func (r ReconstructionSource) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := r.validate(); err != nil {
		return err
	}
	return json.MarshalEncode(enc, r.tagged())
}

func (r ReconstructionSource) tagged() any {
	if r.Type == SourceProjection {
		return struct {
			Type          SourceType `json:"source_type"`
			RuleID        string     `json:"rule_id"`
			SourceEventID string     `json:"source_event_id"`
		}{r.Type, r.RuleID, r.SourceEventID}
	}
	return struct {
		Type           SourceType `json:"source_type"`
		SourceInputIDs []InputID  `json:"source_input_ids"`
	}{r.Type, r.SourceInputIDs}
}

// UnmarshalJSON reads a source. The error is a *ValueError.
func (r *ReconstructionSource) UnmarshalJSON(data []byte) error {
	var v ReconstructionSource
	if err := readTag(data, "source_type", &v.Type); err != nil {
		return err
	}
	var own []member
	switch v.Type {
	case SourceProjection:
		own = []member{
			{"rule_id", required, &v.RuleID},
			{"source_event_id", required, &v.SourceEventID},
		}
	case SourceCoalescing:
		own = []member{{"source_input_ids", required, readIDs(&v.SourceInputIDs)}}
	}
	err := readVariant(data, "source_type", own...)
	if err == nil {
		*r = v
	}
	return err
}

// readTag reads the member that says which others there are, wherever it
// stands.
func readTag(data []byte, tag string, into any) error {
	return unmarshal(data, func(dec *jsontext.Decoder) error {
		return readObject(dec, member{tag, required, into})
	})
}

// readVariant reads the members beside the tag.
func readVariant(data []byte, tag string, own ...member) error {
	var ignored jsontext.Value
	return unmarshal(data, func(dec *jsontext.Decoder) error {
		return readObject(dec, append(own, member{tag, required, &ignored})...)
	})
}
