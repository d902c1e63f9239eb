package grpcmw

import (
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// wire is what gRPC tells of one unary call besides its error: what came over the
// wire, if anything, and from where. A peer can write any text into the error of a
// call, but not into one without a header and a trailer: the texts of those begin
// with words of gRPC's own.
//
// It is reused, because it would otherwise be all that a call allocates. Its options
// are never changed, in case an interceptor further in still looks at them when the
// call is over.
type wire struct {
	header, trailer metadata.MD
	peer            peer.Peer // without an address if no connection was found for the call

	bare      []grpc.CallOption // those that are told of the call
	generated []grpc.CallOption // of a call of generated code, and bare
	own       []grpc.CallOption // of the last call with plain options of its own, and bare
}

//nolint:gochecknoglobals // a pool is shared
var wires = sync.Pool{New: func() any {
	w := new(wire)
	w.bare = []grpc.CallOption{grpc.Header(&w.header), grpc.Trailer(&w.trailer), grpc.Peer(&w.peer)}
	w.generated = slices.Concat([]grpc.CallOption{grpc.StaticMethod()}, w.bare)
	return w
}}

// join returns opts and those that are told of the call. Most callers pass the same
// options each time: then it allocates nothing.
func (w *wire) join(opts []grpc.CallOption) []grpc.CallOption {
	switch {
	case len(opts) == 0:
		return w.bare
	case w.joins(w.generated, opts):
		return w.generated
	case w.joins(w.own, opts):
		return w.own
	}
	joined := slices.Clip(append(slices.Clip(opts), w.bare...)) // no interceptor appends to what is kept
	if plain(opts) {
		w.own = joined
	}
	return joined
}

// joins reports whether joined are opts and those of w. What stands before those of w
// in what is kept can be compared.
func (w *wire) joins(joined, opts []grpc.CallOption) bool {
	if len(joined) != len(opts)+len(w.bare) {
		return false
	}
	for i, o := range opts {
		if joined[i] != o {
			return false
		}
	}
	return true
}

// plain reports whether options may be kept: they can be compared, and hold on to
// nothing of the caller's.
func plain(opts []grpc.CallOption) bool {
	for _, o := range opts {
		switch o.(type) {
		case grpc.StaticMethodCallOption, grpc.FailFastCallOption, grpc.MaxRecvMsgSizeCallOption, grpc.MaxSendMsgSizeCallOption,
			grpc.MaxRetryRPCBufferSizeCallOption, grpc.CompressorCallOption, grpc.ContentSubtypeCallOption:
		default:
			return false
		}
	}
	return true
}

// free keeps w for another call.
func (w *wire) free() {
	if w.peer.Addr != nil || w.header != nil || w.trailer != nil {
		w.header, w.trailer, w.peer = nil, nil, peer.Peer{}
	}
	wires.Put(w)
}

// answered reports whether anything came back.
func (w *wire) answered() bool { return w.header != nil || len(w.trailer) > 0 }

// lost reports whether a call of which nothing came back has ended with its
// connection: whatever else gRPC calls Unavailable says so in the beginning.
func (w *wire) lost(err error) bool {
	if w.peer.Addr == nil || w.answered() {
		return false
	}
	st := statusOf(err)
	return st.Code() == codes.Unavailable && !begins(st.Message(), "stream terminated by RST_STREAM", "unexpected HTTP status code")
}
