package grpcmw_test

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

var (
	errUnavailable = status.Error(codes.Unavailable, "the server is sick")
	errInternal    = status.Error(codes.Internal, "the message was wrong after all")
)

// thenInternal is the handler of a client's stream that answers and fails.
func thenInternal(_ string, ss grpc.ServerStream) error {
	if err := ss.SendMsg(wrapperspb.String("one")); err != nil {
		return err
	}
	return errInternal
}

// splitting has the end of a client's stream come by itself, as the gRPC of one
// summer did: RecvMsg returns the message, and the next one the status.
func splitting(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if desc.ServerStreams {
		return streamer(ctx, desc, cc, method, opts...)
	}
	both := *desc
	both.ServerStreams = true
	return streamer(ctx, &both, cc, method, opts...)
}

func TestAMessageAndThenAnErrorIsAFailure(t *testing.T) {
	for name, dial := range map[string][]grpc.DialOption{
		"as released": nil,
		"split":       {grpc.WithChainStreamInterceptor(splitting)},
	} {
		for _, when := range []grpcmw.StreamSuccess{grpcmw.StreamSuccessAtEnd, grpcmw.StreamSuccessAtFirstMessage, grpcmw.StreamSuccessAtHeader} {
			t.Run(name, func(t *testing.T) {
				b := newBreaker(t, counting())
				opts := slices.Concat(guarded(grpcmw.ClientOptions{Gate: b, StreamSuccess: when}), dial, []grpc.DialOption{serve(t, backend{stream: thenInternal})})
				cs := mustBegin(t, bg, connect(t, "passthrough:///memory", opts...), up)
				if err := cs.CloseSend(); err != nil {
					t.Fatal(err)
				}
				err := receive(cs)
				if err == nil {
					err = receive(cs)
				}
				wantCode(t, err, codes.Internal)
				wantCounts(t, b, times(1, core.Failure))
			})
		}
	}
}

// sendUntilItEnds sends until the stream is at its end.
func sendUntilItEnds(t *testing.T, cs grpc.ClientStream) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := send(cs)
		if err == io.EOF {
			return
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("SendMsg = %v, want io.EOF some time", err)
		}
	}
}

func TestTheServerEndsAClientsStream(t *testing.T) {
	each(t, []string{up, both}, func(t *testing.T, method string) {
		t.Run("and the client asks why", func(t *testing.T) {
			p := between(t, fails(errUnavailable), counting())
			cs := mustBegin(t, bg, p.cc, method)
			sendUntilItEnds(t, cs)
			if err := cs.CloseSend(); err != nil {
				t.Fatal(err)
			}
			wantCode(t, receive(cs), codes.Unavailable)
			wantCounts(t, p.client, times(1, core.Failure))
		})
		t.Run("and the client goes away", func(t *testing.T) {
			p := between(t, fails(errUnavailable), counting())
			ctx, cancel := context.WithCancel(bg)
			cs := mustBegin(t, ctx, p.cc, method)
			sendUntilItEnds(t, cs)
			if got := countsOf(p.client); got.success > 0 {
				t.Errorf("%+v before the header was asked for, want no success", got)
			}
			cancel()
			wantCounts(t, p.client, times(1, core.Ignored))
		})
	})
}

func TestTheServerStops(t *testing.T) {
	bubbles(t, streams, func(t *testing.T, method string) {
		l, s := bufconn.Listen(1<<20), grpc.NewServer()
		backend{stream: hang}.register(s)
		serveOn(t, s, l)
		b := newBreaker(t, counting())
		cs := mustBegin(t, bg, connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b}), dialer(l))...), method)
		synctest.Wait()
		s.Stop()
		wantCode(t, receive(cs), codes.Unavailable)
		if got := countsOf(b); got != times(1, core.Failure) {
			t.Errorf("outcomes %+v, want a failure", got)
		}
	})
}

// hang is the handler of a stream that says nothing until its client has gone.
func hang(_ string, ss grpc.ServerStream) error {
	<-ss.Context().Done()
	return ss.Context().Err()
}

