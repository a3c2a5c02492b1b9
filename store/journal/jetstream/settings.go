package jetstream

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

// A setting is one field of js.StreamConfig, and what is known to be good there. A
// field without one is named, whatever it is set to.
type setting struct {
	name   string
	good   func(c js.StreamConfig, w wanted) bool // nil: any value
	status journal.Status                         // of what is not good
	advice string                                 // what it must be
}

// wanted is what good depends on.
type wanted struct {
	js.StreamConfig       // as the engine would make the stream
	payload         int64 // bytes of a message that the servers take
}

// harmless is a setting that neither loses, adds, reorders, alters nor refuses entries.
func harmless(name string) setting { return setting{name: name} }

func must(name string, good func(c js.StreamConfig, w wanted) bool, advice string) setting {
	return setting{name, good, journal.Broken, advice}
}

// unset is a setting that the engine never makes.
func unset(name, field, advice string) setting {
	return must(name, func(c js.StreamConfig, _ wanted) bool { return reflect.ValueOf(c).FieldByName(field).IsZero() }, advice)
}

// journalSettings are those of a partition's stream, by the fields of js.StreamConfig.
var journalSettings = map[string]setting{
	"Name":              must("name", func(c js.StreamConfig, w wanted) bool { return c.Name == w.Name }, "the stream's"),
	"Description":       harmless("description"),
	"Metadata":          harmless("metadata"),
	"Placement":         harmless("placement"),
	"Compression":       harmless("compression"),
	"Duplicates":        harmless("duplicate window"), // the messages have no ID
	"MaxConsumers":      harmless("max consumers"),    // there are none
	"ConsumerLimits":    harmless("consumer limits"),
	"MirrorDirect":      harmless("mirror direct"), // nothing without a mirror
	"AllowBatchPublish": harmless("allow batched"), // the engine's batches are atomic
	"Subjects": must("subjects", func(c js.StreamConfig, w wanted) bool { return slices.Equal(c.Subjects, w.Subjects) },
		"the journal's subject alone, or it is not written, or with others' messages (if the domain has another name now: Engine.Carry)"),
	"Storage": must("storage", func(c js.StreamConfig, _ wanted) bool { return c.Storage == js.FileStorage },
		"file, or a restart loses everything"),
	"Replicas": must("replicas", func(c js.StreamConfig, w wanted) bool { return c.Replicas >= w.Replicas },
		"as many as the engine's options say, at least"),
	"Retention": must("retention", func(c js.StreamConfig, _ wanted) bool { return c.Retention == js.LimitsPolicy },
		"limits, or reading removes entries"),
	"Discard": must("discard", func(c js.StreamConfig, _ wanted) bool {
		return c.Discard == js.DiscardNew || c.MaxMsgs <= 0 && c.MaxBytes <= 0 && c.MaxMsgsPerSubject <= 0
	}, "new where there are limits, or entries vanish"),
	"DiscardNewPerSubject": unset("discard new per subject", "DiscardNewPerSubject", "false, or entries are refused"),
	// How full these are is another question: see judgeRoom.
	"MaxMsgs":  harmless("max messages"),
	"MaxBytes": harmless("max bytes"),
	"MaxMsgsPerSubject": must("max messages per subject", func(c js.StreamConfig, _ wanted) bool { return c.MaxMsgsPerSubject <= 0 },
		"none, or entries vanish"),
	"MaxAge": must("max age", func(c js.StreamConfig, _ wanted) bool { return c.MaxAge <= 0 }, "none, or entries vanish"),
	"MaxMsgSize": must("max message size", func(c js.StreamConfig, w wanted) bool {
		return c.MaxMsgSize <= 0 || batchLimit(roomIn(int64(c.MaxMsgSize))) >= batchLimit(roomIn(w.payload))
	}, "none, or batches are refused that the servers would take"),
	"NoAck":                  unset("no ack", "NoAck", "false, or nobody learns what was stored"),
	"Mirror":                 unset("mirror", "Mirror", "none, or nothing can be appended"),
	"Sources":                unset("sources", "Sources", "none, or there are others' messages"),
	"Sealed":                 unset("sealed", "Sealed", "false, or nothing can be appended"),
	"DenyPurge":              unset("deny purge", "DenyPurge", "false, or compacting gives no room back, and takes some"),
	"FirstSeq":               must("first sequence", func(c js.StreamConfig, _ wanted) bool { return c.FirstSeq <= 1 }, "none, or the entries before it count as lost"),
	"AllowRollup":            unset("allow rollup", "AllowRollup", "false, or a message can remove all entries"),
	"AllowMsgTTL":            unset("allow message TTL", "AllowMsgTTL", "false, or entries can vanish"),
	"Template":               unset("template owner", "Template", "none: the engine does not know what it does"),
	"RePublish":              unset("republish", "RePublish", "none, or entries can come into another stream"),
	"AllowDirect":            {"allow direct", func(c js.StreamConfig, _ wanted) bool { return c.AllowDirect }, journal.Broken, "true, or a journal cannot be read"},
	"PersistMode":            unset("persist mode", "PersistMode", "default, or acknowledged batches may be lost with a server"),
	"DenyDelete":             {"deny delete", func(c js.StreamConfig, _ wanted) bool { return c.DenyDelete }, journal.Risk, "true, or a single entry can be deleted by mistake, and the journal is corrupt"},
	"SubjectTransform":       unset("subject transform", "SubjectTransform", "none, or entries are kept under another subject"),
	"SubjectDeleteMarkerTTL": unset("subject delete marker TTL", "SubjectDeleteMarkerTTL", "none, or the servers add messages"),
	"AllowMsgCounter":        unset("allow message counter", "AllowMsgCounter", "false, or entries are refused"),
	"AllowMsgSchedules":      unset("allow message schedules", "AllowMsgSchedules", "false, or the servers add messages"),
	"AllowAtomicPublish": must("allow atomic", func(c js.StreamConfig, _ wanted) bool { return c.AllowAtomicPublish },
		"true, or large batches cannot be stored"),
}

