package grpcmw_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// The refusal of a server's limit is no failure while other calls to it succeed, and
// may be retried. A server that refuses everything in this way opens the breaker.
func TestTheLimitOfAServerIsNoFailure(t *testing.T) {
	bubbles(t, methods, func(t *testing.T, method string) {
		limit := core.MustNewLimit("server", core.LimitConfig{Min: 1, Max: 1})
		client := newBreaker(t, core.Config{FailureThreshold: 3, FailureRateThreshold: -1})
		reached := serve(t, backend{}, guards(grpcmw.ServerOptions{Gate: limit})...)
		cc := connect(t, "passthrough:///memory", slices.Concat(guarded(grpcmw.ClientOptions{Gate: client}), []grpc.DialOption{reached})...)
		for range 3 {
			if err := call(bg, cc, method); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // the server's side ends
			place, err := limit.Allow(bg)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				time.Sleep(time.Second)
				err := call(bg, cc, method)
				wantCode(t, err, codes.Unavailable)
				if !grpcmw.Retriable(nil)(err) {
					t.Errorf("%v may not be retried", err)
				}
			}
			place.Settle(bg, core.Success)
		}
		wantState(t, client, core.Closed)
		if _, err := limit.Allow(bg); err != nil { // and never settled
			t.Fatal(err)
		}
		for range 16 {
			if client.State() == core.Open {
				return
			}
			time.Sleep(time.Second)
			wantCode(t, call(bg, cc, method), codes.Unavailable)
		}
		t.Errorf("%s after 16 s of refusals alone, want it open", client.Explain())
	})
}