func TestAnAbandonedStreamIsSettledByItsContext(t *testing.T) {
	bubbles(t, streams, func(t *testing.T, method string) {
		for _, c := range []struct {
			name string
			end  func(ctx context.Context) (context.Context, context.CancelFunc)
			want core.Outcome
		}{
			{"and cancelled", context.WithCancel, core.Ignored},
			{"until its deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			}, core.Failure},
		} {
			client := newBreaker(t, oneProbe())
			cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: client}), serve(t, backend{stream: hang}))...)
			halfOpen(t, client)
			before := countsOf(client)
			ctx, cancel := c.end(bg)
			mustBegin(t, ctx, cc, method)
			if _, err := begin(bg, cc, method); status.Code(err) != codes.Unavailable {
				t.Errorf("%s: a second stream = %v, want it refused while the probe is out", c.name, err)
			}
			if c.want == core.Ignored {
				cancel()
			}
			time.Sleep(time.Second)
			synctest.Wait()
			got := countsOf(client)
			if d := (counts{got.success - before.success, got.failure - before.failure, got.ignored - before.ignored}); d != times(1, c.want) {
				t.Errorf("%s: outcomes %+v, want %+v", c.name, d, times(1, c.want))
			}
			if c.want == core.Ignored {
				ctx, cancel := context.WithCancel(bg)
				mustBegin(t, ctx, cc, method) // the slot is free
				cancel()
			} else {
				wantState(t, client, core.Open)
			}
			cancel()
		}
	})
}

func TestTheLeaseEndsAStreamThatIsNeverFinished(t *testing.T) {
	bubbles(t, streams, func(t *testing.T, method string) {
		client := newBreaker(t, oneProbe())
		cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: client, ProbeLease: 3 * time.Second}), serve(t, backend{}))...)
		halfOpen(t, client)
		cs := mustBegin(t, bg, cc, method)
		if err := send(cs); err != nil {
			t.Fatal(err)
		}
		if err := cs.CloseSend(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3*time.Second - time.Nanosecond)
		if _, err := begin(bg, cc, method); status.Code(err) != codes.Unavailable {
			t.Errorf("before the lease is over another stream = %v, want a refusal", err)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if err := call(bg, cc, method); err != nil {
			t.Errorf("after the lease = %v, want the place to be free", err)
		}
		wantState(t, client, core.Closed)
		if got := client.Snapshot().Totals.Lost; got != 0 {
			t.Errorf("%d probes were lost, want none", got)
		}
	})
}

func TestTheLeaseOfAServersProbes(t *testing.T) {
	bubbles(t, streams, func(t *testing.T, method string) {
		server := newBreaker(t, oneProbe())
		release := make(chan struct{})
		var busy bool
		reached := serve(t, backend{stream: func(method string, ss grpc.ServerStream) error {
			if !busy {
				return answer(method, ss)
			}
			<-release // whatever becomes of the client
			return errUnavailable
		}}, guards(grpcmw.ServerOptions{Gate: server, ProbeLease: 3 * time.Second})...)
		cc := connect(t, "passthrough:///memory", reached)
		halfOpen(t, server)

		busy = true
		ctx, cancel := context.WithCancel(bg)
		mustBegin(t, ctx, cc, method)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if got := countsOf(server); got.ignored != 1 {
			t.Errorf("the client has gone and the handler not: %+v, want 1 ignored", got)
		}

		mustBegin(t, bg, cc, method)
		synctest.Wait()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := countsOf(server); got.success != 1 {
			t.Errorf("after the lease: %+v, want 1 success", got)
		}
		close(release) // too late to say that it failed
		busy = false
		synctest.Wait()
		if err := call(bg, cc, method); err != nil {
			t.Errorf("the next = %v, want the place to be free", err)
		}
		wantState(t, server, core.Closed)
	})
}

