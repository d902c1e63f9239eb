package grpcmw

import (
	"hash/maphash"
	"reflect"

	"google.golang.org/grpc"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/keycache"
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

// keys remembers the keys of the methods called last. It keeps no connection alive.
type keys struct{ keycache.Cache[methodKey] }

// methodKey has the address of a connection and not the connection. Another one that
// comes to lie there has the same key if it has the same target.
type methodKey struct {
	conn           uintptr
	target, method string
}

//nolint:gochecknoglobals // a seed is made once
var methodSeed = maphash.MakeSeed()

// of returns the canonical target and the method.
func (k *keys) of(cc *grpc.ClientConn, method string) string {
	if cc == nil { // outside of gRPC
		return method
	}
	from := methodKey{reflect.ValueOf(cc).Pointer(), cc.Target(), method}
	hash := maphash.String(methodSeed, method) ^ uint64(from.conn)>>6
	if key, ok := k.Get(hash, from); ok {
		return key
	}
	key := cc.CanonicalTarget() + method
	from.method = key[len(key)-len(method):] // and not a part of something larger
	k.Put(hash, from, key)
	return key
}
