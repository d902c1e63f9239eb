package grpcmw_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// attack is what a client without any rights does to a method of a server whose
// options are the default ones. Each time it leaves behind what it has begun.
type attack struct {
	name   string
	method string
	do     func(v *victim)
}

// victim is a server under attack.
type victim struct {
	t      *testing.T
	l      *bufconn.Listener
	cc     *grpc.ClientConn // the attacker's
	method string
}

// usually is how long a call of the careless backend takes.
const usually = 5 * time.Millisecond

// careless is a backend as many are: it is well, and makes an Internal of whatever
// goes wrong, also when that is its client.
func careless() backend {
	return backend{
		unary: func(ctx context.Context, text string) (string, error) {
			select {
			case <-time.After(usually):
				return text, nil
			case <-ctx.Done():
				return "", status.Error(codes.Internal, "the database says that it was cancelled")
			}
		},
		stream: func(method string, ss grpc.ServerStream) error {
			for n := 0; ; n++ {
				switch err := ss.RecvMsg(new(wrapperspb.StringValue)); {
				case err == io.EOF && n > 0 && method == up:
					return ss.SendMsg(wrapperspb.String("all"))
				case err == io.EOF && n > 0:
					return nil
				case err == io.EOF:
					return err // which goes out as Unknown
				case err != nil:
					return status.Errorf(codes.Internal, "cannot read: %v", err)
				}
				for range 20 { // more than a client that does not read has room for
					if method == up {
						break
					}
					if err := ss.SendMsg(wrapperspb.String(string(make([]byte, 10_000)))); err != nil {
						return status.Errorf(codes.Unavailable, "cannot write: %v", err)
					}
				}
			}
		},
	}
}

// within makes a call and gives it up after a while, at the latest at its deadline.
func (v *victim) within(deadline, cancel time.Duration) {
	ctx, stop := context.WithTimeout(bg, deadline)
	defer stop()
	if cancel > 0 {
		time.AfterFunc(cancel, stop)
	}
	_ = call(ctx, v.cc, v.method)
}

// idle opens a stream and does nothing, until the test is over.
func (v *victim) idle(ctx context.Context, sent int) grpc.ClientStream {
	ctx, stop := context.WithCancel(ctx)
	v.t.Cleanup(stop)
	cs := mustBegin(v.t, ctx, v.cc, v.method)
	for range sent {
		if err := send(cs); err != nil {
			v.t.Error(err)
		}
	}
	return cs
}

// raw sends the bytes of one HTTP/2 stream, and leaves it open or ends it.
func (v *victim) raw(data []byte, end bool, headers ...string) {
	conn, err := v.l.Dial()
	if err != nil {
		v.t.Error(err)
		return
	}
	v.t.Cleanup(func() { _ = conn.Close() })
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	var block bytes.Buffer
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", v.method, ":authority", "x", "content-type", "application/grpc", "te", "trailers"}, headers...)
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_, _ = io.WriteString(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, nil)
	for _, err := range []error{
		f.WriteSettings(),
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}),
		f.WriteData(1, end, data),
	} {
		if err != nil {
			v.t.Error(err)
		}
	}
}

// message is a message of gRPC that announces a length.
func message(compressed byte, length int, data string) []byte {
	head := []byte{compressed, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[1:], uint32(length))
	return append(head, data...)
}

