// Grpc shows gRPC servers that fall ill, and what a retry policy makes of that: with
// no breaker each call arrives four times, with one in the server once, with one in
// the client not at all. It needs nothing but Go and the loopback interface, and
// ends by itself in about three seconds:
//
//	go run ./examples/grpc
//
// There are two servers, plain and guarded, of which the second one has the
// interceptors of grpcmw; and a client without and one with them. Each line tells of
// a unary call (Get) or a stream (List) what the caller got, how many attempts
// arrived at the server, and how many of these were handled.
//
// To read the code, begin with guards and guarded below, which are all there is to
// do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

func main() { os.Exit(start()) }

// start is main with an exit status, so that what it defers runs.
func start() int {
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "grpc takes no arguments")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "grpc:", err)
		return 1
	}
	return 0
}

// guards are the interceptors of a server: a breaker for each method.
func guards(registry *core.Registry) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(grpcmw.UnaryServerInterceptor(registry, nil)),
		grpc.ChainStreamInterceptor(grpcmw.StreamServerInterceptor(registry, nil)),
	}
}

// guarded are those of a client: a breaker for each method of each target.
func guarded(registry *core.Registry) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(grpcmw.UnaryClientInterceptor(registry, nil)),
		grpc.WithStreamInterceptor(grpcmw.StreamClientInterceptor(registry, nil)),
	}
}

// retries is a service config as many have it: four attempts if a server is not
// available.
const retries = `{"methodConfig": [{"name": [{}], "retryPolicy": {
	"maxAttempts": 4, "initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1,
	"retryableStatusCodes": ["UNAVAILABLE"]}}]}`

func dial(address string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, append(opts,
		grpc.WithDefaultServiceConfig(retries),
		grpc.WithTransportCredentials(insecure.NewCredentials()))...)
}

// story is one run of the program.
type story struct {
	mu  sync.Mutex // hooks of the server tell from its goroutines
	out io.Writer
}

// run tells the story to out. When it returns, everything it started has ended.
func run(ctx context.Context, out io.Writer) error {
	s := &story{out: out}
	registry := func(side string) *core.Registry {
		return &core.Registry{Config: func(string) core.Config {
			return core.Config{
				FailureThreshold: 4, Timeout: time.Second, SuccessThreshold: 1, // short, for a short story
				Hooks: core.Hooks{Transition: func(_ context.Context, t core.Transition) {
					s.say("  >> breaker of the %s, %s: %v -> %v: %s", side, path.Base(t.Name), t.From, t.To, t.Reason())
				}},
			}
		}}
	}
	plain, err := newServer("plain")
	if err != nil {
		return err
	}
	defer plain.stop()
	guarding, err := newServer("guarded", guards(registry("server"))...)
	if err != nil {
		return err
	}
	defer guarding.stop()
	client, err := dial(plain.address)
	if err != nil {
		return err
	}
	defer client.Close()
	toGuarding, err := dial(guarding.address)
	if err != nil {
		return err
	}
	defer toGuarding.Close()
	careful, err := dial(plain.address, guarded(registry("client"))...)
	if err != nil {
		return err
	}
	defer careful.Close()

	return s.play(ctx, []act{
		{"No breaker: each call arrives four times, for as long as the server is ill.", client, plain, 2},
		{"A breaker in the server: when it is open a call arrives once, and nothing is handled.", toGuarding, guarding, 3},
		{"A breaker in the client: when it is open nothing arrives.", careful, plain, 6},
	})
}

// act is what a client has with a server that is well, ill, and well again.
type act struct {
	title  string
	client *grpc.ClientConn
	server *server
	calls  int // of each kind, while it is ill
}

func (s *story) play(ctx context.Context, acts []act) error {
	for i, a := range acts {
		if i > 0 {
			s.say("")
		}
		s.say("%s", a.title)
		if err := s.both(ctx, a, 1); err != nil {
			return err
		}
		s.say(" %s falls ill.", a.server.name)
		a.server.ill.Store(true)
		if err := s.both(ctx, a, a.calls); err != nil {
			return err
		}
		s.say(" %s is well again.", a.server.name)
		a.server.ill.Store(false)
		select {
		case <-time.After(time.Second): // until the break is over, if there is one
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.both(ctx, a, 1); err != nil {
			return err
		}
	}
	return nil
}

// both makes n calls of both kinds and tells what came of them.
func (s *story) both(ctx context.Context, a act, n int) error {
	for _, kind := range []struct {
		name string
		call func(context.Context, *grpc.ClientConn) error
	}{{"Get", get}, {"List", list}} {
		for range n {
			arrived, handled := a.server.arrived.Load(), a.server.handled.Load()
			err := kind.call(ctx, a.client)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			got := status.Code(err).String()
			switch {
			case errors.Is(err, core.ErrOpen):
				got += ", refused here"
			case grpcmw.Reason == reason(err):
				got += ", refused there"
			case err != nil && status.Code(err) != codes.Unavailable:
				return err
			}
			s.say("  %-4s  %s; arrived: %d, handled: %d", kind.name, got, a.server.arrived.Load()-arrived, a.server.handled.Load()-handled)
		}
	}
	return nil
}

// get makes a unary call.
func get(ctx context.Context, cc *grpc.ClientConn) error {
	return cc.Invoke(ctx, getMethod, wrapperspb.String("order 1"), new(wrapperspb.StringValue))
}

// list makes a call that is answered by a stream.
func list(ctx context.Context, cc *grpc.ClientConn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cs, err := cc.NewStream(ctx, &grpc.StreamDesc{StreamName: "List", ServerStreams: true}, listMethod)
	if err != nil {
		return err
	}
	if err := cs.SendMsg(wrapperspb.String("all orders")); err != nil {
		return err
	}
	if err := cs.CloseSend(); err != nil {
		return err
	}
	for {
		switch err := cs.RecvMsg(new(wrapperspb.StringValue)); {
		case err == io.EOF: //nolint:errorlint // streams return it as it is
			return nil
		case err != nil:
			return err
		}
	}
}

func (s *story) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}
