package storetest

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/loopstore/loopstore/store"
	"github.com/loopstore/loopstore/store/batch"
	"github.com/loopstore/loopstore/store/session"
	"github.com/loopstore/loopstore/store/state"
)

// A player makes random changes of a store and of a plain one.
type player struct {
	*trial
	*rand.Rand
	plain *plain
	costs costs
	when  string
}

func (tr *trial) random(reopening bool) {
	for i, keep := range []store.Keep{{}, {Last: 1}, {Last: 4}, keepAll} {
		seed := uint64(i)
		if i == 3 {
			seed = rand.Uint64()
		}
		tr.keeping(keep)
		p := &player{trial: tr, Rand: rand.New(rand.NewPCG(seed, 0)), plain: &plain{keep, map[store.RuntimeID]*plainRuntime{}, map[store.SessionID]plainFiled{}}}
		p.measure()
		n := repeats(300)
		for step := range n {
			p.when = fmt.Sprintf("seed %d, %+v, step %d", seed, keep, step)
			p.play()
			if reopening && p.IntN(15) == 0 {
				p.again()
			}
			if step%20 == 0 || step == n-1 {
				p.compare()
			}
		}
		for id := range p.plain.runtimes {
			tr.write(deleting(id))
		}
		if s, ok := tr.store.(counted); ok {
			require.Zero(tr, s.Stats().Held, "%s: after all was deleted", p.when)
		}
	}
}

func (p *player) id() store.RuntimeID { return store.RuntimeID("abcd"[p.IntN(4):][:1]) }

// again reopens the store, which must hold the same, and hold it the same way.
func (p *player) again() {
	var before store.Totals
	s, ok := p.store.(counted)
	if ok {
		before = s.Stats().Held
	}
	if p.reopen(); ok {
		require.Equal(p, before, p.store.(counted).Stats().Held, "%s: after it was reopened", p.when)
	}
	p.compare()
}

// play makes one change.
func (p *player) play() {
	switch p.IntN(8) {
	case 0:
		p.playFork()
	case 1:
		p.playPrune()
	case 2:
		id := p.id()
		a := applying(store.RunID{2}, uint64(p.IntN(4)))
		next := p.next(p.plain.at(id).last().content)
		a.Session = new(next.delta())
		if key := byte(p.IntN(8)); key < 4 && next.format != store.FormatMeerkat { // which has its own
			a.SessionStoreKey = &store.SessionID{key}
			p.plain.filed[*a.SessionStoreKey] = plainFiled{id, next}
		}
		p.apply(id, a)
		p.plain.put(id, next, &place{a.Receipt.RunID, a.Receipt.Sequence})
		p.plain.end()
	default:
		p.playBatch()
	}
}

func (p *player) playFork() {
	from, to := p.id(), p.id()
	last := p.plain.at(from).last().number
	number := last - min(last, uint64(p.IntN(4)))
	v, ok := p.plain.at(from).version(number)
	err := p.store.(state.Historian).Fork(p.Context(), from, number, to)
	switch {
	case p.plain.runtimes[to] != nil:
		p.refused(p.when+": Fork", err, store.ErrConflict)
	case !ok:
		p.refused(p.when+": Fork", err, store.ErrNoVersion)
	default:
		require.NoError(p, err, "%s: Fork", p.when)
		p.plain.put(to, v.content, nil)
		p.plain.runtimes[to].origin = &state.Origin{RuntimeID: from, Number: number}
	}
}

func (p *player) playPrune() {
	id, last := p.id(), 1+p.IntN(5)
	if s, ok := p.store.(pruner); ok && p.IntN(3) == 0 {
		n := len(p.plain.at(id).versions)
		removed, err := s.Prune(p.Context(), id, store.Retention{Sessions: store.Keep{Last: last}})
		require.NoError(p, err, "%s: Prune", p.when)
		require.Equal(p, max(0, n-last), removed.Versions, "%s: Prune", p.when)
		p.plain.at(id).trim(last)
	}
}

