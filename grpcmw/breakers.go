package grpcmw

import (
	"context"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"weak"

	"google.golang.org/grpc"

	"github.com/blackbox4/switchgear/core"
)

// breakers finds the breaker of a key.
type breakers struct{ registry *core.Registry }

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
	breaker, err := b.registry.Get(key)
	if err != nil { // as a name it is not valid: it shares a breaker, as all do past the cap
		breaker, err = b.registry.Get(core.OverflowName)
	}
	if err != nil {
		return broken{err}
	}
	return breaker
}

// broken refuses because there is no breaker: its Config is not valid.
type broken struct{ err error }

func (b broken) Allow(context.Context) (core.Permit, error) { return core.Permit{}, b.err }

// keys remembers the keys of the methods last called, so that making them costs
// a call nothing. It is bounded: methods that fall into the same place take
// turns. It keeps no connection alive.
type keys [256]atomic.Pointer[methodKey]

// maxKey is the length of the longest name of a breaker. A longer one is not
// remembered.
const maxKey = 256

type call struct {
	cc     *grpc.ClientConn
	method string
}

type methodKey struct {
	cc          weak.Pointer[grpc.ClientConn]
	method, key string
}

//nolint:gochecknoglobals // a seed is made once
var methodSeed = maphash.MakeSeed()

// of returns the canonical target and the method.
func (k *keys) of(cc *grpc.ClientConn, method string) string {
	if cc == nil { // outside of gRPC
		return method
	}
	slot := &k[maphash.Comparable(methodSeed, call{cc, method})%uint64(len(k))]
	if seen := slot.Load(); seen != nil && seen.method == method && seen.cc.Value() == cc {
		return seen.key
	}
	key := cc.CanonicalTarget() + method
	if len(key) <= maxKey {
		slot.Store(&methodKey{weak.Make(cc), strings.Clone(method), key})
	}
	return key
}
