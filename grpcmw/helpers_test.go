package grpcmw_test

import (
	"context"
	"io"
	"net"
	"path"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

var bg = context.Background()

var noTLS = insecure.NewCredentials()

// patience is how long a test waits for what should happen at once.
const patience = 10 * time.Second

// The methods of the backend, one of each kind.
const (
	unary = "/test.Backend/Unary"
	down  = "/test.Backend/Down" // the server streams
	up    = "/test.Backend/Up"   // the client streams
	both  = "/test.Backend/Both"
)

var (
	methods = []string{unary, down, up, both}
	streams = []string{down, up, both}
	descs   = map[string]*grpc.StreamDesc{
		down: {StreamName: "Down", ServerStreams: true},
		up:   {StreamName: "Up", ClientStreams: true},
		both: {StreamName: "Both", ServerStreams: true, ClientStreams: true},
	}
)

// backend is a service by hand, so that it is the same with every version of
// gRPC. A nil func is one that answers.
type backend struct {
	unary  func(ctx context.Context, text string) (string, error)
	stream func(method string, ss grpc.ServerStream) error
}

func (b backend) register(s *grpc.Server) {
	desc := grpc.ServiceDesc{ServiceName: "test.Backend", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Unary",
		Handler: func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.StringValue)
			if err := decode(in); err != nil {
				return nil, err
			}
			handler := func(ctx context.Context, req any) (any, error) {
				text := req.(*wrapperspb.StringValue).GetValue()
				if b.unary == nil {
					return wrapperspb.String(text), nil
				}
				answer, err := b.unary(ctx, text)
				return wrapperspb.String(answer), err
			}
			if interceptor == nil {
				return handler(ctx, in)
			}
			return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: b, FullMethod: unary}, handler)
		},
	}}}
	for method, d := range descs {
		d := *d
		d.Handler = func(_ any, ss grpc.ServerStream) error {
			if b.stream == nil {
				return answer(method, ss)
			}
			return b.stream(method, ss)
		}
		desc.Streams = append(desc.Streams, d)
	}
	s.RegisterService(&desc, b)
}

// answer is the handler of a stream that goes well.
func answer(method string, ss grpc.ServerStream) error {
	for {
		err := ss.RecvMsg(new(wrapperspb.StringValue))
		switch {
		case err == io.EOF && method == up:
			return ss.SendMsg(wrapperspb.String("all"))
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case method != up:
			if err := ss.SendMsg(wrapperspb.String("one")); err != nil {
				return err
			}
		}
	}
}

// fails is a backend whose every call fails at once.
func fails(err error) backend {
	return backend{
		unary:  func(context.Context, string) (string, error) { return "", err },
		stream: func(string, grpc.ServerStream) error { return err },
	}
}

// serve starts a server in memory, which ends with the test.
func serve(t *testing.T, b backend, opts ...grpc.ServerOption) (dial grpc.DialOption) {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	s := grpc.NewServer(opts...)
	b.register(s)
	serveOn(t, s, l)
	return dialer(l)
}

func serveOn(t *testing.T, s *grpc.Server, l net.Listener) {
	t.Helper()
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() {
		s.Stop()
		serving.Wait()
	})
}

// connect returns a connection that is closed with the test.
func connect(t *testing.T, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(target, append([]grpc.DialOption{grpc.WithTransportCredentials(noTLS)}, opts...)...)
	if err != nil {
		t.Fatalf("NewClient(%q) = %v", target, err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// guarded are the client's interceptors with options.
func guarded(o grpcmw.ClientOptions) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(grpcmw.UnaryClientInterceptor(nil, &o)), grpc.WithChainStreamInterceptor(grpcmw.StreamClientInterceptor(nil, &o))}
}

// guards are the server's interceptors with options.
func guards(o grpcmw.ServerOptions) []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(grpcmw.UnaryServerInterceptor(nil, &o)), grpc.ChainStreamInterceptor(grpcmw.StreamServerInterceptor(nil, &o))}
}

// pair is a client and a server in memory, each behind a breaker of its own.
type pair struct {
	cc             *grpc.ClientConn
	client, server *core.Breaker
}

func between(t *testing.T, b backend, cfg core.Config, dial ...grpc.DialOption) pair {
	t.Helper()
	p := pair{client: newBreaker(t, cfg), server: newBreaker(t, cfg)}
	reached := serve(t, b, guards(grpcmw.ServerOptions{Gate: p.server})...)
	p.cc = connect(t, "passthrough:///memory", slices.Concat(guarded(grpcmw.ClientOptions{Gate: p.client}), dial, []grpc.DialOption{reached})...)
	return p
}

// counting is the configuration of a breaker that only counts.
func counting() core.Config { return core.Config{FailureThreshold: -1, FailureRateThreshold: -1} }

// oneProbe is that of one which one failure opens for a second and that admits
// one probe at a time, of which two close it.
func oneProbe() core.Config {
	return core.Config{FailureThreshold: 1, Timeout: time.Second, HalfOpenMaxCalls: 1, SuccessThreshold: 2}
}

