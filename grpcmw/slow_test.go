package grpcmw_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// TestWhoIsSlowAndWellIsLetBack, with all defaults, by a client and by a server.
func TestWhoIsSlowAndWellIsLetBack(t *testing.T) {
	for _, slow := range []time.Duration{45 * time.Second, 5 * time.Minute} {
		for _, side := range []string{"client", "server"} {
			t.Run(fmt.Sprintf("%v, %s", slow, side), func(t *testing.T) {
				bubbles(t, methods, func(t *testing.T, method string) {
					registry := new(core.Registry)
					var dial []grpc.DialOption
					var opts []grpc.ServerOption
					if side == "client" {
						dial = []grpc.DialOption{grpc.WithUnaryInterceptor(grpcmw.UnaryClientInterceptor(registry, nil)), grpc.WithStreamInterceptor(grpcmw.StreamClientInterceptor(registry, nil))}
					} else {
						opts = []grpc.ServerOption{grpc.UnaryInterceptor(grpcmw.UnaryServerInterceptor(registry, nil)), grpc.StreamInterceptor(grpcmw.StreamServerInterceptor(registry, nil))}
					}
					var ill bool
					cc := connect(t, "passthrough:///memory", append(dial, serve(t, backend{
						unary: func(_ context.Context, text string) (string, error) {
							if ill {
								return "", errUnavailable
							}
							time.Sleep(slow)
							return text, nil
						},
						stream: func(method string, ss grpc.ServerStream) error {
							if ill {
								return errUnavailable
							}
							time.Sleep(slow)
							return answer(method, ss)
						},
					}, opts...))...)
					ill = true
					for range 5 {
						if err := call(bg, cc, method); err == nil {
							t.Error("the call succeeded, want an error")
						}
					}
					var b *core.Breaker
					for _, b = range registry.All() {
					}
					wantState(t, b, core.Open)
					ill = false
					for n := 0; b.State() != core.Closed; n++ {
						if n > 10 {
							t.Fatalf("after %d calls %v (%s), want it closed", n, b.State(), b.Explain())
						}
						time.Sleep(time.Minute)
						_ = call(bg, cc, method)
						synctest.Wait()
					}
					if got := b.Snapshot().Totals.Failures; got != 5 {
						t.Errorf("%d failures, want 5: a slow call is none", got)
					}
				})
			})
		}
	}
}
