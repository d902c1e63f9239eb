package grpcmw_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

var here = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50051}

// dialling is an error of dialling as package net makes it.
func dialling(call string, errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: here, Err: os.NewSyscallError(call, errno)}
}

func lookingUp(err *net.DNSError) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }

// TestThisMachinesShortagesAreNotTheServers: a connection that cannot be made for want
// of something here says nothing of the server.
func TestThisMachinesShortagesAreNotTheServers(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want core.Outcome
	}{
		{"no descriptor", dialling("socket", syscall.EMFILE), core.Ignored},
		{"no descriptor in the system", dialling("socket", syscall.ENFILE), core.Ignored},
		{"no port", dialling("connect", syscall.EADDRNOTAVAIL), core.Ignored},
		{"a port in use", dialling("bind", syscall.EADDRINUSE), core.Ignored},
		{"no memory", dialling("connect", syscall.ENOMEM), core.Ignored},
		{"no buffers", dialling("connect", syscall.ENOBUFS), core.Ignored},
		{"no descriptor for a Unix socket", &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: "/run/x", Net: "unix"}, Err: os.NewSyscallError("socket", syscall.EMFILE)}, core.Ignored},
		{"the resolver is silent", lookingUp(&net.DNSError{Err: "i/o timeout", Name: "host", Server: "127.0.0.53:53", IsTimeout: true}), core.Ignored},
		{"the resolver has failed", lookingUp(&net.DNSError{Err: "server misbehaving", Name: "host", IsTemporary: true}), core.Ignored},
		{"the C library's has", lookingUp(&net.DNSError{Err: "Temporary failure in name resolution", Name: "host", IsTemporary: true}), core.Ignored},
		{"no descriptor for the resolver", lookingUp(&net.DNSError{Err: "dial udp 127.0.0.53:53: socket: too many open files", Name: "host", IsTemporary: true}), core.Ignored},
		{"no such host", lookingUp(&net.DNSError{Err: "no such host", Name: "host", IsNotFound: true}), core.Failure},
		{"refused", dialling("connect", syscall.ECONNREFUSED), core.Failure},
		{"reset", dialling("connect", syscall.ECONNRESET), core.Failure},
		{"a silent server", &net.OpError{Op: "dial", Net: "tcp", Addr: here, Err: os.ErrDeadlineExceeded}, core.Failure},
		{"what a proxy says", fmt.Errorf("failed to do connect handshake, status code: %s", "502 socket: too many open files"), core.Failure},
		{"what a proxy says at length", fmt.Errorf("failed to do connect handshake, response: %q", "502\r\n\r\ndial tcp: socket: too many open files"), core.Failure},
		{"what a proxy says of names", errors.New("proxy: lookup host: i/o timeout"), core.Failure},
	} {
		for balancer, cfg := range map[string]string{"": "{}", ", by turns": `{"loadBalancingConfig": [{"round_robin": {}}]}`} {
			for _, waits := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s%s, waiting %v", c.name, balancer, waits), func(t *testing.T) {
					bubbles(t, []string{unary, both}, func(t *testing.T, method string) {
						b := newBreaker(t, counting())
						cc := connect(t, "passthrough:///host:1", append(guarded(grpcmw.ClientOptions{Gate: b}), grpc.WithDefaultServiceConfig(cfg),
							grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return nil, c.err }))...)
						ctx, stop := context.WithTimeout(bg, 5*time.Second)
						defer stop()
						if err := call(ctx, cc, method, grpc.WaitForReady(waits)); err == nil {
							t.Error("the call succeeded, want an error")
						}
						synctest.Wait()
						if got := countsOf(b); got != times(1, c.want) {
							t.Errorf("outcomes %+v, want %+v", got, times(1, c.want))
						}
					})
				})
			}
		}
	}
}

// reporting is a resolver that fails as the one for DNS does.
type reporting struct{ err error }

