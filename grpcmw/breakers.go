package grpcmw

import (
	"encoding/binary"
	"strings"
	"sync/atomic"
	"unsafe"

	"google.golang.org/grpc"

	"github.com/blackbox4/switchgear/core"
)

// breakers finds the breaker of a key.
type breakers struct{ *core.Registry }

func newBreakers(registry *core.Registry) breakers {
	if registry == nil {
		registry = new(core.Registry)
	}
	return breakers{registry}
}

// of returns the gate of a key, or nil if it has none.
func (b breakers) of(key string) core.Gate {
	if key == "" {
		return nil
	}
	return b.Gate(key)
}

// keys remembers the keys of the methods last called, so that making them costs
// a call nothing. It is bounded: methods that fall into the same place take
// turns. It keeps no connection alive.
type keys [256]atomic.Pointer[methodKey]

// maxKey is the length of the longest name of a breaker. A longer one is not
// remembered.
const maxKey = 256

// methodKey holds the address of a connection and not the connection. Another one
// that comes to lie there has the same key if it has the same target.
type methodKey struct {
	at                  uintptr
	target, method, key string
}

// of returns the canonical target and the method.
func (k *keys) of(cc *grpc.ClientConn, method string) string {
	if cc == nil { // outside of gRPC
		return method
	}
	slot := &k[place(cc, method)]
	if seen := slot.Load(); seen != nil && seen.at == uintptr(unsafe.Pointer(cc)) && seen.method == method && seen.target == cc.Target() { //nolint:gosec // the address is only compared
		return seen.key
	}
	key := cc.CanonicalTarget() + method
	if len(key) <= maxKey {
		slot.Store(&methodKey{uintptr(unsafe.Pointer(cc)), cc.Target(), strings.Clone(method), key}) //nolint:gosec // the same
	}
	return key
}

// place is where the key of a call is remembered. It goes by the connection's
// address, the method's length and its last eight bytes: a hash of all of it would
// cost a fifth of what a call costs, and what shares a place is told apart there.
func place(cc *grpc.ClientConn, method string) uint8 {
	var end [8]byte
	copy(end[:], method[max(len(method)-len(end), 0):])
	const spread = 0x9e3779b97f4a7c15                                                                          // 2^64 divided by the golden ratio
	bits := uint64(uintptr(unsafe.Pointer(cc))) ^ binary.LittleEndian.Uint64(end[:]) ^ uint64(len(method))<<32 //nolint:gosec // the address is only hashed
	return uint8(bits * spread >> 56)
}