// playBatch makes some changes, or none if one of them is refused.
func (p *player) playBatch() {
	next := p.plain.copied()
	var b batch.Batch
	var want []content // of the receipts
	var refused error
	for range 1 + p.IntN(3) {
		id := p.id()
		stands := next.at(id).last()
		switch p.IntN(10) {
		case 0:
			if p.IntN(3) == 0 {
				b.Then = append(b.Then, deleting(id))
				next.delete(id)
			}
		case 1, 2:
			number := stands.number - min(stands.number, uint64(p.IntN(6)))
			b.Then = append(b.Then, restoring(id, number))
			v, ok := next.at(id).version(number)
			if !ok {
				refused = store.ErrNoVersion
			} else {
				next.put(id, v.content, nil)
			}
		case 3:
			whole := p.next(stands.content)
			b.Then = append(b.Then, putSession(id, whole.delta()))
			next.put(id, whole, nil)
		default:
			c, d := p.grow(stands)
			if stands.number > 0 && d.Append && stands.format != d.Format {
				refused = store.ErrInvalidValue
			}
			b.Then = append(b.Then, bounding(id, boundWith(1, d)))
			next.put(id, c, nil)
			rt := next.runtimes[id]
			rt.versions[len(rt.versions)-1].at = &place{store.RunID{1}, rt.sequences}
			rt.sequences++
			want = append(want, c)
		}
		if refused != nil {
			break
		}
	}
	result, err := p.tryBatch(b)
	if refused != nil {
		p.refused(p.when, err, refused)
		return
	}
	require.NoError(p, err, p.when)
	for i, c := range want {
		p.says(result.Receipts[i], c, p.when)
	}
	next.end()
	p.plain = next
}

// grow returns what a session is after a change, and the change: an addition, if that
// can be.
func (p *player) grow(stands versionOf) (content, store.SessionDelta) {
	format := store.FormatLines
	if stands.format.Grows() && p.IntN(20) > 0 {
		format = stands.format
	}
	if p.IntN(3) == 0 {
		next := p.next(stands.content)
		if next.format == store.FormatUnset { // which would be Meerkat's
			next = meerkatOf(p.IntN(9), 100)
		}
		return next, next.delta()
	}
	text := p.lines(p.IntN(12))
	next := content{format: format, text: stands.text}.added(text, uint64(p.IntN(1000)))
	return next, adding(format, text, next.count)
}

// next returns a whole text, which often has much of what stands.
func (p *player) next(stands content) content {
	if len(stands.text) > 500_000 {
		stands = linesOf("")
	}
	switch text := stands.text; p.IntN(12) {
	case 0:
		return content{text: p.lines(p.IntN(20))}
	case 1, 2:
		return meerkatOf(p.IntN(60), 100+900*p.IntN(2))
	case 3:
		return opaqueOf(p.lines(p.IntN(40)), p.Uint64())
	case 4:
		return linesOf(p.lines(p.IntN(40)))
	default:
		from, to := p.IntN(len(text)+1), p.IntN(len(text)+1)
		if p.IntN(3) > 0 {
			from, to = min(from, to), max(from, to)
		}
		if stands.format != store.FormatLines {
			return opaqueOf(text[:from]+p.lines(p.IntN(3))+text[to:], p.Uint64())
		}
		from, to = strings.LastIndexByte(text[:from], '\n')+1, strings.LastIndexByte(text[:to], '\n')+1
		return linesOf(text[:from] + p.lines(p.IntN(3)) + text[to:])
	}
}

// lines returns so many lines.
func (p *player) lines(n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte('"')
		for range p.IntN(1 << p.IntN(15)) {
			b.WriteByte("abcdefghijklmnop"[p.IntN(16)])
		}
		b.WriteString("\"\n")
	}
	return b.String()
}

