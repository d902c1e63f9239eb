package grpcmw

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/blackbox4/switchgear/core"
)

// ClientOptions change what [UnaryClient] and [StreamClient] make. In each field
// zero is the stated default. The funcs must be safe for concurrent use.
type ClientOptions struct {
	// Gate is asked for every call. Nil means a breaker of the registry.
	Gate core.Gate
	// Key names the breaker of a call; the empty key has none, and the call
	// passes. Nil means the target, in its canonical form, and the method:
	// "dns:///example.com:443/package.Service/Method".
	Key func(cc *grpc.ClientConn, method string) string
	// Classify decides what became of a call; err is nil at the good end of a
	// stream. Nil means [ClassifyClient]. It is asked once for each call, and may
	// use the stream. Of one that ends while nobody uses it, it runs on a goroutine
	// of its own, where a panic ends the program.
	Classify func(ctx context.Context, err error) core.Outcome
	// Settle is when a stream that goes well is a success. Zero means at its end.
	Settle Settle
	// Lease is how long the stream of a probe may go on before the probe counts
	// as a success. Zero means 10 s; it should be less than the breaker's
	// ProbeTimeout, when the probe would be lost.
	Lease time.Duration
}

// Settle is when a stream that goes well counts as a success. An error before
// that is a failure, one after it is not counted.
type Settle uint8

// The times to settle.
const (
	AtEnd          Settle = iota // when its status is known
	AtFirstMessage               // when a message of a stream of them has been received, or at the end
	AtHeader                     // when Header has returned one, or as AtFirstMessage
)

const defaultLease = 10 * time.Second

type client struct {
	ClientOptions

	breakers breakers
	refusals refusals
}

func newClient(registry *core.Registry, o *ClientOptions) *client {
	c := &client{breakers: newBreakers(registry)}
	if o != nil {
		c.ClientOptions = *o
	}
	if c.Key == nil {
		c.Key = new(keys).of
	}
	if c.Classify == nil {
		c.Classify = ClassifyClient
	}
	if c.Lease <= 0 {
		c.Lease = defaultLease
	}
	return c
}

// gate returns the gate of a call, or nil if it has none.
func (c *client) gate(cc *grpc.ClientConn, method string) core.Gate {
	if c.Gate != nil {
		return c.Gate
	}
	return c.breakers.of(c.Key(cc, method))
}

// UnaryClient returns an interceptor with the breakers of a registry, one for
// each method of each target. A nil registry is one of its own, of breakers with
// the default configuration; nil options are the zero ones.
//
// A call that is refused is not sent; the error is as the package says. Of one
// that fails with a RetryInfo in its status, or a grpc-retry-pushback-ms in its
// trailer, the breaker stays open until then if the failure opens it, within its
// MaxTimeout.
func UnaryClient(registry *core.Registry, o *ClientOptions) grpc.UnaryClientInterceptor {
	c := newClient(registry, o)
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		gate := c.gate(cc, method)
		if gate == nil {
			return invoker(ctx, method, req, reply, cc, opts...)
		}
		p, err := gate.Allow(ctx)
		if err != nil {
			return c.refusals.of(ctx, err)
		}
		defer p.Settle(ctx, core.Failure) // no effect, unless the call panics or exits
		t := trailers.Get().(*trailer)
		err = invoker(ctx, method, req, reply, cc, t.join(opts)...)
		report(ctx, &p, c.Classify(ctx, err), err, t.md)
		t.md = nil
		trailers.Put(t)
		return err
	}
}

// trailer receives the trailer of one call. It is reused, because it would
// otherwise be all that a call allocates. Its options are never changed, in case
// an interceptor further in still looks at them when the call is over.
type trailer struct {
	md              metadata.MD
	bare, generated []grpc.CallOption // in a call without options, and of generated code
}

//nolint:gochecknoglobals // a pool is shared
var trailers = sync.Pool{New: func() any {
	t := new(trailer)
	t.bare = []grpc.CallOption{grpc.Trailer(&t.md)}
	t.generated = []grpc.CallOption{grpc.StaticMethod(), grpc.Trailer(&t.md)}
	return t
}}

// join returns opts and that to receive the trailer. It allocates only if the call
// has options of its own.
func (t *trailer) join(opts []grpc.CallOption) []grpc.CallOption {
	switch {
	case len(opts) == 0:
		return t.bare
	case len(opts) == 1 && opts[0] == t.generated[0]:
		return t.generated
	}
	return append(slices.Clip(opts), grpc.Trailer(&t.md))
}