func TestOnlyTheHeaderOfAStreamThatFailed(t *testing.T) {
	each(t, streams, func(t *testing.T, method string) {
		for _, when := range []grpcmw.StreamSuccess{grpcmw.StreamSuccessAtEnd, grpcmw.StreamSuccessAtFirstMessage, grpcmw.StreamSuccessAtHeader} {
			client := newBreaker(t, counting())
			cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: client, StreamSuccess: when}), serve(t, fails(errUnavailable)))...)
			cs := mustBegin(t, bg, cc, method)
			if md, err := cs.Header(); md != nil || err != nil {
				t.Fatalf("Header = %v, %v; want none: gRPC has changed", md, err)
			}
			wantCounts(t, client, times(1, core.Failure))
		}
	})
}

func TestReceivingAfterTheEnd(t *testing.T) {
	each(t, streams, func(t *testing.T, method string) {
		for _, c := range []struct {
			b    backend
			want core.Outcome
		}{{backend{}, core.Success}, {fails(errUnavailable), core.Failure}} {
			p := between(t, c.b, counting())
			cs := mustBegin(t, bg, p.cc, method)
			first := finish(cs, method)
			for range 3 {
				if err := receive(cs); err == nil {
					t.Error("RecvMsg = nil after the end")
				}
			}
			wantCounts(t, p.client, times(1, c.want))
			if (first == nil) != (c.want == core.Success) {
				t.Errorf("the stream ended with %v, want a %v", first, c.want)
			}
		}
	})
}

func TestOptionsAndMetadataPassThrough(t *testing.T) {
	each(t, streams, func(t *testing.T, method string) {
		p := between(t, backend{stream: func(method string, ss grpc.ServerStream) error {
			if err := ss.SendHeader(metadata.Pairs("header", "h")); err != nil {
				return err
			}
			ss.SetTrailer(metadata.Pairs("trailer", "t"))
			return answer(method, ss)
		}}, counting())
		type key struct{}
		ctx := context.WithValue(bg, key{}, "value")
		cs := mustBegin(t, ctx, p.cc, method)
		if cs.Context().Value(key{}) != "value" {
			t.Error("Context is not the call's")
		}
		md, err := cs.Header()
		if err != nil || !slices.Equal(md.Get("header"), []string{"h"}) {
			t.Errorf("Header = %v, %v; want the server's", md, err)
		}
		if err := finish(cs, method); err != nil {
			t.Fatal(err)
		}
		if got := cs.Trailer().Get("trailer"); !slices.Equal(got, []string{"t"}) {
			t.Errorf("Trailer = %v, want the server's", cs.Trailer())
		}
		wantCounts(t, p.client, times(1, core.Success))
	})
	t.Run("of a unary call", func(t *testing.T) {
		p := between(t, backend{unary: func(ctx context.Context, text string) (string, error) {
			_ = grpc.SetHeader(ctx, metadata.Pairs("header", "h"))
			_ = grpc.SetTrailer(ctx, metadata.Pairs("trailer", "t"))
			return text + "!", nil
		}}, counting())
		var header, trailer metadata.MD
		reply := new(wrapperspb.StringValue)
		if err := p.cc.Invoke(bg, unary, wrapperspb.String("text"), reply, grpc.Header(&header), grpc.Trailer(&trailer)); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(header.Get("header"), []string{"h"}) || !slices.Equal(trailer.Get("trailer"), []string{"t"}) || reply.GetValue() != "text!" {
			t.Errorf("header %v, trailer %v, reply %q; want the server's", header, trailer, reply.GetValue())
		}
	})
	t.Run("both ways at once", func(t *testing.T) {
		const messages = 1000
		p := between(t, backend{}, counting())
		cs := mustBegin(t, bg, p.cc, both)
		var sending sync.WaitGroup
		sending.Go(func() {
			for range messages {
				if err := send(cs); err != nil {
					t.Errorf("SendMsg = %v", err)
				}
			}
			if err := cs.CloseSend(); err != nil {
				t.Errorf("CloseSend = %v", err)
			}
		})
		got := 0
		for ; receive(cs) == nil; got++ {
		}
		sending.Wait()
		if got != messages {
			t.Errorf("%d messages, want %d", got, messages)
		}
		wantCounts(t, p.client, times(1, core.Success))
	})
}