// compare compares all that there is.
func (p *player) compare() {
	var all costs
	uses := map[*session.Part]bool{}
	for _, id := range []store.RuntimeID{"a", "b", "c", "d"} {
		want := p.plain.at(id)
		p.has(id, want.versions, fmt.Sprintf("%s: runtime %q", p.when, id))
		p.isFork(id, want.origin, p.when)
		one := p.count(id, map[*session.Part]bool{})
		held := p.look(id).Summary().Held
		require.Equal(p, max(0, len(want.versions)-1), held.Versions, "%s: the versions of %q", p.when, id)
		if p.costs.part > 0 {
			require.Equal(p, one.bytes, held.SnapshotBytes, "%s: what runtime %q holds", p.when, id)
		}
		whole := p.count(id, uses)
		all.bytes += whole.bytes
		all.versions += whole.versions
	}
	if s, ok := p.store.(sessionLoader); ok {
		for key := range byte(4) {
			want, there := p.plain.filed[store.SessionID{key}]
			filed, ok, err := s.LoadSession(p.Context(), store.SessionID{key})
			require.NoError(p, err, p.when)
			require.Equal(p, there, ok, "%s: LoadSession", p.when)
			if ok {
				p.shows(filed, want.content, p.when+": LoadSession")
				all.bytes += p.costs.filed + p.countPart(filed.Text().Root(), uses)
			}
		}
	}
	if s, ok := p.store.(counted); ok {
		held := s.Stats().Held
		require.Equal(p, len(p.plain.filed), held.Sessions, p.when)
		require.Equal(p, len(p.plain.runtimes), held.Runtimes, p.when)
		require.Equal(p, all.versions, held.Versions, p.when)
		require.Equal(p, all.bytes, held.SnapshotBytes, "%s: what all runtimes hold", p.when)
	}
}

// costs are what snapshots count for.
type costs struct {
	snapshot, version, part, listed, filed int64
	bytes                                  int64
	versions                               int
}

// measure finds out what snapshots count for, in a store that is empty.
func (p *player) measure() {
	if _, ok := p.store.(counted); !ok {
		return
	}
	held := func() int64 { return p.look("a").Summary().Held.SnapshotBytes }
	p.write(putSession("a", opaqueOf("", 0).delta()))
	p.costs.snapshot = held()
	p.write(deleting("a"), putSession("a", opaqueOf("x", 0).delta()))
	p.costs.part = held() - p.costs.snapshot - 1
	p.write(deleting("a"), putSession("a", opaqueOf(p.lines(30)+strings.Repeat("x", 60_000), 0).delta()))
	snapshot, _ := p.look("a").Snapshot()
	root := snapshot.Text().Root()
	p.costs.listed = (held() - p.costs.snapshot - int64(root.Count())*p.costs.part - int64(root.Len())) / int64(root.Count()-1)
	p.write(deleting("a"), putSession("a", opaqueOf("", 0).delta()), putSession("a", opaqueOf("", 0).delta()))
	p.costs.version = held() - p.costs.snapshot // 0 if there is none
	p.write(deleting("a"))
	a := applying(store.RunID{2}, 0)
	a.Session, a.SessionStoreKey = new(opaqueOf("", 0).delta()), &store.SessionID{1}
	p.apply("a", a)
	p.costs.filed = p.store.(counted).Stats().Held.SnapshotBytes - held()
	p.write(deleting("a"))
	require.Zero(p, p.store.(counted).Stats().Held)
}

// count counts what a runtime's session takes, but for the parts that were counted
// before.
func (p *player) count(id store.RuntimeID, before map[*session.Part]bool) (n costs) {
	for v := range p.look(id).Sessions() {
		if n.versions++; n.versions > 1 {
			n.bytes += p.costs.version
		} else {
			n.bytes += p.costs.snapshot
		}
		n.bytes += p.countPart(v.Snapshot.Text().Root(), before)
	}
	n.versions = max(0, n.versions-1)
	return n
}

func (p *player) countPart(part *session.Part, before map[*session.Part]bool) (bytes int64) {
	if part == nil || before[part] {
		return 0
	}
	before[part] = true
	if part.Parts() == nil {
		return p.costs.part + int64(part.Len())
	}
	for _, one := range part.Parts() {
		bytes += p.costs.listed + p.countPart(one, before)
	}
	return bytes + p.costs.part
}
