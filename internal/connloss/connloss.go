// Package connloss counts the loss of a connection once, however many calls it carried.
package connloss

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Conns are the connections that a client has lost of late; C is what it knows a
// connection by. All calls that a connection carried end with it, at once and with
// the same error; that is one failure and not as many as there were calls. The zero
// value is ready for use, by several goroutines; it must not be copied after that.
type Conns[C any] struct {
	counted atomic.Uint64

	mu   sync.Mutex
	last [64]loss[C] // by number; the memory of this is bounded
}

// Mark is how many losses had been counted when a call began.
type Mark uint64

type loss[C any] struct {
	key    string // of the breaker, which counts it for itself
	conn   C
	text   uint64 // a hash of the error's
	number Mark   // from 1
}

//nolint:gochecknoglobals // a seed is shared
var seed = maphash.MakeSeed()

// Begin returns the mark of a call that begins now.
func (l *Conns[C]) Begin() Mark { return Mark(l.counted.Load()) }

// First reports whether a call that ended with its connection, in these words, is the
// first to say so to the breaker of a key, of those that were under way then. A call
// that had not begun when the loss was counted is another matter. It runs same with
// its lock held.
func (l *Conns[C]) First(begun Mark, key string, conn C, same func(a, b C) bool, text string) bool {
	hash := maphash.String(seed, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.last {
		if at := &l.last[i]; at.number > begun && at.text == hash && at.key == key && same(at.conn, conn) {
			return false
		}
	}
	n := l.counted.Add(1)
	l.last[n%uint64(len(l.last))] = loss[C]{key: key, conn: conn, text: hash, number: Mark(n)}
	return true
}