func (reporting) Scheme() string { return "reporting" }
func (r reporting) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	if r.err == nil {
		_ = cc.UpdateState(resolver.State{}) // as for a host that does not exist
	} else {
		cc.ReportError(r.err)
	}
	return r, nil
}
func (reporting) ResolveNow(resolver.ResolveNowOptions) {}
func (reporting) Close()                                {}

func TestAResolverThatDoesNotAnswer(t *testing.T) {
	for _, c := range []struct {
		err  error
		want core.Outcome
	}{
		{errors.New("dns: A record lookup error: lookup host on 127.0.0.53:53: read udp 127.0.0.1:1->127.0.0.53:53: i/o timeout"), core.Ignored},
		{errors.New("dns: A record lookup error: lookup host on 127.0.0.53:53: server misbehaving"), core.Ignored},
		{nil, core.Failure},
		{errors.New("there is nothing here"), core.Failure},
	} {
		for _, cfg := range []string{"{}", `{"loadBalancingConfig": [{"round_robin": {}}]}`} {
			for _, waits := range []bool{false, true} {
				bubbles(t, []string{unary, both}, func(t *testing.T, method string) {
					b := newBreaker(t, counting())
					cc := connect(t, "reporting:///host", append(guarded(grpcmw.ClientOptions{Gate: b}), grpc.WithResolvers(reporting{c.err}), grpc.WithDefaultServiceConfig(cfg))...)
					ctx, stop := context.WithTimeout(bg, 5*time.Second)
					defer stop()
					if err := call(ctx, cc, method, grpc.WaitForReady(waits)); err == nil {
						t.Error("the call succeeded, want an error")
					}
					synctest.Wait()
					if got := countsOf(b); got != times(1, c.want) {
						t.Errorf("%v, waiting %v: outcomes %+v, want %+v", c.err, waits, got, times(1, c.want))
					}
				})
			}
		}
	}
}

// failingCredentials cannot be fetched.
type failingCredentials struct{ err error }

func (c failingCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return nil, c.err
}
func (failingCredentials) RequireTransportSecurity() bool { return false }

// TestCredentialsThatCannotBeFetched say nothing of a server that is not asked, and
// close no breaker, whatever they return.
func TestCredentialsThatCannotBeFetched(t *testing.T) {
	for _, err := range []error{
		errors.New("no token"),
		status.Error(codes.Unauthenticated, "no token"),
		status.Error(codes.PermissionDenied, "no token"),
		status.Error(codes.Unavailable, "the token service is down"),
		status.Error(codes.Internal, "no token"),
		status.Error(codes.Unknown, "no token"),
		status.Error(codes.ResourceExhausted, "too many tokens"),
		status.Error(codes.NotFound, "no token"),
		status.Error(codes.Unimplemented, "no token"),
	} {
		for where, opts := range map[string]func(credentials.PerRPCCredentials) ([]grpc.DialOption, []grpc.CallOption){
			"of the connection": func(c credentials.PerRPCCredentials) ([]grpc.DialOption, []grpc.CallOption) {
				return []grpc.DialOption{grpc.WithPerRPCCredentials(c)}, nil
			},
			"of the call": func(c credentials.PerRPCCredentials) ([]grpc.DialOption, []grpc.CallOption) {
				return nil, []grpc.CallOption{grpc.PerRPCCredentials(c)}
			},
		} {
			for _, probe := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %v, probe %v", where, err, probe), func(t *testing.T) {
					bubbles(t, []string{unary, both}, func(t *testing.T, method string) {
						dial, per := opts(failingCredentials{err})
						b := newBreaker(t, oneProbe())
						before := counts{}
						if probe {
							halfOpen(t, b)
							before = countsOf(b)
						}
						var asked atomic.Int32
						cc := connect(t, "passthrough:///memory", slices.Concat(guarded(grpcmw.ClientOptions{Gate: b}), dial, []grpc.DialOption{serve(t, backend{
							unary:  func(_ context.Context, text string) (string, error) { asked.Add(1); return text, nil },
							stream: func(method string, ss grpc.ServerStream) error { asked.Add(1); return answer(method, ss) },
						})})...)
						cc.Connect()
						for s := cc.GetState(); status.Code(err) == codes.Unavailable && s != connectivity.Ready; s = cc.GetState() {
							cc.WaitForStateChange(bg, s)
						}
						for range 5 {
							if err := call(bg, cc, method, per...); err == nil {
								t.Error("the call succeeded, want an error")
							}
						}
						synctest.Wait()
						got := countsOf(b)
						if asked.Load() > 0 || got.success != before.success || got.failure != before.failure || got.ignored != before.ignored+5 {
							t.Errorf("%d calls at the server, outcomes %+v after %+v; want none, and 5 ignored", asked.Load(), got, before)
						}
					})
				})
			}
		}
	}
}

