package jetstream

import (
	"fmt"
	"maps"
	"slices"

	js "github.com/nats-io/nats.go/jetstream"

	"github.com/loopstore/loopstore/store/journal"
)

const (
	nearlyFull = 80      // per cent from which a limit is a risk
	leastRoom  = 1 << 10 // bytes without which not even an epoch can be stored
)

// judgeRoom says how full a stream is, for each of its limits.
func judgeRoom(info *streamInfo) (all []journal.Finding) {
	if limit := info.Config.MaxBytes; limit > 0 {
		all = append(all, fullness("max bytes", info.State.Bytes, uint64(limit), leastRoom, inBytes))
	}
	if limit := info.Config.MaxMsgs; limit > 0 {
		all = append(all, fullness("max messages", info.State.Msgs, uint64(limit), 1, inNumbers))
	}
	return all
}

// judgeAccount says how full the account is, in each of its tiers if it has any.
func judgeAccount(a *js.AccountInfo) (all []journal.Finding) {
	if len(a.Tiers) == 0 {
		return judgeTier("", a.Tier)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Tiers)) {
		all = append(all, judgeTier(" of tier "+name, a.Tiers[name])...)
	}
	return all
}

func judgeTier(name string, t js.Tier) []journal.Finding {
	storage, streams := "account's storage"+name, "account's streams"+name
	all := []journal.Finding{
		{Setting: storage, Value: "no limit", Advice: storeAdvice},
		{Setting: streams, Value: "no limit", Advice: "one a partition"},
	}
	if limit := t.Limits.MaxStore; limit >= 0 {
		all[0] = fullness(storage, t.Store, uint64(limit), leastRoom, inBytes)
	}
	if limit := t.Limits.MaxStreams; limit > 0 {
		all[1] = fullness(streams, uint64(t.Streams), uint64(limit), 1, inNumbers)
		all[1].Advice = "room for one stream a partition, or new partitions cannot be opened"
	}
	if t.Limits.MaxBytesRequired {
		all = append(all, journal.Finding{Status: journal.Risk, Setting: "account's streams need max_bytes" + name, Value: "true",
			Advice: "false, or the engine cannot make streams: make them beforehand"})
	}
	return all
}

const storeAdvice = "some left, or every append is refused"

// fullness is the finding for a limit: a risk when it is nearly used up, broken when less
// than least is left.
func fullness(setting string, used, limit, least uint64, in func(uint64) string) journal.Finding {
	f := journal.Finding{Setting: setting, Advice: storeAdvice}
	share := 100.0
	if limit > 0 {
		share = 100 * float64(used) / float64(limit)
	}
	switch {
	case used+least > limit:
		f.Status = journal.Broken
	case share >= nearlyFull:
		f.Status = journal.Risk
	}
	f.Value = fmt.Sprintf("%s of %s (%.0f %%)", in(used), in(limit), share)
	return f
}

func inNumbers(n uint64) string { return fmt.Sprint(n) }

// inBytes returns a size in a unit that suits it.
func inBytes(n uint64) string {
	size, unit := float64(n), "bytes"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if size < 1000 {
			break
		}
		size, unit = size/1000, next
	}
	if unit == "bytes" {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}
