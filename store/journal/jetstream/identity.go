package jetstream

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/loopstore/loopstore/store/journal"
)

// ErrForeign means that a stream holds the journal of another partition, prefix or
// domain: it was restored under a wrong name, say, or a domain has another name now.
// Nothing was written to it.
var ErrForeign = errors.New("jetstream: the stream holds another's journal")

// An identity says whose a journal is.
type identity struct{ prefix, domain, partition string }

// An owner is the digest of an identity. Every entry has it.
type owner [16]byte

// encode returns the three texts, each after its length, which is an unsigned varint.
// It is the body of an epoch's entry.
func (i identity) encode() (b []byte) {
	for _, text := range []string{i.prefix, i.domain, i.partition} {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

func decodeIdentity(b []byte) (i identity, ok bool) {
	for _, text := range []*string{&i.prefix, &i.domain, &i.partition} {
		var piece []byte
		if piece, b, ok = cut(b); !ok {
			return i, false
		}
		*text = string(piece)
	}
	return i, len(b) == 0
}

func (i identity) owner() owner {
	sum := sha256.Sum256(i.encode())
	return owner(sum[:len(owner{})])
}

func (i identity) String() string {
	if i.domain == "" {
		return fmt.Sprintf("partition %q of prefix %q", i.partition, i.prefix)
	}
	return fmt.Sprintf("partition %q of prefix %q in domain %q", i.partition, i.prefix, i.domain)
}

// foreign returns the error for a stream whose last entry is another's.
func (p *partition) foreign(ctx context.Context, r entry) error {
	const most = 100 // entries back to one that has the name
	whose := "one that its latest entries do not name"
	for n := uint64(0); n < most && n < p.last; n++ {
		data, err := p.ask(ctx, p.last-n)
		if err != nil {
			break
		}
		named, err := decode(data)
		if err == nil && named.kind == kindEpoch && named.owner == r.owner {
			if i, ok := decodeIdentity(named.body); ok {
				whose = i.String()
			}
			break
		}
	}
	return fmt.Errorf("%w: it is that of %s, and this is %s; nothing was written. If it shall be this one's, stop all that use it and call Engine.Carry(ctx, %q, %q)",
		ErrForeign, whose, p.identity, p.name, p.identity.partition)
}

// checkOwner returns why an entry cannot be of the journal of the one before, nil if it
// can. Only an epoch makes a journal another's, see Carry, and has the identity itself.
func (r *entry) checkOwner(before owner) error {
	if r.kind != kindEpoch && r.owner != before {
		return errors.New("it is another journal's")
	}
	if i, ok := decodeIdentity(r.body); r.kind == kindEpoch && r.owner != (owner{}) && (!ok || i.owner() != r.owner) {
		return errors.New("it does not say whose it is")
	}
	return nil
}

// announcement is what a holder tells earlier ones.
func (p *partition) announcement() []byte {
	r := entry{kind: kindEpoch, position: p.Position, owner: p.owner}
	return r.encode()
}

// announcedBy reports whether an announcement is of a later holder of this partition.
func announcedBy(data []byte, who owner, after journal.Position) bool {
	r, err := decode(data)
	return err == nil && r.kind == kindEpoch && r.owner == who && r.position.Epoch > after.Epoch
}