// TestTextsOfTheServerDecideNothing has a server fail with what gRPC says of errors
// of this side, with a header before and without: each counts by its code.
func TestTextsOfTheServerDecideNothing(t *testing.T) {
	dial := `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:1: socket: too many open files"`
	for _, err := range []error{
		status.Error(codes.ResourceExhausted, "queue is larger than max"),
		status.Error(codes.ResourceExhausted, "trying to send message larger than max (5 vs. 4)"),
		status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)"),
		status.Error(codes.ResourceExhausted, "grpc: received message after decompression larger than max 4"),
		status.Error(codes.ResourceExhausted, "grpc: message too large (5 bytes)"),
		status.Error(codes.Internal, "grpc: error while marshaling: no"),
		status.Error(codes.Internal, `header key "k y" contains illegal characters`),
		status.Error(codes.Internal, "header list size to send violates the maximum size (5 bytes) set by server"),
		status.Error(codes.Internal, "transport: per-RPC creds failed due to error: no"),
		status.Error(codes.Unavailable, dial),
		status.Error(codes.Unavailable, "last connection error: "+dial),
		status.Error(codes.Unavailable, "name resolver error: dns: A record lookup error: i/o timeout"),
		status.Error(codes.DeadlineExceeded, "latest balancer error: "+dial),
		status.Error(codes.Unavailable, "grpc: the client connection is closing"),
	} {
		for _, header := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, header %v", err, header), func(t *testing.T) {
				bubbles(t, methods, func(t *testing.T, method string) {
					p := between(t, backend{
						unary: func(ctx context.Context, _ string) (string, error) {
							if header {
								_ = grpc.SendHeader(ctx, metadata.Pairs("a", "b"))
							}
							return "", err
						},
						stream: func(_ string, ss grpc.ServerStream) error {
							if header {
								_ = ss.SendHeader(metadata.Pairs("a", "b"))
							}
							return err
						},
					}, counting())
					for range 3 {
						wantCode(t, call(bg, p.cc, method), status.Code(err))
					}
					wantCounts(t, p.client, times(3, core.Failure))
				})
			})
		}
	}
}

// TestAnInterceptorThatKeepsTheOptions hides what comes over the wire: then errors
// count by their codes.
func TestAnInterceptorThatKeepsTheOptions(t *testing.T) {
	b := newBreaker(t, counting())
	var ill atomic.Bool
	cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b}),
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, _ ...grpc.CallOption) error {
			return invoker(ctx, method, req, reply, cc)
		}),
		serve(t, backend{unary: func(_ context.Context, text string) (string, error) {
			if ill.Load() {
				return "", errUnavailable
			}
			return text, nil
		}}))...)
	if err := invoke(bg, cc); err != nil {
		t.Fatal(err)
	}
	ill.Store(true)
	wantCode(t, invoke(bg, cc), codes.Unavailable)
	wantCounts(t, b, counts{success: 1, failure: 1})
}

var _ = wrapperspb.String
