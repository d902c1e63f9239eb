package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// TestGRPCPeersAreInstalled: those with a breaker refuse once a server has failed
// often enough, but for gobreaker, which does not see how streams end; the others
// pass everything on.
func TestGRPCPeersAreInstalled(t *testing.T) {
	const calls = 50
	peers := append(grpcPeers(), grpcPeer{name: "server alone", server: guardedServer, refuses: true})
	for _, r := range exchangesByWire() {
		for _, p := range peers {
			if !r.fits(p) {
				continue
			}
			t.Run(r.name+"/"+p.name, func(t *testing.T) {
				bind, done := r.fresh(p)
				defer done()
				good, bad := bind(succeeding), bind(failing)
				if err := good(); err != nil {
					t.Fatalf("a good call failed: %v", err)
				}
				var err error
				for range calls {
					err = bad()
				}
				want := p.refuses && (p.name != grpcGobreaker || r.name != streamBufconn)
				if err == nil || isRefusal(err) != want {
					t.Errorf("after %d failures: %v; refused should be %v", calls, err, want)
				}
				if err := good(); (err != nil) != want {
					t.Errorf("a good call after that: %v; refused should be %v", err, want)
				}
			})
		}
	}
}

// TestServerRefuses keeps the row of both sides from being that of the client.
func TestServerRefuses(t *testing.T) {
	bind, done := calling(inMemory, unaryCall)(grpcPeer{server: guardedServer})
	defer done()
	for range 5 {
		_ = bind(failing)()
	}
	if err := bind(succeeding)(); status.Code(err) != codes.Unavailable {
		t.Errorf("after five failures: %v, want Unavailable", err)
	}
}

// recorder is a stats handler that remembers the events, by their types.
type recorder struct {
	mu     sync.Mutex
	events []string
	ended  chan struct{} // receives at the end of a call
}

type tagged struct{}

func (r *recorder) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, tagged{}, info.FullMethodName)
}

func (r *recorder) HandleRPC(ctx context.Context, s stats.RPCStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf("%v %T client=%v", ctx.Value(tagged{}), s, s.IsClient()))
	if _, ok := s.(*stats.End); ok {
		r.ended <- struct{}{}
	}
}

func (r *recorder) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (r *recorder) HandleConn(context.Context, stats.ConnStats)                       {}

// TestRaisingIsAsGRPC: otelgrpc gets the same events without a connection as with
// one.
func TestRaisingIsAsGRPC(t *testing.T) {
	seen := func(fresh func(grpcPeer) (func(work) call, func())) []string {
		t.Helper()
		r := &recorder{ended: make(chan struct{}, 1)}
		bind, done := fresh(grpcPeer{stats: func() stats.Handler { return r }})
		defer done()
		call := bind(succeeding)
		for range 2 { // the first also waits for the connection
			r.mu.Lock()
			r.events = nil
			r.mu.Unlock()
			if err := call(); err != nil {
				t.Fatal(err)
			}
			<-r.ended
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.events
	}
	got, want := seen(invoking()), seen(calling(inMemory, unaryCall))
	// Headers, payload and trailer of the answer come in either order: the
	// connection's goroutine raises some of them, the caller's the others.
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("events without a connection:\n%q\nwith one:\n%q", got, want)
	}
}

// TestNoStream: a stream without a connection does what those with one do.
func TestNoStream(t *testing.T) {
	for _, w := range []work{succeeding, failing} {
		s := &noStream{end: w.plain}
		for range 2 { // it is opened again and again
			var finished []error
			cs, err := s.open(t.Context(), nil, nil, "", grpc.OnFinish(func(err error) { finished = append(finished, err) }))
			if err != nil || cs.RecvMsg(nil) != nil || finished != nil {
				t.Fatalf("open or the message failed, or the end came early: %v, %v", err, finished)
			}
			want := w.plain()
			if err := cs.RecvMsg(nil); err != want && (want != nil || err != io.EOF) {
				t.Errorf("at the end: %v, want %v or EOF", err, want)
			}
			if len(finished) != 1 || finished[0] != want {
				t.Errorf("OnFinish was called with %v, want once %v", finished, want)
			}
		}
	}
}
