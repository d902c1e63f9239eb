package main

import (
	"context"
	"net/http"
	"sync/atomic"

	"google.golang.org/grpc"
)

type markKey struct{}

// marked returns a context by which what is inside of a breaker tells that a call
// was admitted.
func marked(ctx context.Context) (context.Context, *atomic.Bool) {
	admitted := new(atomic.Bool)
	return context.WithValue(ctx, markKey{}, admitted), admitted
}

func mark(ctx context.Context) {
	if admitted, ok := ctx.Value(markKey{}).(*atomic.Bool); ok {
		admitted.Store(true)
	}
}

// marking is a RoundTripper inside of a breaker.
type marking struct{ base *http.Transport }

func (m marking) RoundTrip(req *http.Request) (*http.Response, error) {
	mark(req.Context())
	return m.base.RoundTrip(req)
}

func (m marking) CloseIdleConnections() { m.base.CloseIdleConnections() }

func markUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	mark(ctx)
	return invoker(ctx, method, req, reply, cc, opts...)
}

func markStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	mark(ctx)
	return streamer(ctx, desc, cc, method, opts...)
}
