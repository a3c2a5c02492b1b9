package jetstream

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStreamNames(t *testing.T) {
	e := &Engine{options: Options{Prefix: "loopstore"}}
	for partition, want := range map[string]string{
		"": "loopstore=", "p0": "loopstore=p0", "agents/7": "loopstore=agents=2f7", "A.b": "loopstore==41=2eb",
		"é\x00*>": "loopstore==c3=a9=00=2a=3e", "a=b": "loopstore=a=3db", "=2f": "loopstore==3d2f",
	} {
		got, err := e.StreamName(partition)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		back, ok := e.partitionOf(got)
		require.True(t, ok)
		assert.Equal(t, partition, back)
	}
	for _, other := range []string{"loopstore", "loopstore-p", "loopstores=p", "loop=p", "loopstore=P", "loopstore==", "loopstore==4", "loopstore==4g", "loopstore==2F", "loopstore==61"} {
		_, ok := e.partitionOf(other)
		assert.False(t, ok, other)
	}
}

// No prefix and partition have the name of others, whatever their characters are, also
// where upper and lower case are the same.
func TestNoTwoStreamsHaveOneName(t *testing.T) {
	texts := func(alphabet string) (all []string) {
		all = []string{""}
		for n := 0; n < len(all); n++ {
			if len(all[n]) == 3 {
				break
			}
			for _, c := range alphabet {
				all = append(all, all[n]+string(c))
			}
		}
		return all
	}
	names := map[string]string{}
	for _, prefix := range texts("a-_2") {
		e := &Engine{options: Options{Prefix: prefix}}
		for _, partition := range texts("aA-=_2/") {
			name, err := e.StreamName(partition)
			require.NoError(t, err)
			whose := prefix + " " + partition
			name = strings.ToLower(name)
			other, taken := names[name]
			require.False(t, taken, "%s and %s", whose, other)
			names[name] = whose
		}
	}
}

// A bucket has one prefix and one domain.
func TestNoTwoBucketsHaveOneName(t *testing.T) {
	names := map[string]string{}
	for _, prefix := range []string{"app", "app-at-hub", "app-", "app-at-", "app-at", "a"} {
		for _, domain := range []string{"", "hub", "HUB", "hub-AT-b", "hub_b", "hub_5fb", "hüb", "at", "-AT-", "_", "__"} {
			e := &Engine{options: Options{Prefix: prefix}, domain: domain}
			name := e.bucketName()
			require.NotContains(t, names, name)
			require.Empty(t, strings.Trim(name, plain+upper))
			names[name] = prefix + " " + domain
		}
	}
	assert.Equal(t, "app", (&Engine{options: Options{Prefix: "app"}}).bucketName(), "without a domain it is the prefix")
	assert.Equal(t, "app-AT-hub", (&Engine{options: Options{Prefix: "app"}, domain: "hub"}).bucketName())
}

// No two domains have one subject.
func TestSubjectsCarryTheDomain(t *testing.T) {
	subjects := map[string]bool{}
	for _, domain := range []string{"", "hub", "record", "owner", "Hub"} {
		e := &Engine{domain: domain}
		for _, stream := range []string{"app=", "app=p", "app=hub"} {
			for _, s := range []string{e.subject(stream), e.holderSubject(stream)} {
				require.False(t, subjects[s], s)
				subjects[s] = true
			}
		}
	}
	assert.True(t, subjects["app=p.record"])
	assert.True(t, subjects["app=p.hub.record"])
}

// What cannot be used is refused before it is, with a reason.
func TestNamesAreCheckedBeforeTheyAreUsed(t *testing.T) {
	long := strings.Repeat("n", 300)
	e, err := New(&nats.Conn{}, Options{Prefix: "app"})
	require.NoError(t, err)
	partition := func(name string) error { _, err := e.StreamName(name); return err }
	directory := func(name string) error { _, err := e.Directory(name); return err }
	domain := func(name string) error { _, err := New(&nats.Conn{}, Options{Domain: name}); return err }
	prefix := func(name string) error { _, err := New(&nats.Conn{}, Options{Prefix: name}); return err }
	for _, c := range []struct {
		what   string
		check  func(string) error
		name   string
		reason string
	}{
		{"partition", partition, long, "255"}, {"partition", partition, strings.Repeat("/", 100), "255"},
		{"directory", directory, long, "255"}, {"directory", directory, "", "empty"}, {"directory", directory, "a.b", "characters"},
		{"domain", domain, "a.b", "dot"}, {"domain", domain, "a b", "space"}, {"domain", domain, long, "40"},
		{"prefix", prefix, "App", "lower-case"}, {"prefix", prefix, "a.b", "lower-case"}, {"prefix", prefix, "a=b", "lower-case"},
		{"prefix", prefix, "é", "lower-case"}, {"prefix", prefix, long, "128"},
	} {
		err := c.check(c.name)
		var refused *NameError
		require.ErrorAs(t, err, &refused, c.name)
		assert.Equal(t, c.what, refused.What)
		assert.Equal(t, c.name, refused.Name)
		assert.ErrorContains(t, err, c.reason)
		assert.Less(t, len(err.Error()), 200)
	}
	require.NoError(t, partition(strings.Repeat("n", maxName-len("app="))))
	require.NoError(t, prefix(strings.Repeat("n", 128)))
	require.NoError(t, domain(strings.Repeat("d", 40)))
	longest := &Engine{options: Options{Prefix: strings.Repeat("n", 128)}, domain: strings.Repeat("ü", 20)}
	require.NoError(t, checkDomain(longest.domain))
	require.LessOrEqual(t, len(longest.bucketStream()), maxName)
}

func TestIdentityIsWrittenAndRead(t *testing.T) {
	owners := map[owner]bool{}
	for _, i := range []identity{{}, {"app", "", "p"}, {"app", "p", ""}, {"a", "pp", ""}, {"app", "hub", "é\x00"}, {"", "", strings.Repeat("n", 300)}} {
		b := i.encode()
		back, ok := decodeIdentity(b)
		require.True(t, ok)
		require.Equal(t, i, back)
		require.False(t, owners[i.owner()])
		owners[i.owner()] = true
		for n := range b {
			_, ok := decodeIdentity(b[:n])
			require.False(t, ok)
		}
		_, ok = decodeIdentity(append(b, 0))
		require.False(t, ok)
	}
}
