package grpcmw_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// names are the breakers of a registry, with how many calls each had.
func names(r *core.Registry) map[string]uint64 {
	calls := map[string]uint64{}
	for name, b := range r.All() {
		calls[name] = b.Snapshot().Totals.Calls
	}
	return calls
}

func wantNames(t *testing.T, r *core.Registry, want map[string]uint64) {
	t.Helper()
	if got := names(r); !maps.Equal(got, want) {
		t.Errorf("breakers and calls %v, want %v", got, want)
	}
}

// drive has calls of both kinds go through the interceptors of a client.
func drive(registry *core.Registry, o *grpcmw.ClientOptions) func(cc *grpc.ClientConn, method string) {
	one, many := grpcmw.UnaryClientInterceptor(registry, o), grpcmw.StreamClientInterceptor(registry, o)
	return func(cc *grpc.ClientConn, method string) {
		_ = one(bg, method, nil, nil, cc, nothing)
		_, _ = many(bg, descs[both], cc, method, noStream)
	}
}

func TestATargetHasOneKeyHoweverItIsWritten(t *testing.T) {
	registry := new(core.Registry)
	calls := drive(registry, nil)
	for _, target := range []string{"example.com:443", "dns:///example.com:443"} {
		cc := connect(t, target)
		for range 3 {
			calls(cc, unary)
		}
	}
	wantNames(t, registry, map[string]uint64{"dns:///example.com:443" + unary: 12})
}

func TestEachTargetAndMethodHasItsBreaker(t *testing.T) {
	registry := new(core.Registry)
	calls := drive(registry, nil)
	want := map[string]uint64{}
	for range 2 { // also when they are remembered
		for i := range 300 { // more than are
			calls(nil, fmt.Sprint("/s/", i))
			want[fmt.Sprint("/s/", i)] = 4
		}
		for _, target := range []string{"a:1", "b:1", "passthrough:///a:1"} {
			cc := connect(t, target)
			for _, method := range methods {
				calls(cc, method)
				want[cc.CanonicalTarget()+method] = 4
			}
		}
	}
	wantNames(t, registry, want)
}

func TestAKeyOfOnesOwn(t *testing.T) {
	registry := new(core.Registry)
	calls := drive(registry, &grpcmw.ClientOptions{Key: func(_ *grpc.ClientConn, method string) string {
		switch method {
		case unary:
			return ""
		case up:
			return strings.Repeat("x", 1000)
		}
		return "the backend"
	}})
	for _, method := range methods {
		calls(nil, method)
	}
	wantNames(t, registry, map[string]uint64{"the backend": 4})
	if got := registry.Stats().Unguarded; got != 2 {
		t.Errorf("%d calls without a breaker, want the 2 of a name that is too long", got)
	}
}

func TestTheKeysOfAServer(t *testing.T) {
	registry := new(core.Registry)
	for _, o := range []*grpcmw.ServerOptions{
		nil,
		{Key: func(string) string { return "all" }},
		{Key: func(string) string { return "" }},
		{Skip: func(method string) bool { return method == unary }},
	} {
		one, many := grpcmw.UnaryServerInterceptor(registry, o), grpcmw.StreamServerInterceptor(registry, o)
		for _, method := range append(slices.Clone(methods), "/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo") {
			_, _ = one(bg, nil, &grpc.UnaryServerInfo{FullMethod: method}, func(context.Context, any) (any, error) { return nil, nil })
			_ = many("registered", noServerStream{}, &grpc.StreamServerInfo{FullMethod: method}, func(any, grpc.ServerStream) error { return nil })
		}
		_ = many(nil, noServerStream{}, &grpc.StreamServerInfo{FullMethod: "/made.Up/Method"}, func(any, grpc.ServerStream) error { return nil })
	}
	wantNames(t, registry, map[string]uint64{
		unary: 2, down: 4, up: 4, both: 4, "(unknown)": 2, "all": 9,
		"/grpc.health.v1.Health/Check": 2, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": 2,
	})
}

// TestAnInterceptorKeepsNoConnection has a connection come and go while the
// interceptors stay.
func TestAnInterceptorKeepsNoConnection(t *testing.T) {
	calls := drive(nil, nil)
	cc, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	calls(cc, unary)
	cc.Close()
	kept := weak.Make(cc)
	cc = nil
	for end := time.Now().Add(patience); kept.Value() != nil; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("not within %v: the connection is collected", patience)
		}
	}
	calls(cc, unary)
}

// TestOptionsAreNotTakenBack has an interceptor further in that still looks at the
// options of a call when that is over, as one that hedges may.
func TestOptionsAreNotTakenBack(t *testing.T) {
	client := grpcmw.UnaryClientInterceptor(nil, nil)
	for _, own := range [][]grpc.CallOption{nil, {grpc.StaticMethod()}, {grpc.WaitForReady(true)}, {grpc.StaticMethod(), grpc.WaitForReady(true)}} {
		var kept []grpc.CallOption
		keep := func(_ context.Context, _ string, _, _ any, _ *grpc.ClientConn, opts ...grpc.CallOption) error {
			if kept == nil {
				kept = opts
			}
			return nil
		}
		_ = client(bg, unary, nil, nil, nil, keep, own...)
		want := slices.Clone(kept)
		if len(want) != len(own)+3 {
			t.Fatalf("%d options, want three more than %d", len(want), len(own))
		}
		for range 100 {
			_ = client(bg, unary, nil, nil, nil, keep, own...)
			_ = client(bg, unary, nil, nil, nil, keep, grpc.CallContentSubtype("other"))
		}
		if !slices.Equal(kept, want) {
			t.Errorf("the options of a call that is over are %v, want %v as they were", kept, want)
		}
	}
}
