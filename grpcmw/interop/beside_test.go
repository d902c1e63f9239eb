package interop

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/retry"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// each calls a unary method and a stream.
var each = map[string]func(ctx context.Context, cc *grpc.ClientConn) error{
	"unary": func(ctx context.Context, cc *grpc.ClientConn) error {
		_, err := testpb.NewTestServiceClient(cc).EmptyCall(ctx, &testpb.Empty{})
		return err
	},
	"stream": func(ctx context.Context, cc *grpc.ClientConn) error {
		cs, err := testpb.NewTestServiceClient(cc).StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
		for err == nil {
			_, err = cs.Recv()
		}
		if err == io.EOF {
			return nil
		}
		return err
	},
}

// hits counts the calls that arrive at a server, and fails them with a code.
func hits(n *atomic.Int32, code codes.Code) []grpc.ServerOption {
	answer := func() error {
		n.Add(1)
		return status.Error(code, "the server says so")
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := answer(); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := answer(); err != nil {
				return err
			}
			return handler(srv, ss)
		}),
	}
}

func TestRetriesOutsideAreCountedOneByOne(t *testing.T) {
	retrying := func(tries *atomic.Int32) []grpc.DialOption {
		opts := []retry.CallOption{
			retry.WithMax(4), retry.WithBackoff(retry.BackoffLinear(time.Millisecond)), retry.WithRetriable(grpcmw.Retriable(nil)),
			retry.WithOnRetryCallback(func(context.Context, uint, error) { tries.Add(1) }),
		}
		return []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(retry.UnaryClientInterceptor(opts...)),
			grpc.WithChainStreamInterceptor(retry.StreamClientInterceptor(opts...)),
		}
	}
	for name, call := range each {
		t.Run(name, func(t *testing.T) {
			var arrived, retried atomic.Int32
			b := newBreaker(t, core.Config{FailureThreshold: 3})
			cc := connect(t, hits(&arrived, codes.Unavailable), append(retrying(&retried), guarded(b)...))
			if err := call(t.Context(), cc); !errors.Is(err, core.ErrOpen) {
				t.Errorf("%v, want the refusal of the fourth attempt", err)
			}
			if arrived.Load() != 3 || b.State() != core.Open {
				t.Errorf("%d attempts arrived and the breaker is %v, want each of 3 counted, and open", arrived.Load(), b.State())
			}
			retried.Store(0)
			if err := call(t.Context(), cc); !errors.Is(err, core.ErrOpen) {
				t.Errorf("%v, want a refusal", err)
			}
			if arrived.Load() != 3 || retried.Load() > 1 { // it tells of the last attempt too
				t.Errorf("%d attempts arrived, tried %d times; want none more, once", arrived.Load()-3, retried.Load())
			}
		})
		t.Run(name+", refused by the server", func(t *testing.T) {
			var arrived, retried atomic.Int32
			cc := connect(t, append(hits(&arrived, codes.OK), guards(opened(t))...), retrying(&retried))
			if err := call(t.Context(), cc); status.Code(err) != codes.Unavailable {
				t.Errorf("%v, want Unavailable", err)
			}
			if arrived.Load() != 1 {
				t.Errorf("%d attempts arrived, want 1", arrived.Load())
			}
		})
	}
}

// traced returns a stats handler's provider and what it has recorded.
func traced(t *testing.T) (*trace.TracerProvider, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	return provider, spans
}

func TestSpansOfCallsAndRefusals(t *testing.T) {
	for name, call := range each {
		t.Run(name, func(t *testing.T) {
			clientSide, clientSpans := traced(t)
			serverSide, serverSpans := traced(t)
			client := newBreaker(t, core.Config{FailureThreshold: 1})
			cc := connect(t,
				append(guards(opened(t)), grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(serverSide)))),
				append(guarded(client), grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(clientSide)))))

			if err := call(t.Context(), cc); status.Code(err) != codes.Unavailable || errors.Is(err, core.ErrOpen) {
				t.Fatalf("%v, want the server's refusal", err)
			}
			for end := time.Now().Add(patience); len(serverSpans.Ended()) == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			}
			for side, spans := range map[string][]trace.ReadOnlySpan{"client": clientSpans.Ended(), "server": serverSpans.Ended()} {
				// gRPC tells tracing of no error when a send meets the end of a stream first.
				unsure := name == "stream" && side == "client"
				if len(spans) != 1 || code(spans[0]) != "UNAVAILABLE" && !unsure {
					t.Fatalf("%s: spans %v, want one, of UNAVAILABLE", side, spans)
				}
			}

			if err := call(t.Context(), cc); !errors.Is(err, core.ErrOpen) {
				t.Fatalf("%v, want the refusal of the client's own breaker", err)
			}
			if n := len(clientSpans.Started()); n != 1 {
				t.Errorf("%d client spans, want none for what was not sent", n-1)
			}
		})
	}
}

// code is the status that a span tells of.
func code(span trace.ReadOnlySpan) string {
	for _, a := range span.Attributes() {
		if a.Key == "rpc.response.status_code" {
			return a.Value.AsString()
		}
	}
	return ""
}