func newBreaker(t *testing.T, cfg core.Config) *core.Breaker {
	t.Helper()
	b, err := core.New("backend", cfg)
	if err != nil {
		t.Fatalf("New(%+v) = %v, want a breaker", cfg, err)
	}
	return b
}

// open fails the closed breaker until it opens.
func open(t *testing.T, b *core.Breaker) {
	t.Helper()
	for range 1000 {
		if b.State() == core.Open {
			return
		}
		p, err := b.Allow(bg)
		if err != nil {
			t.Fatalf("Allow = %v, want a permit", err)
		}
		p.Settle(bg, core.Failure)
	}
	t.Fatal("1000 failures did not open the breaker")
}

// halfOpen opens the breaker of oneProbe and waits until its break is over.
func halfOpen(t *testing.T, b *core.Breaker) {
	t.Helper()
	open(t, b)
	time.Sleep(time.Second)
	wantState(t, b, core.HalfOpen)
}

// opened returns a breaker that is open.
func opened(t *testing.T) *core.Breaker {
	t.Helper()
	b := newBreaker(t, core.Config{})
	open(t, b)
	return b
}

func wantState(t *testing.T, b *core.Breaker, want core.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state = %v, want %v (%s)", got, want, b.Explain())
	}
}

// counts are the outcomes of calls.
type counts struct{ success, failure, ignored uint64 }

func countsOf(b *core.Breaker) counts {
	t := b.Snapshot().Totals
	return counts{t.Successes, t.Failures, t.Ignored}
}

// times are n calls of one outcome.
func times(n uint64, o core.Outcome) counts {
	switch o {
	case core.Success:
		return counts{success: n}
	case core.Ignored:
		return counts{ignored: n}
	case core.Failure:
	}
	return counts{failure: n}
}

// wantCounts waits for the outcomes, the last of which may be on its way, and for
// every call to be settled.
func wantCounts(t *testing.T, b *core.Breaker, want counts) {
	t.Helper()
	settled := func() bool { return countsOf(b) == want && b.Snapshot().Totals.InFlight == 0 }
	for end := time.Now().Add(patience); !settled(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("outcomes %+v, in flight %d; want %+v, none", countsOf(b), b.Snapshot().Totals.InFlight, want)
		}
	}
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Fatalf("code = %v of %v, want %v", got, err, want)
	}
}

// invoke makes a unary call.
func invoke(ctx context.Context, cc *grpc.ClientConn, opts ...grpc.CallOption) error {
	return cc.Invoke(ctx, unary, wrapperspb.String("text"), new(wrapperspb.StringValue), opts...)
}

// begin opens a stream.
func begin(ctx context.Context, cc *grpc.ClientConn, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return cc.NewStream(ctx, descs[method], method, opts...)
}

// mustBegin opens a stream and insists on it.
func mustBegin(t *testing.T, ctx context.Context, cc *grpc.ClientConn, method string) grpc.ClientStream { //nolint:revive // t comes first in a helper
	t.Helper()
	cs, err := begin(ctx, cc, method)
	if err != nil {
		t.Fatalf("NewStream(%s) = %v, want a stream", method, err)
	}
	return cs
}

func send(cs grpc.ClientStream) error    { return cs.SendMsg(wrapperspb.String("text")) }
func receive(cs grpc.ClientStream) error { return cs.RecvMsg(new(wrapperspb.StringValue)) }

// finish does what is left of a stream, as generated code has it done.
func finish(cs grpc.ClientStream, method string) error {
	if err := send(cs); err != nil && err != io.EOF {
		return err
	}
	if err := cs.CloseSend(); err != nil {
		return err
	}
	for {
		switch err := receive(cs); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case method == up:
			return nil
		}
	}
}

// call makes a whole call of any kind.
func call(ctx context.Context, cc *grpc.ClientConn, method string, opts ...grpc.CallOption) error {
	if method == unary {
		return invoke(ctx, cc, opts...)
	}
	cs, err := begin(ctx, cc, method, opts...)
	if err != nil {
		return err
	}
	return finish(cs, method)
}

// each runs a subtest for each method.
func each(t *testing.T, methods []string, f func(t *testing.T, method string)) {
	t.Helper()
	for _, method := range methods {
		t.Run(path.Base(method), func(t *testing.T) { f(t, method) })
	}
}

// bubbles is each on the bubble's clock.
func bubbles(t *testing.T, methods []string, f func(t *testing.T, method string)) {
	t.Helper()
	each(t, methods, func(t *testing.T, method string) {
		synctest.Test(t, func(t *testing.T) { f(t, method) })
	})
}

// await receives from a channel.
func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
		panic("not reached")
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	return ctx
}

func durationOf(d time.Duration) *durationpb.Duration { return durationpb.New(d) }
func pushbackOf(ms string) metadata.MD                { return metadata.Pairs("grpc-retry-pushback-ms", ms) }

func dialer(l *bufconn.Listener) grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) })
}

// raced reports whether the race detector is on, with which a sync.Pool forgets
// now and then.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
