package grpcmw

import (
	"cmp"
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/connloss"
)

// ClientOptions change what [UnaryClientInterceptor] and [StreamClientInterceptor] make. In each field
// zero is the stated default. The funcs must be safe for concurrent use.
type ClientOptions struct {
	// Gate is asked for every call. Nil means a breaker of the registry.
	Gate core.Gate
	// Key names the breaker of a call; the empty key has none, and the call
	// passes. Nil means the target, in its canonical form, and the method:
	// "dns:///example.com:443/package.Service/Method".
	Key func(cc *grpc.ClientConn, method string) string
	// Classify decides what became of a call; err is nil at the good end of a
	// stream. Nil means [DefaultClassifyClient]. It is asked once for each call, and may
	// use the stream. Of one that ends while it is not in use, it runs on a goroutine
	// of its own, where a panic ends the program.
	Classify func(ctx context.Context, err error) core.Outcome
	// StreamSuccess is when a stream that goes well is a success. Zero means at its end.
	StreamSuccess StreamSuccess
	// ProbeLease is how long the stream of a probe may go on before the probe counts
	// as a success. If it has a deadline and nothing has come of it by then, neither
	// a message nor a header that was asked for, its place is given back instead (it
	// is ignored), and what becomes of it counts if the breaker is half-open then and
	// has a place. One without a deadline may have nothing to say for hours, and is a
	// success all the same: where streams should say something, give them a deadline.
	// Zero means 10 s; it should be less than the breaker's ProbeTimeout, when the
	// probe would be lost.
	ProbeLease time.Duration
}

// StreamSuccess is when a stream that goes well counts as a success. An error before
// that is a failure, one after it is not counted.
type StreamSuccess uint8

// The times to settle.
const (
	StreamSuccessAtEnd          StreamSuccess = iota // when its status is known
	StreamSuccessAtFirstMessage                      // when a message of a stream of them has been received, or at the end
	StreamSuccessAtHeader                            // when Header has returned one, or as StreamSuccessAtFirstMessage
)

const defaultLease = 10 * time.Second

type client struct {
	ClientOptions

	breakers breakers
	refusals refusals
	losses   losses
	plain    bool // there is no Classify of the user's
	through  through
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
		c.Classify, c.plain = DefaultClassifyClient, true
	}
	c.ProbeLease = cmp.Or(max(c.ProbeLease, 0), defaultLease)
	return c
}

// gate returns the gate of a call, or nil if it has none, and what tells it from
// the others of this client.
func (c *client) gate(cc *grpc.ClientConn, method string) (gate core.Gate, key string) {
	if c.Gate != nil {
		return c.Gate, ""
	}
	key = c.Key(cc, method)
	return c.breakers.of(key), key
}

// UnaryClientInterceptor returns an interceptor with the breakers of a registry, one for
// each method of each target. A nil registry is one of its own, of breakers with
// the default configuration; nil options are the zero ones.
//
// A call that is refused is not sent; the error is as the package says. Of one
// that fails with a RetryInfo in its status, or a grpc-retry-pushback-ms in its
// trailer, the breaker stays open until then if the failure opens it, within its
// MaxTimeout. One of the calls that end together because their connection was lost
// counts.
//
// An interceptor that hedges, or that returns while a call it has made is still under
// way, goes before this one in the chain, not after it. This one adds options to the
// call (grpc.Header, grpc.Trailer, grpc.Peer) with buffers from a pool, since they
// would be all that a call allocates. They are reused when the rest of the chain has
// returned: a call that gRPC finishes later writes to those of another call.
func UnaryClientInterceptor(registry *core.Registry, o *ClientOptions) grpc.UnaryClientInterceptor {
	c := newClient(registry, o)
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		gate, key := c.gate(cc, method)
		if gate == nil {
			return invoker(ctx, method, req, reply, cc, opts...)
		}
		p, err := gate.Allow(ctx)
		if err != nil {
			return c.refusals.of(ctx, err)
		}
		defer p.Settle(ctx, core.Failure) // no effect, unless the call panics or exits
		begun := c.losses.Begin()
		w := wires.Get().(*wire)
		err = invoker(ctx, method, req, reply, cc, w.join(opts)...)
		if err == nil && c.plain {
			p.Settle(ctx, core.Success)
			c.through.note(w.peer.Addr != nil)
		} else {
			c.settle(ctx, &p, ended{cc: cc, gate: gate, key: key, begun: begun, err: err, opts: opts}, w)
		}
		w.free()
		return err
	}
}

// ended is what is known of a unary call that has ended.
type ended struct {
	cc    *grpc.ClientConn
	gate  core.Gate
	key   string // of its breaker
	begun connloss.Mark
	err   error
	opts  []grpc.CallOption // of the caller
}

// settle settles a unary call that has failed, or that a Classify of the user's
// judges.
func (c *client) settle(ctx context.Context, p *core.Permit, e ended, w *wire) {
	if e.err == nil || w.peer.Addr != nil {
		c.through.note(w.peer.Addr != nil)
	}
	own := e.err != nil && (c.unsent(e.cc, e.err, w) || unsendable(e.err, w) || tooLong(e.err, e.opts, w))
	o := c.Classify(blame(ctx, ignoredIf(own)), e.err)
	if o == core.Failure && w.lost(e.err) && !c.losses.first(e.begun, e.key, w.peer, statusOf(e.err).Message()) {
		o = core.Ignored
	}
	if o == core.Failure {
		o = c.limitedThere(e.gate, e.err)
	}
	report(ctx, p, o, e.err, w.trailer)
}
