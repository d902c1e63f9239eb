package main

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

var errSick = status.Error(codes.Internal, "sick")

// ordinary is a service whose calls take a while, and whose handlers return the
// errors that they meet.
func ordinary(sick *atomic.Bool) service {
	return service{
		unary: func(ctx context.Context, text string) (string, error) {
			if sick.Load() {
				return "", errSick
			}
			if !pause(ctx, work) {
				return "", ctx.Err()
			}
			return text, nil
		},
		stream: func(ss grpc.ServerStream) error {
			if sick.Load() {
				return errSick
			}
			for in := new(wrapperspb.StringValue); ; {
				err := ss.RecvMsg(in)
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if !pause(ss.Context(), work) {
					return ss.Context().Err()
				}
				if err := ss.SendMsg(in); err != nil {
					return err
				}
			}
		},
	}
}

// garbage is a codec whose messages no server can read.
type garbage struct{}

func (garbage) Marshal(any) ([]byte, error) { return []byte("\xff\xff\xff"), nil }
func (garbage) Unmarshal([]byte, any) error { return nil }
func (garbage) Name() string                { return "proto" }
func tooLong() *wrapperspb.StringValue      { return wrapperspb.String(string(make([]byte, 5<<20))) }

func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

var _ encoding.Codec = garbage{}

// attacksByGRPC starts a server with the interceptors' defaults.
func attacksByGRPC(closers *[]func()) ([]attack, error) {
	sick, registry := new(atomic.Bool), new(core.Registry)
	server, err := newGRPCServer(func() *grpc.Server {
		s := grpc.NewServer(grpc.UnaryInterceptor(grpcmw.UnaryServerInterceptor(registry, nil)), grpc.StreamInterceptor(grpcmw.StreamServerInterceptor(registry, nil)))
		ordinary(sick).register(s)
		return s
	})
	if err != nil {
		return nil, err
	}
	*closers = append(*closers, server.kill)
	honest, err := dial(server.addr)
	if err != nil {
		return nil, err
	}
	hostile, err := dial(server.addr)
	if err != nil {
		return nil, err
	}
	*closers = append(*closers, func() { _, _ = honest.Close(), hostile.Close() })

	unary := &target{name: "gRPC unary", registry: registry, key: unaryMethod, sick: sick.Store, honest: func(ctx context.Context) (bool, error) {
		return refusedBy(honest.Invoke(ctx, unaryMethod, wrapperspb.String("honest"), new(wrapperspb.StringValue)))
	}}
	streamed := &target{name: "gRPC stream", registry: registry, key: streamMethod, sick: sick.Store, honest: func(ctx context.Context) (bool, error) {
		return refusedBy(exchange(ctx, honest, 1))
	}}
	h := intruder{hostile}
	var all []attack
	for _, d := range []time.Duration{time.Nanosecond, time.Millisecond, 3 * time.Millisecond} {
		all = append(all,
			attack{"grpc-timeout of " + d.String(), unary, h.late(d)},
			attack{"grpc-timeout of " + d.String(), streamed, h.idle(d, 1, true)})
	}
	return append(all,
		attack{"cancelled while it is served", unary, h.cancelled(work / 2)},
		attack{"cancelled within its deadline's slack", unary, h.cancelledAtDeadline()},
		attack{"message that cannot be read", unary, h.unread(wrapperspb.String(""), grpc.ForceCodec(garbage{}))},
		attack{"message that is too long", unary, h.unread(tooLong())},
		attack{"idle stream with a deadline of 15 ms", streamed, h.idle(15*time.Millisecond, 0, true)},
		attack{"stream that asks slowly, with a deadline of 30 ms", streamed, h.idle(30*time.Millisecond, 2, true)},
		attack{"idle stream, held open", streamed, h.idle(0, 0, false)},
		attack{"stream that stops, held open", streamed, h.idle(0, 1, false)},
		attack{"stream that does not read", streamed, h.deaf()},
		attack{"stream, cancelled", streamed, h.idle(-1, 1, false)},
		attack{"message that cannot be read", streamed, h.unreadStream(wrapperspb.String(""), grpc.ForceCodec(garbage{}))},
		attack{"message that is too long", streamed, h.unreadStream(tooLong())},
	), nil
}