// attacks are by what a client can do.
var attacks = []attack{
	{"a deadline of 1 ms", unary, func(v *victim) { v.within(time.Millisecond, 0) }},
	{"a deadline of 3 ms", unary, func(v *victim) { v.within(3*time.Millisecond, 0) }},
	{"a deadline just too short", unary, func(v *victim) { v.within(usually-1, 0) }},
	{"gone at once", unary, func(v *victim) { v.within(time.Hour, 1) }},
	{"gone just before a deadline", unary, func(v *victim) { v.within(4*time.Millisecond, 3*time.Millisecond) }},
	{"gone just before a long deadline", down, func(v *victim) {
		ctx, stop := context.WithTimeout(bg, 3*time.Second)
		v.idle(ctx, 0)
		time.Sleep(3*time.Second - time.Millisecond)
		stop()
	}},
	{"an idle stream with a deadline of 15 ms", both, func(v *victim) {
		ctx, stop := context.WithTimeout(bg, 15*time.Millisecond)
		v.idle(ctx, 0)
		<-ctx.Done()
		stop()
	}},
	{"an idle stream with a deadline of 10 s", both, func(v *victim) {
		ctx, stop := context.WithTimeout(bg, 10*time.Second)
		v.idle(ctx, 1)
		<-ctx.Done()
		stop()
	}},
	{"an idle stream", both, func(v *victim) { v.idle(bg, 0) }},
	{"an idle upload", up, func(v *victim) { v.idle(bg, 1) }},
	{"an idle download", down, func(v *victim) { v.idle(bg, 0) }},
	{"who does not read", both, func(v *victim) { v.idle(bg, 1) }},
	{"who does not read until its deadline", down, func(v *victim) {
		ctx, stop := context.WithTimeout(bg, 2*time.Second)
		cs := v.idle(ctx, 1)
		_ = cs.CloseSend()
		<-ctx.Done()
		stop()
	}},
	{"a slow upload", up, func(v *victim) {
		cs := v.idle(bg, 0)
		for range 3 {
			time.Sleep(time.Second)
			_ = send(cs)
		}
		_ = cs.CloseSend()
		_ = receive(cs)
	}},
	{"a slow upload that gives up", up, func(v *victim) {
		ctx, stop := context.WithCancel(bg)
		cs := v.idle(ctx, 1)
		time.Sleep(5 * time.Second)
		_ = send(cs)
		stop()
	}},
	{"a message that is none", both, func(v *victim) { v.raw(message(0, 3, "\xff\xff\xff"), true) }},
	{"a message that is none, alone", down, func(v *victim) { v.raw(message(0, 3, "\xff\xff\xff"), true) }},
	{"a message too long", both, func(v *victim) { v.raw(message(0, 1<<30, "abc"), false) }},
	{"a message cut short", up, func(v *victim) { v.raw(message(0, 1000, "abc"), true) }},
	{"a message cut short, alone", down, func(v *victim) { v.raw(message(0, 1000, "abc"), true) }},
	{"half a head", both, func(v *victim) { v.raw([]byte{0, 0}, true) }},
	{"no message", down, func(v *victim) { v.raw(nil, true) }},
	{"no message of many", both, func(v *victim) { v.raw(nil, true) }},
	{"a message without an end", both, func(v *victim) { v.raw(message(0, 1000, "abc"), false) }},
	{"a message without an end, alone", down, func(v *victim) { v.raw(message(0, 1000, "abc"), false) }},
	{"compressed, but how", both, func(v *victim) { v.raw(message(1, 3, "abc"), true) }},
	{"no such flag", both, func(v *victim) { v.raw(message(7, 3, "abc"), true) }},
	{"a short grpc-timeout", up, func(v *victim) { v.raw(message(0, 1000, "abc"), false, "grpc-timeout", "1n") }},
}

// TestNoClientClosesAMethodToOthers has a client attack a method while an honest one
// calls it: none of its calls is refused, whether the breaker is closed or half-open.
// Slow calls open it here as well.
func TestNoClientClosesAMethodToOthers(t *testing.T) {
	for _, a := range attacks {
		for _, state := range []core.State{core.Closed, core.HalfOpen} {
			t.Run(fmt.Sprintf("%s, %s, %v", path.Base(a.method), a.name, state), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					registry := &core.Registry{Config: func(string) core.Config {
						return core.Config{FailureRateThreshold: 0.5, SlowRateThreshold: 0.5, SlowAfter: 500 * time.Millisecond}
					}}
					l := bufconn.Listen(1 << 20)
					s := grpc.NewServer(grpc.UnaryInterceptor(grpcmw.UnaryServerInterceptor(registry, nil)), grpc.StreamInterceptor(grpcmw.StreamServerInterceptor(registry, nil)))
					careless().register(s)
					serveOn(t, s, l)
					v := &victim{t: t, l: l, method: a.method, cc: connect(t, "passthrough:///attacker", dialer(l))}
					honest := connect(t, "passthrough:///honest", dialer(l))
					must := func(when string) {
						t.Helper()
						if err := call(bg, honest, a.method); err != nil {
							t.Errorf("an honest call %s = %v, want it served", when, err)
						}
					}
					b, err := registry.Get(a.method)
					if err != nil {
						t.Fatal(err)
					}
					if state == core.HalfOpen {
						open(t, b)
						time.Sleep(time.Minute)
						wantState(t, b, core.HalfOpen)
					} else {
						must("before")
					}
					for range 8 {
						a.do(v)
					}
					synctest.Wait()
					must("after 8 attacks")
					for range 30 {
						a.do(v)
						synctest.Wait()
						must("among attacks")
					}
					wantState(t, b, core.Closed)
					if got := b.Snapshot().Totals; state == core.Closed && got.Refused > 0 {
						t.Errorf("%d were refused, want none", got.Refused)
					}
				})
			})
		}
	}
}

