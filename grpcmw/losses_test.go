package grpcmw_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// endlessly sends some messages, then none, until its client has gone.
func endlessly(messages int) func(string, grpc.ServerStream) error {
	return func(_ string, ss grpc.ServerStream) error {
		for range messages {
			if err := ss.SendMsg(wrapperspb.String("one")); err != nil {
				return err
			}
		}
		<-ss.Context().Done()
		return ss.Context().Err()
	}
}

// drain receives until a stream's end.
func drain(cs grpc.ClientStream) error {
	for {
		if err := receive(cs); err != nil {
			return err
		}
	}
}

// TestAConnectionOfSomeAgeIsClosed as servers do to balance their load: eight endless
// streams end together.
func TestAConnectionOfSomeAgeIsClosed(t *testing.T) {
	for messages, want := range map[int]counts{0: times(1, core.Failure), 1: {}, 3: {}} {
		want.ignored = 8 - want.failure
		t.Run(fmt.Sprintf("%d messages received", messages), func(t *testing.T) {
			bubbles(t, []string{down, both}, func(t *testing.T, method string) {
				b := newBreaker(t, core.Config{})
				cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b}),
					serve(t, backend{stream: endlessly(messages)}, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: time.Minute, MaxConnectionAgeGrace: time.Second})))...)
				var ending sync.WaitGroup
				for range 8 {
					cs := mustBegin(t, bg, cc, method)
					ending.Go(func() { wantCode(t, drain(cs), codes.Unavailable) })
				}
				ending.Wait()
				synctest.Wait()
				if got := countsOf(b); got != want {
					t.Errorf("outcomes %+v, want %+v", got, want)
				}
				wantState(t, b, core.Closed)
			})
		})
	}
}

// lossy is a client of a server that can be stopped and started.
type lossy struct {
	t  *testing.T
	b  backend
	l  *bufconn.Listener
	s  *grpc.Server
	cc *grpc.ClientConn
}

func newLossy(t *testing.T, back backend, gate core.Gate) *lossy {
	t.Helper()
	y := &lossy{t: t, b: back}
	y.start()
	y.cc = connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: gate}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return y.l.DialContext(ctx) }))...)
	return y
}

func (y *lossy) start() {
	y.l, y.s = bufconn.Listen(1<<20), grpc.NewServer()
	y.b.register(y.s)
	serveOn(y.t, y.s, y.l)
}

// lose has n calls under way when the connection is lost.
func (y *lossy) lose(n int, method string) {
	var ending sync.WaitGroup
	for range n {
		ending.Go(func() { _ = call(bg, y.cc, method) })
	}
	synctest.Wait()
	y.s.Stop()
	ending.Wait()
	synctest.Wait()
}

// TestALostConnectionCountsOnce however many calls it carried, and another one anew.
func TestALostConnectionCountsOnce(t *testing.T) {
	bubbles(t, methods, func(t *testing.T, method string) {
		b := newBreaker(t, counting())
		wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		y := newLossy(t, backend{
			unary:  func(ctx context.Context, _ string) (string, error) { return "", wait(ctx) },
			stream: func(_ string, ss grpc.ServerStream) error { return wait(ss.Context()) },
		}, b)
		const calls = 8
		for i := range uint64(3) {
			y.lose(calls, method)
			if got, want := countsOf(b), (counts{failure: i + 1, ignored: (i + 1) * (calls - 1)}); got != want {
				t.Errorf("after %d losses: outcomes %+v, want %+v", i+1, got, want)
			}
			y.start()
			time.Sleep(time.Minute) // until gRPC connects again
		}
	})
}

// TestEachBreakerHearsOfALoss: the methods of a server have breakers of their own.
func TestEachBreakerHearsOfALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := &core.Registry{Config: func(string) core.Config { return counting() }}
		l, s := bufconn.Listen(1<<20), grpc.NewServer()
		backend{stream: hang}.register(s)
		serveOn(t, s, l)
		cc := connect(t, "passthrough:///memory", dialer(l), grpc.WithStreamInterceptor(grpcmw.StreamClientInterceptor(registry, nil)))
		var ending sync.WaitGroup
		for _, method := range []string{down, both, up, down, both, up} {
			cs := mustBegin(t, bg, cc, method)
			ending.Go(func() { wantCode(t, receive(cs), codes.Unavailable) })
		}
		synctest.Wait()
		s.Stop()
		ending.Wait()
		for name, b := range registry.All() {
			if got, want := countsOf(b), (counts{failure: 1, ignored: 1}); got != want {
				t.Errorf("%s: outcomes %+v, want %+v", name, got, want)
			}
		}
		if registry.Len() != 3 {
			t.Errorf("%d breakers, want 3", registry.Len())
		}
	})
}

