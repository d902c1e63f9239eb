package main

import (
	"context"
	"testing"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafegrpc"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"

	"github.com/blackbox4/switchgear/grpcmw"
)

// The names that targets refer to.
const (
	grpcBare     = "bare gRPC"
	grpcPassing  = "interceptors that pass, server too"
	grpcOurs     = "switchgear grpcmw"
	grpcBoth     = "switchgear grpcmw, server too"
	grpcFailsafe = "failsafegrpc"

	grpcGobreaker = "gobreaker interceptor"
)

const (
	unarySerial          = "GRPCUnarySerial"
	unaryParallel        = "GRPCUnaryParallel"
	unaryOption          = "GRPCUnaryOption"
	unaryRefusedSerial   = "GRPCUnaryRefusedSerial"
	unaryRefusedParallel = "GRPCUnaryRefusedParallel"
	streamSerial         = "GRPCStreamSerial"
	unaryBufconn         = "GRPCUnaryBufconn"
	unaryLoopback        = "GRPCUnaryLoopback"
	streamBufconn        = "GRPCStreamBufconn"
)

// grpcPeer is what a library puts into gRPC, as it makes it by default. A nil
// field is nothing.
type grpcPeer struct {
	name      string
	unary     func() grpc.UnaryClientInterceptor
	stream    func() grpc.StreamClientInterceptor
	stats     func() stats.Handler
	server    func() []grpc.ServerOption
	unaryOnly bool // it has nothing for streams
	refuses   bool // it has a breaker
}

func grpcPeers() []grpcPeer {
	unary := func() grpc.UnaryClientInterceptor { return grpcmw.UnaryClientInterceptor(nil, nil) }
	stream := func() grpc.StreamClientInterceptor { return grpcmw.StreamClientInterceptor(nil, nil) }
	return []grpcPeer{
		{name: grpcBare},
		{
			name:   grpcPassing,
			unary:  func() grpc.UnaryClientInterceptor { return passUnary },
			stream: func() grpc.StreamClientInterceptor { return passStream },
			server: passingServer,
		},
		{name: grpcOurs, unary: unary, stream: stream, refuses: true},
		{name: grpcBoth, unary: unary, stream: stream, server: guardedServer, refuses: true},
		{name: grpcFailsafe, unary: func() grpc.UnaryClientInterceptor {
			return failsafegrpc.NewUnaryClientInterceptor(circuitbreaker.NewWithDefaults[*testgrpc.SimpleResponse]())
		}, unaryOnly: true, refuses: true},
		{name: grpcGobreaker, unary: newGobreakerUnary, stream: newGobreakerStream, refuses: true},
		{name: "otelgrpc stats handler", stats: func() stats.Handler { return otelgrpc.NewClientHandler() }},
	}
}

func guardedServer() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(grpcmw.UnaryServerInterceptor(nil, nil)),
		grpc.StreamInterceptor(grpcmw.StreamServerInterceptor(nil, nil)),
	}
}

// newGobreakerUnary is what one writes around gobreaker, which has no
// interceptors: one breaker, any error is a failure.
func newGobreakerUnary() grpc.UnaryClientInterceptor {
	breaker := gobreaker.NewCircuitBreaker[any](gobreaker.Settings{})
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		_, err := breaker.Execute(func() (any, error) { return nil, invoker(ctx, method, req, reply, cc, opts...) })
		return err
	}
}

// newGobreakerStream is the same for streams. It sees them opened, not how they
// end.
func newGobreakerStream() grpc.StreamClientInterceptor {
	breaker := gobreaker.NewCircuitBreaker[grpc.ClientStream](gobreaker.Settings{})
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		return breaker.Execute(func() (grpc.ClientStream, error) { return streamer(ctx, desc, cc, method, opts...) })
	}
}

// rpc is something to do with a peer.
type rpc struct {
	name  string
	title string // of the table's column
	run   func(*testing.B, *subject) error
	// fresh installs a peer; bind and done are those of an [instance].
	fresh func(grpcPeer) (bind func(work) call, done func())
	fits  func(grpcPeer) bool
}

// interceptions are the calls that only an interceptor has to do with.
func interceptions() []rpc {
	closed := func(l loop) func(*testing.B, *subject) error { return through(succeeding, warm, neverRefused, l) }
	refused := func(l loop) func(*testing.B, *subject) error { return through(failing, open, rarelyAdmitted, l) }
	client := func(p grpcPeer) bool { return p.server == nil }
	breaker := func(p grpcPeer) bool { return client(p) && p.refuses }
	streams := func(p grpcPeer) bool { return client(p) && !p.unaryOnly && p.stats == nil }
	generated := grpc.StaticMethod() // what generated code passes with each call
	return []rpc{
		{unarySerial, "unary serial", closed(serially), invoking(generated), client},
		{unaryParallel, "unary parallel", closed(inParallel), invoking(generated), client},
		{unaryOption, "with an option", closed(serially), invoking(generated, grpc.WaitForReady(true)), client},
		{unaryRefusedSerial, "refused serial", refused(serially), invoking(generated), breaker},
		{unaryRefusedParallel, "refused parallel", refused(inParallel), invoking(generated), breaker},
		{streamSerial, "stream serial", closed(serially), streaming, streams},
	}
}

// exchangesByWire are the calls that reach a server.
func exchangesByWire() []rpc {
	closed := through(succeeding, warm, neverRefused, againstServer)
	all := func(grpcPeer) bool { return true }
	streams := func(p grpcPeer) bool { return !p.unaryOnly }
	return []rpc{
		{unaryBufconn, "unary, bufconn", closed, calling(inMemory, unaryCall), all},
		{unaryLoopback, "unary, loopback", closed, calling(onLoopback, unaryCall), all},
		{streamBufconn, "stream, bufconn", closed, calling(inMemory, streamCall), streams},
	}
}

func grpcBenches() []bench {
	var all []bench
	add := func(rpcs []rpc, twoSided bool) {
		for _, r := range rpcs {
			for _, p := range grpcPeers() {
				if r.fits(p) {
					s := &subject{name: p.name, fresh: func() instance {
						bind, done := r.fresh(p)
						return instance{bind: bind, done: done}
					}}
					all = append(all, bench{scenario: r.name, subject: p.name, twoSided: twoSided, run: func(b *testing.B) error { return r.run(b, s) }})
				}
			}
		}
	}
	add(interceptions(), false)
	add(exchangesByWire(), true)
	return all
}
