package grpcmw_test

import (
	"context"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// fixed is a stream that is always the same.
func fixed(cs grpc.ClientStream) grpc.Streamer {
	return func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
		return cs, nil
	}
}

// endless is a stream without an end.
type endless struct{ grpc.ClientStream }

func (endless) RecvMsg(any) error { return nil }
func (endless) SendMsg(any) error { return nil }

// told is a stream that gRPC says is over when it is received from, as a
// grpc.Streamer's that returns it.
type told struct {
	grpc.ClientStream

	finished func(error)
}

func (s *told) RecvMsg(any) error  { s.finished(errUnavailable); return errUnavailable }
func (*told) SendMsg(any) error    { return nil }
func (*told) Trailer() metadata.MD { return nil }

// passing is a stream with one message and a good end, of which gRPC tells.
type passing struct {
	told

	sent bool
}

func (s *passing) RecvMsg(any) error {
	if s.sent = !s.sent; s.sent {
		return nil
	}
	s.finished(nil)
	return io.EOF
}

func (s *passing) open(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	_, err := s.told.open(ctx, desc, cc, method, opts...)
	return s, err
}

// quiet is the stream of a client of a server that sends one message and ends.
type quiet struct {
	noServerStream

	received *bool
}

func (s quiet) RecvMsg(any) error {
	if *s.received = !*s.received; *s.received {
		return nil
	}
	return io.EOF
}
func (quiet) SendMsg(any) error { return nil }

func (s *told) open(_ context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s.finished = opts[len(opts)-1].(grpc.OnFinishCallOption).OnFinish
	return s, nil
}

func TestAllocations(t *testing.T) {
	if raced() {
		t.Skip("the race detector allocates")
	}
	cc := connect(t, "passthrough:///memory")
	open := opened(t)
	generated := []grpc.CallOption{grpc.StaticMethod()}
	own := []grpc.CallOption{grpc.StaticMethod(), grpc.WaitForReady(true)}
	message := wrapperspb.String("text")
	handler := func(_ context.Context, req any) (any, error) { return req, nil }
	streamHandler := func(any, grpc.ServerStream) error { return nil }
	echo := func(_ any, ss grpc.ServerStream) error {
		_, _ = ss.RecvMsg(message), ss.SendMsg(message)
		_ = ss.RecvMsg(message)
		return nil
	}
	var client grpc.ServerStream = quiet{received: new(bool)}
	rejects := func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
		return errNotFound
	}

	one, many := grpcmw.UnaryClientInterceptor(nil, nil), grpcmw.StreamClientInterceptor(nil, nil)
	refusing := grpcmw.UnaryClientInterceptor(nil, &grpcmw.ClientOptions{Gate: open})
	counted := grpcmw.StreamClientInterceptor(nil, &grpcmw.ClientOptions{Gate: newBreaker(t, counting()), Classify: func(context.Context, error) core.Outcome { return core.Success }})
	failing, passing := new(told).open, new(passing).open
	other := []grpc.CallOption{grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(1 << 20), grpc.UseCompressor("gzip")}
	var trailer metadata.MD
	callers := []grpc.CallOption{grpc.StaticMethod(), grpc.Trailer(&trailer)}
	oneThere, manyThere := grpcmw.UnaryServerInterceptor(nil, nil), grpcmw.StreamServerInterceptor(nil, nil)
	unaryInfo, streamInfo := &grpc.UnaryServerInfo{FullMethod: unary, Server: 1}, &grpc.StreamServerInfo{FullMethod: both}
	streamer, method := fixed(endless{}), both
	for _, c := range []struct {
		name string
		want float64
		call func()
	}{
		{"a unary call", 0, func() { _ = one(bg, unary, message, message, cc, nothing) }},
		{"a unary call of generated code", 0, func() { _ = one(bg, unary, message, message, cc, nothing, generated...) }},
		{"a unary call with options", 0, func() { _ = one(bg, unary, message, message, cc, nothing, own...) }},
		{"a unary call with other options", 0, func() { _ = one(bg, unary, message, message, cc, nothing, other...) }},
		{"a unary call with options, and one of generated code", 0, func() {
			_ = one(bg, unary, message, message, cc, nothing, own...)
			_ = one(bg, unary, message, message, cc, nothing, generated...)
		}},
		{"a unary call with an option that is not kept", 1, func() { _ = one(bg, unary, message, message, cc, nothing, callers...) }},
		{"a unary call with an answer that is an error", 0, func() { _ = one(bg, unary, message, message, cc, rejects) }},
		{"a refusal", 0, func() { _ = refusing(bg, unary, message, message, cc, nothing) }},
		{"a stream", 2, func() { _, _ = many(bg, descs[both], cc, method, streamer, own...) }},
		{"a stream and a message", 2, func() {
			cs, _ := many(bg, descs[both], cc, method, streamer)
			_ = cs.RecvMsg(message)
			_ = cs.SendMsg(message)
		}},
		{"a stream that fails", 2, func() {
			cs, _ := counted(bg, descs[both], cc, method, failing)
			_ = cs.SendMsg(message)
			_ = cs.RecvMsg(message)
		}},
		{"a stream to its good end", 2, func() {
			cs, _ := many(bg, descs[both], cc, method, passing, generated...)
			_ = cs.SendMsg(message)
			_ = cs.RecvMsg(message)
			_ = cs.RecvMsg(message)
		}},
		{"a unary call in a server", 0, func() { _, _ = oneThere(bg, message, unaryInfo, handler) }},
		{"a stream in a server", 1, func() { _ = manyThere(1, client, streamInfo, streamHandler) }},
		{"a stream in a server with a message each way and an end", 1, func() { _ = manyThere(1, client, streamInfo, echo) }},
	} {
		if got := testing.AllocsPerRun(1000, c.call); got != c.want {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.want)
		}
	}
}

var errNotFound = status.Error(codes.NotFound, "not here")

// BenchmarkInterceptors is what the interceptors cost around calls that do
// nothing.
func BenchmarkInterceptors(b *testing.B) {
	cc, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(noTLS))
	if err != nil {
		b.Fatal(err)
	}
	defer cc.Close()
	open := core.MustNew("open", core.Config{FailureThreshold: 1})
	p, _ := open.Allow(b.Context())
	p.Settle(b.Context(), core.Failure)
	message := wrapperspb.String("text")
	one, many, refusing := grpcmw.UnaryClientInterceptor(nil, nil), grpcmw.StreamClientInterceptor(nil, nil), grpcmw.UnaryClientInterceptor(nil, &grpcmw.ClientOptions{Gate: open})
	there := grpcmw.UnaryServerInterceptor(nil, nil)
	info := &grpc.UnaryServerInfo{FullMethod: unary}
	handler := func(_ context.Context, req any) (any, error) { return req, nil }
	streamer := fixed(endless{})
	running, _ := many(bg, descs[both], cc, both, streamer)
	for _, c := range []struct {
		name string
		call func()
	}{
		{"unary client", func() { _ = one(bg, unary, message, message, cc, nothing) }},
		{"unary client refused", func() { _ = refusing(bg, unary, message, message, cc, nothing) }},
		{"unary server", func() { _, _ = there(bg, message, info, handler) }},
		{"stream client opened", func() { _, _ = many(bg, descs[both], cc, both, streamer) }},
		{"stream client, a message each way", func() { _, _ = running.SendMsg(message), running.RecvMsg(message) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.call()
				}
			})
		})
	}
}
