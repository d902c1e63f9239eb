package grpcmw

import (
	"hash/maphash"
	"net"
	"reflect"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/peer"
)

// losses are the connections that a client has lost of late. All calls that a
// connection carried end with it, at once and with the same error; that is one
// failure and not as many as there were calls.
type losses struct {
	counted atomic.Uint64

	mu   sync.Mutex
	last [64]loss // by number; the memory of this is bounded
}

// mark is how many losses had been counted when a call began.
type mark uint64

type loss struct {
	key         string // of the breaker, which counts it for itself
	addr, local net.Addr
	text        uint64 // a hash of the error's
	number      mark   // from 1
}

//nolint:gochecknoglobals // a seed is shared
var seed = maphash.MakeSeed()

func (l *losses) begin() mark { return mark(l.counted.Load()) }

// first reports whether a call that ended with its connection is the first to say
// so to a breaker, of those that were under way then. A call that had not begun when
// the loss was counted is another matter.
func (l *losses) first(begun mark, key string, p peer.Peer, text string) bool {
	hash := maphash.String(seed, text)
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.last {
		if at := &l.last[i]; at.number > begun && at.text == hash && at.key == key && same(at.addr, p.Addr) && same(at.local, p.LocalAddr) {
			return false
		}
	}
	n := l.counted.Add(1)
	l.last[n%uint64(len(l.last))] = loss{key: key, addr: p.Addr, local: p.LocalAddr, text: hash, number: mark(n)}
	return true
}

// same reports whether two addresses are of one connection. All streams of a
// connection have the very same ones, which for TCP and Unix sockets are pointers.
func same(a, b net.Addr) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if x.Kind() == reflect.Pointer && y.Kind() == reflect.Pointer {
		return x.Pointer() == y.Pointer()
	}
	return a.Network() == b.Network() && a.String() == b.String()
}
