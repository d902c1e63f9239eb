package durations

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
)

// Table holds the [Calls] of many keys. The zero value is empty and ready for use;
// it must not be copied after first use. It is safe for concurrent use; finding a
// key that was used lately takes no lock and allocates nothing.
//
// It holds at most 9,984 keys. Each of its shards, which a key is in by its hash,
// begins a new generation when it has 78 keys, and drops what was not used since
// the beginning of the generation before. So up to about 4,000 keys lose nothing,
// and keys that strangers make up cost bounded memory.
type Table struct {
	shards [shards]shard
}

const (
	shards   = 64
	maxKey   = 256
	perShard = 78 // keys in a generation; a shard has two
)

//nolint:gochecknoglobals // a seed is made once
var seed = maphash.MakeSeed()

// shard has immutable maps, replaced when a key is added: 78 entries are copied in
// about a microsecond.
type shard struct {
	mu   sync.Mutex // held to replace maps
	maps atomic.Pointer[generations]
}

type generations struct{ young, old map[string]*Calls }

// Of returns the calls of a key, which are new if the table does not have it, or
// has dropped it. Those that were dropped may be used further, but are not found
// again. A key of more than 256 bytes is never kept.
func (t *Table) Of(key string) *Calls {
	if len(key) > maxKey {
		return new(Calls)
	}
	s := &t.shards[maphash.String(seed, key)%shards]
	if g := s.maps.Load(); g != nil {
		if c := g.young[key]; c != nil {
			return c
		}
	}
	return s.add(key)
}

// add puts a key into the young generation, from the old one if it is there.
func (s *shard) add(key string) *Calls {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.maps.Load()
	if g == nil {
		g = &generations{}
	}
	c := g.young[key]
	if c != nil {
		return c // another was faster
	}
	if c = g.old[key]; c == nil {
		c = new(Calls)
	}
	next := &generations{old: g.old}
	if len(g.young) < perShard {
		next.young = make(map[string]*Calls, len(g.young)+1)
		maps.Copy(next.young, g.young)
	} else {
		next.young, next.old = make(map[string]*Calls, 1), g.young
	}
	next.young[key] = c
	s.maps.Store(next)
	return c
}