// refusedBy tells a refusal of the breaker from another error.
func refusedBy(err error) (refused bool, other error) {
	if err == nil {
		return false, nil
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(interface{ GetReason() string }); ok && info.GetReason() == grpcmw.Reason {
			return true, nil
		}
	}
	return false, err
}

func open(ctx context.Context, cc *grpc.ClientConn, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return cc.NewStream(ctx, &grpc.StreamDesc{StreamName: "Stream", ServerStreams: true, ClientStreams: true}, streamMethod, opts...)
}

// exchange sends messages and receives them back, and then the end.
func exchange(ctx context.Context, cc *grpc.ClientConn, messages int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cs, err := open(ctx, cc)
	if err != nil {
		return err
	}
	for range messages {
		if err := cs.SendMsg(wrapperspb.String("hello")); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := cs.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			return err
		}
	}
	if err := cs.CloseSend(); err != nil {
		return err
	}
	if err := cs.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// intruder is the hostile client. What its calls return is nothing to it.
type intruder struct{ cc *grpc.ClientConn }

func (h intruder) late(d time.Duration) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		_ = h.cc.Invoke(ctx, unaryMethod, wrapperspb.String("late"), new(wrapperspb.StringValue))
		return nil, nil
	}
}

func (h intruder) cancelled(after time.Duration) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		ctx, cancel := context.WithCancel(ctx)
		defer time.AfterFunc(after, cancel).Stop()
		defer cancel()
		_ = h.cc.Invoke(ctx, unaryMethod, wrapperspb.String("cancelled"), new(wrapperspb.StringValue))
		return nil, nil
	}
}

// cancelledAtDeadline gives up just before its deadline, as if that had passed.
func (h intruder) cancelledAtDeadline() func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		ctx, cancel := context.WithTimeout(ctx, work)
		defer cancel()
		return h.cancelled(work / 2)(ctx)
	}
}

func (h intruder) unread(m *wrapperspb.StringValue, opts ...grpc.CallOption) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		_ = h.cc.Invoke(ctx, unaryMethod, m, new(wrapperspb.StringValue), opts...)
		return nil, nil
	}
}

func (h intruder) unreadStream(m *wrapperspb.StringValue, opts ...grpc.CallOption) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		cs, err := open(ctx, h.cc, opts...)
		if err != nil {
			return nil, nil
		}
		_ = cs.SendMsg(m)
		_ = cs.RecvMsg(new(wrapperspb.StringValue))
		return nil, nil
	}
}

// idle opens a stream, exchanges some messages, and then does nothing: until its
// deadline d, for ever if that is zero, or until it cancels if d is negative.
func (h intruder) idle(d time.Duration, messages int, wait bool) func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		ctx, cancel := context.WithCancel(ctx)
		if d > 0 {
			ctx, cancel = context.WithTimeout(ctx, d)
		}
		cs, err := open(ctx, h.cc)
		if err != nil {
			cancel()
			return nil, nil //nolint:nilerr // a refusal: honest calls tell
		}
		for range messages {
			_ = cs.SendMsg(wrapperspb.String("idle"))
			_ = cs.RecvMsg(new(wrapperspb.StringValue))
			pause(ctx, work)
		}
		switch {
		case wait:
			_ = cs.RecvMsg(new(wrapperspb.StringValue)) // until the deadline
			pause(context.WithoutCancel(ctx), work)     // the server's comes a little later
			cancel()
			return nil, nil
		case d < 0:
			cancel()
			return nil, nil
		}
		pause(ctx, work)
		return cancel, nil
	}
}

// deaf sends until the server cannot answer any more, and reads nothing.
func (h intruder) deaf() func(context.Context) (func(), error) {
	return func(ctx context.Context) (func(), error) {
		ctx, cancel := context.WithCancel(ctx)
		cs, err := open(ctx, h.cc)
		if err != nil {
			cancel()
			return nil, nil //nolint:nilerr // a refusal: honest calls tell
		}
		const messages, size = 2, 60 << 10
		for range messages {
			_ = cs.SendMsg(wrapperspb.String(string(make([]byte, size))))
		}
		pause(ctx, 2*work)
		return cancel, nil
	}
}