// TestAServerThatOnlySpeaksOfAConnection writes what gRPC says of one that was lost,
// or closed as planned: its streams count one by one.
func TestAServerThatOnlySpeaksOfAConnection(t *testing.T) {
	for _, text := range []string{
		`closing transport due to: connection error: desc = "error reading from server: EOF", received prior goaway: code: NO_ERROR, debug data: "max_age"`,
		`closing transport due to: connection error: desc = "error reading from server: EOF", received prior goaway: code: NO_ERROR`,
		"error reading from server: EOF",
	} {
		each(t, methods, func(t *testing.T, method string) {
			failed := status.Error(codes.Unavailable, text)
			p := between(t, backend{
				unary: func(context.Context, string) (string, error) { return "", failed },
				stream: func(method string, ss grpc.ServerStream) error {
					if method != up {
						for range 2 {
							if err := ss.SendMsg(wrapperspb.String("one")); err != nil {
								return err
							}
						}
					}
					return failed
				},
			}, counting())
			for range 5 {
				wantCode(t, call(bg, p.cc, method), codes.Unavailable)
			}
			wantCounts(t, p.client, times(5, core.Failure))
		})
	}
}

// sayingGoaway is a server that answers a stream with one message, and closes the
// connection with a GOAWAY.
func sayingGoaway(t *testing.T, l net.Listener, code http2.ErrCode, data string) {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		if frame, ok := frame.(*http2.MetaHeadersFrame); ok {
			var block bytes.Buffer
			enc := hpack.NewEncoder(&block)
			_ = enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			_ = enc.WriteField(hpack.HeaderField{Name: "content-type", Value: "application/grpc"})
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: frame.StreamID, BlockFragment: block.Bytes(), EndHeaders: true})
			_ = f.WriteData(frame.StreamID, false, message(0, 0, ""))
			time.Sleep(time.Second)
			_ = f.WriteGoAway(frame.StreamID, code, []byte(data))
			time.Sleep(time.Second)
			return
		}
	}
}

// TestWhatAGoawaySays: its code is gRPC's word for it, its data is the server's.
func TestWhatAGoawaySays(t *testing.T) {
	const planned = "received prior goaway: code: NO_ERROR"
	for _, c := range []struct {
		code http2.ErrCode
		data string
		want core.Outcome
	}{
		{http2.ErrCodeNo, "", core.Ignored},
		{http2.ErrCodeNo, "max_age", core.Ignored},
		{http2.ErrCodeInternal, "", core.Failure},
		{http2.ErrCodeInternal, `", ` + planned, core.Failure},
		{http2.ErrCodeProtocol, `closing transport due to: connection error: desc = "EOF", ` + planned, core.Failure},
		{http2.ErrCodeEnhanceYourCalm, "larger than max", core.Failure},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := bufconn.Listen(1 << 20)
			go sayingGoaway(t, l, c.code, c.data)
			b := newBreaker(t, counting())
			cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b}), dialer(l))...)
			cs := mustBegin(t, bg, cc, both)
			wantCode(t, drain(cs), codes.Unavailable)
			if got := countsOf(b); got != times(1, c.want) {
				t.Errorf("%v with %q: outcomes %+v, want %+v", c.code, c.data, got, times(1, c.want))
			}
			l.Close()
		})
	}
}

// TestManyUnaryCallsThatAreAnsweredCountEach, though they end at once and alike.
func TestManyUnaryCallsThatAreAnsweredCountEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := between(t, backend{unary: func(context.Context, string) (string, error) {
			time.Sleep(time.Second)
			return "", errUnavailable
		}}, counting())
		var calling sync.WaitGroup
		for range 8 {
			calling.Go(func() { wantCode(t, invoke(bg, p.cc), codes.Unavailable) })
		}
		calling.Wait()
		wantCounts(t, p.client, times(8, core.Failure))
	})
}

// TestNobodyElseSettlesWhileCallsRun: as long as a stream is received from, that call
// learns of the end, and reads the trailer; neither gRPC's word nor another call comes
// before it.
func TestNobodyElseSettlesWhileCallsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, counting())
		received, sent, header := make(chan struct{}), make(chan struct{}), make(chan struct{})
		s := &scripted{
			send:    func() error { <-sent; return io.EOF },
			receive: func() error { <-received; return errInternal },
			header:  func() (metadata.MD, error) { <-header; return metadata.MD{}, nil },
		}
		cs := s.begin(t, both, grpcmw.ClientOptions{Gate: b, Classify: func(context.Context, error) core.Outcome { return core.Success }})
		none := func(when string) {
			t.Helper()
			synctest.Wait()
			if got := countsOf(b); got != (counts{}) {
				t.Errorf("outcomes %+v %s, want none", got, when)
			}
		}
		go func() { _ = receive(cs) }()
		go func() { _ = send(cs) }()
		synctest.Wait()
		s.finished(errInternal)
		none("when gRPC has told of the end")
		go func() { _, _ = cs.Header() }()
		none("when another call has begun")
		close(sent)
		none("when one that sends has returned")
		close(header)
		none("when the header is there")
		close(received)
		synctest.Wait()
		if got := countsOf(b); got != times(1, core.Success) {
			t.Errorf("outcomes %+v, want one", got)
		}
	})
}
