package grpcmw_test

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/blackbox4/switchgear/grpcmw"
)

// list is an option of a kind that cannot be compared.
type list struct {
	grpc.EmptyCallOption

	of []int
}

// TestOptionsOfACall has calls with all kinds of options follow each other: each one
// gets its own, unchanged and in order, and those that are told of the call. What an
// earlier call got stays as it was, though an interceptor further in appends to it.
func TestOptionsOfACall(t *testing.T) {
	cc := connect(t, "passthrough:///memory")
	var trailer metadata.MD
	kinds := [][]grpc.CallOption{
		nil,
		{grpc.StaticMethod()},
		{grpc.StaticMethod(), grpc.WaitForReady(true)},
		{grpc.StaticMethod(), grpc.WaitForReady(false)},
		{grpc.WaitForReady(true)},
		{grpc.WaitForReady(true), grpc.StaticMethod()},
		{grpc.MaxCallRecvMsgSize(1), grpc.MaxCallSendMsgSize(2), grpc.UseCompressor("gzip"), grpc.CallContentSubtype("json"), grpc.MaxRetryRPCBufferSize(3)},
		{grpc.StaticMethod(), grpc.Trailer(&trailer)},
		{list{of: []int{1}}},
		{list{of: []int{2}}},
		{grpc.StaticMethod(), list{of: []int{3}}},
	}
	intercept := grpcmw.UnaryClientInterceptor(nil, nil)
	type call struct{ got, kept []grpc.CallOption }
	var calls []call
	last := func(_ context.Context, _ string, _, _ any, _ *grpc.ClientConn, opts ...grpc.CallOption) error {
		calls = append(calls, call{got: opts, kept: slices.Clone(opts)})
		_ = append(opts, grpc.UseCompressor("another interceptor's"))
		return nil
	}
	for round := range 3 {
		for i := range kinds {
			for range 1 + round { // also with the same ones again
				own := slices.Clone(kinds[i])
				if err := intercept(bg, unary, nil, nil, cc, last, own...); err != nil {
					t.Fatal(err)
				}
				clear(own) // they are the caller's, who may use the memory again
				got := calls[len(calls)-1]
				told := got.kept[min(len(kinds[i]), len(got.kept)):]
				if !reflect.DeepEqual(got.kept[:len(got.kept)-len(told)], kinds[i]) && len(kinds[i]) > 0 {
					t.Errorf("a call with %v got %v", kinds[i], got.kept)
				}
				if len(told) != 3 || !is[grpc.HeaderCallOption](told[0]) || !is[grpc.TrailerCallOption](told[1]) || !is[grpc.PeerCallOption](told[2]) {
					t.Errorf("a call with %v is told of by %v, want a header, a trailer and a peer", kinds[i], told)
				}
				if cap(got.got) != len(got.got) {
					t.Errorf("a call with %v: options with room for %d more", kinds[i], cap(got.got)-len(got.got))
				}
			}
		}
	}
	for _, c := range calls {
		if !reflect.DeepEqual(c.got, c.kept) {
			t.Errorf("the options of a call that is over became %v, want %v", c.got, c.kept)
		}
	}
}

func is[T grpc.CallOption](o grpc.CallOption) bool {
	_, ok := o.(T)
	return ok
}
