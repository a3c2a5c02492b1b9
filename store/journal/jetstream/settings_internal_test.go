package jetstream

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"testing"

	js "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store/journal"
)

// A client of a later version may have more settings: each must be judged here.
func TestEverySettingIsJudged(t *testing.T) {
	for f := range reflect.TypeFor[js.StreamConfig]().Fields() {
		for kind, known := range map[string]map[string]setting{"journal": journalSettings, "bucket": bucketSettings} {
			s, ok := known[f.Name]
			if assert.True(t, ok, "%s: %s", kind, f.Name) && s.good != nil {
				assert.NotEmpty(t, s.advice, "%s: %s", kind, f.Name)
			}
		}
	}
	for name := range journalSettings {
		_, ok := reflect.TypeFor[js.StreamConfig]().FieldByName(name)
		assert.True(t, ok, name)
	}
}

// unlike sets a value to something else.
func unlike(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 2)
	case reflect.String:
		v.SetString(v.String() + "other")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem()))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Struct:
		unlike(t, v.Field(0))
	default:
		t.Fatalf("a %s", v.Kind())
	}
}

// Any setting that differs from what the engine makes is named, but the harmless ones.
func TestEverySettingThatDiffersIsNamed(t *testing.T) {
	good := js.StreamConfig{
		Name: "app=p", Subjects: []string{"app=p.record"}, Discard: js.DiscardNew, Storage: js.FileStorage, Replicas: 3,
		DenyDelete: true, AllowDirect: true, AllowAtomicPublish: true,
	}
	w := wanted{good, 1 << 20}
	require.Empty(t, judgeSettings(&streamInfo{StreamInfo: js.StreamInfo{Config: good}}, w, journalSettings))
	harmless := []string{
		"Description", "Metadata", "Placement", "Compression", "Duplicates", "MaxConsumers", "ConsumerLimits", "MirrorDirect",
		"AllowBatchPublish", "MaxMsgs", "MaxBytes",
	}
	for f := range reflect.TypeFor[js.StreamConfig]().Fields() {
		c := good
		unlike(t, reflect.ValueOf(&c).Elem().FieldByName(f.Name))
		switch f.Name {
		case "Replicas":
			c.Replicas = 1
		case "Discard":
			c.MaxBytes = 1 << 30
		}
		found := judgeSettings(&streamInfo{StreamInfo: js.StreamInfo{Config: c}}, w, journalSettings)
		if slices.Contains(harmless, f.Name) {
			assert.Empty(t, found, f.Name)
			continue
		}
		if assert.Len(t, found, 1, f.Name) {
			assert.Equal(t, journalSettings[f.Name].name, found[0].Setting)
			assert.NotEmpty(t, found[0].Value)
			assert.Equal(t, f.Name == "DenyDelete", found[0].Status == journal.Risk, f.Name)
		}
		older := maps.Clone(journalSettings)
		delete(older, f.Name)
		found = judgeSettings(&streamInfo{StreamInfo: js.StreamInfo{Config: c}}, w, older)
		if !reflect.ValueOf(c).FieldByName(f.Name).IsZero() && assert.NotEmpty(t, found, f.Name) {
			assert.True(t, slices.ContainsFunc(found, func(g journal.Finding) bool { return g.Setting == f.Name && g.Status == journal.Unknown }), f.Name)
		}
	}
}

// A setting that only the servers know is named too.
func TestSettingOfNewerServersIsNamed(t *testing.T) {
	var info streamInfo
	require.NoError(t, json.Unmarshal([]byte(`{"config": {"name": "app=p", "forget_after": 5000, "allow_loss": true, "shards": {"count": 3},
		"nothing": "", "off": false, "zero": 0, "none": null, "no": [], "not": {}}, "domain": "hub"}`), &info))
	assert.Equal(t, "hub", info.domain)
	var named []string
	for _, f := range judgeSettings(&info, wanted{}, bucketSettings) {
		if f.Status == journal.Unknown {
			named = append(named, f.Setting+" "+f.Value)
		}
	}
	assert.Equal(t, []string{"allow_loss true", "forget_after 5000", `shards {"count": 3}`}, named)
}

func TestSmallestMessageSize(t *testing.T) {
	for size, good := range map[int32]bool{-1: true, 0: true, 100: false, 64 << 10: false, 96 << 10: true, 1 << 20: true} {
		c := js.StreamConfig{MaxMsgSize: size}
		assert.Equal(t, good, journalSettings["MaxMsgSize"].good(c, wanted{payload: 1 << 20}), size)
	}
	assert.True(t, journalSettings["MaxMsgSize"].good(js.StreamConfig{MaxMsgSize: 4 << 10}, wanted{payload: 4 << 10}), "the servers take no more")
}

func TestFullness(t *testing.T) {
	for used, want := range map[uint64]struct {
		status journal.Status
		value  string
	}{
		0: {journal.OK, "0 bytes of 8.4 MB (0 %)"}, 6_600_000: {journal.OK, "6.6 MB of 8.4 MB (79 %)"},
		8_000_000: {journal.Risk, "8.0 MB of 8.4 MB (95 %)"}, 8_400_000: {journal.Broken, "8.4 MB of 8.4 MB (100 %)"},
		8_399_500: {journal.Broken, "8.4 MB of 8.4 MB (100 %)"},
	} {
		f := fullness("max bytes", used, 8_400_000, leastRoom, inBytes)
		assert.Equal(t, want.status, f.Status)
		assert.Equal(t, want.value, f.Value)
	}
	assert.Equal(t, journal.Broken, fullness("", 3, 3, 1, inNumbers).Status)
	assert.Equal(t, "3 of 4 (75 %)", fullness("", 3, 4, 1, inNumbers).Value)
	tiered := &js.AccountInfo{Tiers: map[string]js.Tier{"R3": {Store: 90, Limits: js.AccountLimits{MaxStore: 2000, MaxStreams: 4}, Streams: 4}}}
	for _, f := range judgeAccount(tiered) {
		assert.Contains(t, f.Setting, "of tier R3")
	}
}