// bucketSettings are those of the directories' bucket, which keeps the last document
// under each key.
var bucketSettings = func() map[string]setting {
	all := maps.Clone(journalSettings)
	maps.Copy(all, map[string]setting{
		"Subjects": must("subjects", func(c js.StreamConfig, w wanted) bool { return slices.Equal(c.Subjects, w.Subjects) },
			"the bucket's alone, or documents are not stored"),
		"Storage": must("storage", func(c js.StreamConfig, _ wanted) bool { return c.Storage == js.FileStorage },
			"file, or a restart loses the documents"),
		"Discard": must("discard", func(c js.StreamConfig, _ wanted) bool {
			return c.Discard == js.DiscardNew || c.MaxMsgs <= 0 && c.MaxBytes <= 0
		}, "new where there are limits, or documents vanish"),
		"MaxMsgsPerSubject": must("history", func(c js.StreamConfig, _ wanted) bool { return c.MaxMsgsPerSubject >= 1 },
			"1 or more, or the bucket is no bucket"),
		"MaxAge": must("max age", func(c js.StreamConfig, _ wanted) bool { return c.MaxAge <= 0 }, "none, or documents vanish"),
		"MaxMsgSize": must("max message size", func(c js.StreamConfig, w wanted) bool {
			return c.MaxMsgSize <= 0 || int64(c.MaxMsgSize) >= w.payload
		}, "none, or documents are refused that the servers would take"),
		"NoAck":              unset("no ack", "NoAck", "false, or no write succeeds"),
		"Mirror":             unset("mirror", "Mirror", "none, or nothing can be written"),
		"Sources":            unset("sources", "Sources", "none, or there are others' documents"),
		"Sealed":             unset("sealed", "Sealed", "false, or nothing can be written"),
		"AllowMsgTTL":        unset("allow message TTL", "AllowMsgTTL", "false, or documents can vanish"),
		"RePublish":          unset("republish", "RePublish", "none, or documents can come into another stream"),
		"PersistMode":        unset("persist mode", "PersistMode", "default, or documents may be lost with a server"),
		"SubjectTransform":   unset("subject transform", "SubjectTransform", "none, or documents are kept under another key"),
		"AllowMsgCounter":    unset("allow message counter", "AllowMsgCounter", "false, or documents are refused"),
		"DenyPurge":          harmless("deny purge"),
		"DenyDelete":         harmless("deny delete"),
		"FirstSeq":           harmless("first sequence"),
		"AllowRollup":        harmless("allow rollup"), // every bucket has it
		"AllowDirect":        harmless("allow direct"),
		"AllowAtomicPublish": harmless("allow atomic"),
		"Retention": must("retention", func(c js.StreamConfig, _ wanted) bool { return c.Retention == js.LimitsPolicy },
			"limits, or reading removes documents"),
		"DiscardNewPerSubject": unset("discard new per subject", "DiscardNewPerSubject", "false, or documents cannot be replaced"),
	})
	return all
}()

// fieldOf has the fields of js.StreamConfig, by their names in JSON.
var fieldOf = func() map[string]string {
	all := map[string]string{}
	for f := range reflect.TypeFor[js.StreamConfig]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all[name] = f.Name
	}
	return all
}()

// judge checks a partition's stream, and returns what is not as it should be. A broken
// setting can lose, add, reorder, alter or refuse entries.
func (e *Engine) judge(info *streamInfo) []journal.Finding {
	return judgeSettings(info, wanted{e.config(info.Config.Name), e.conn.MaxPayload()}, journalSettings)
}

// judgeSettings checks all settings of a stream, also those of which this version knows
// nothing.
func judgeSettings(info *streamInfo, w wanted, known map[string]setting) (all []journal.Finding) {
	for f, v := range reflect.ValueOf(info.Config).Fields() {
		s, ok := known[f.Name]
		switch {
		case !ok && !v.IsZero():
			all = append(all, strange(f.Name, inWords(v)))
		case ok && s.good != nil && !s.good(info.Config, w):
			all = append(all, journal.Finding{Status: s.status, Setting: s.name, Value: inWords(v), Advice: s.advice})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(info.unknown)) {
		all = append(all, strange(name, info.unknown[name]))
	}
	return all
}

// strange is the finding for a setting that this version does not know.
func strange(name, value string) journal.Finding {
	return journal.Finding{Status: journal.Unknown, Setting: name, Value: value,
		Advice: "not set: this version of loopstore does not know what it does"}
}

// inWords returns a setting's value, "none" if it has none.
func inWords(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Struct:
		if v.IsZero() {
			return "none"
		}
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v.Interface()); err == nil {
			return strings.TrimSpace(b.String())
		}
	}
	return fmt.Sprint(v.Interface())
}
