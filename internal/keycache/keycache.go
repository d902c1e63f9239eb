// Package keycache remembers the keys of breakers that were made last, so that
// making one costs most calls nothing.
package keycache

import "sync/atomic"

const (
	slots = 256
	// MaxKey is the length of the longest name of a breaker. A longer key is not
	// remembered.
	MaxKey = 256
)

// Cache holds at most 256 keys, each by what it was made of. Keys with the same hash
// replace each other. The zero Cache is empty and ready for use, by several goroutines; it must
// not be copied after first use.
type Cache[From comparable] [slots]atomic.Pointer[entry[From]]

type entry[From comparable] struct {
	from From
	key  string
}

// Get returns the key that was made of from. It allocates nothing.
func (c *Cache[From]) Get(hash uint64, from From) (key string, ok bool) {
	if e := c[hash%slots].Load(); e != nil && e.from == from {
		return e.key, true
	}
	return "", false
}

// Put remembers the key that was made of from. The caller clones strings in from
// that may be part of something larger.
func (c *Cache[From]) Put(hash uint64, from From, key string) {
	if len(key) <= MaxKey {
		c[hash%slots].Store(&entry[From]{from, key})
	}
}