// TestAHungServerIsSeen though every client has a deadline, and whether or not its
// handlers return.
func TestAHungServerIsSeen(t *testing.T) {
	release := make(chan struct{})
	for _, c := range []struct {
		name     string
		deadline time.Duration
		warm     bool // it was well before
		hang     func(ctx context.Context) error
	}{
		{"until the deadline", 2 * time.Second, true, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		{"from the beginning", 2 * time.Second, false, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		{"and says Internal", time.Second, true, func(ctx context.Context) error { <-ctx.Done(); return errInternal }},
		{"for ever", 2 * time.Second, true, func(context.Context) error { <-release; return nil }},
		{"and succeeds far too late", 2 * time.Second, true, func(context.Context) error { time.Sleep(time.Minute); return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubbles(t, methods, func(t *testing.T, method string) {
				release = make(chan struct{})
				var hung bool
				registry := new(core.Registry)
				well := careless()
				reached := serve(t, backend{
					unary: func(ctx context.Context, text string) (string, error) {
						if hung {
							return text, c.hang(ctx)
						}
						return well.unary(ctx, text)
					},
					stream: func(method string, ss grpc.ServerStream) error {
						if hung {
							return c.hang(ss.Context())
						}
						return well.stream(method, ss)
					},
				}, grpc.UnaryInterceptor(grpcmw.UnaryServerInterceptor(registry, nil)), grpc.StreamInterceptor(grpcmw.StreamServerInterceptor(registry, nil)))
				cc := connect(t, "passthrough:///memory", reached)
				for range 10 {
					if err := call(bg, cc, method); c.warm && err != nil {
						t.Fatal(err)
					}
				}
				hung = true
				for range 5 {
					ctx, stop := context.WithTimeout(bg, c.deadline)
					if err := call(ctx, cc, method); err == nil {
						t.Error("a call succeeded, want an error")
					}
					time.Sleep(time.Second)
					stop()
				}
				b, err := registry.Get(method)
				if err != nil {
					t.Fatal(err)
				}
				wantState(t, b, core.Open)
				if err := call(bg, cc, method); status.Code(err) != codes.Unavailable {
					t.Errorf("the next call = %v, want it refused", err)
				}
				close(release)
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestMethodsThatNobodyRegisteredRefuseNobody: what clients make up shares one
// breaker, which counts and refuses none.
func TestMethodsThatNobodyRegisteredRefuseNobody(t *testing.T) {
	for _, halfOpen := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			registry := new(core.Registry)
			failing := errors.New("proxied nowhere")
			reached := serve(t, backend{}, grpc.StreamInterceptor(grpcmw.StreamServerInterceptor(registry, nil)),
				grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
					if method, _ := grpc.MethodFromServerStream(ss); method == "/good.One/Call" {
						return ss.SendMsg(wrapperspb.String("answer"))
					}
					return failing
				}))
			cc := connect(t, "passthrough:///memory", reached)
			for i := range 50 {
				_ = cc.Invoke(bg, fmt.Sprintf("/made.Up/Method%d", i), wrapperspb.String("text"), new(wrapperspb.StringValue))
			}
			if halfOpen {
				time.Sleep(time.Minute) // half-open: and the places of all probes are taken
				for range 10 {
					mustBegin(t, bg, cc, both)
				}
			}
			for range 10 {
				if err := cc.Invoke(bg, "/good.One/Call", wrapperspb.String("text"), new(wrapperspb.StringValue)); err != nil {
					t.Errorf("another method = %v, want it served", err)
				}
			}
			if n := registry.Len(); n > 2 {
				t.Errorf("%d breakers, want one for all that was made up", n)
			}
		})
	}
}
