package grpcmw_test

import (
	"context"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

func TestStreamSuccessFreesThePlaceOfALongStream(t *testing.T) {
	// long is a handler that gives a sign of life when it is told to, and fails when
	// the client has gone.
	long := func(header, message <-chan struct{}) backend {
		return backend{stream: func(_ string, ss grpc.ServerStream) error {
			<-header
			if err := ss.SendHeader(metadata.Pairs("a", "b")); err != nil {
				return err
			}
			<-message
			if err := ss.SendMsg(wrapperspb.String("one")); err != nil {
				return err
			}
			<-ss.Context().Done()
			return errUnavailable
		}}
	}
	for _, c := range []struct {
		name            string
		when            grpcmw.StreamSuccess
		header, message bool // whether the place is free after it
	}{
		{"at the end", grpcmw.StreamSuccessAtEnd, false, false},
		{"at the first message", grpcmw.StreamSuccessAtFirstMessage, false, true},
		{"at the header", grpcmw.StreamSuccessAtHeader, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubbles(t, []string{down, both}, func(t *testing.T, method string) {
				header, message := make(chan struct{}), make(chan struct{})
				client := newBreaker(t, oneProbe())
				cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: client, StreamSuccess: c.when}), serve(t, long(header, message)))...)
				halfOpen(t, client)
				ctx, cancel := context.WithCancel(bg)
				defer cancel()
				cs := mustBegin(t, ctx, cc, method)
				if err := send(cs); err != nil {
					t.Fatal(err)
				}
				free := func(after string, want bool) {
					t.Helper()
					p, err := client.Allow(bg)
					if (err == nil) != want {
						t.Errorf("after %s: %v, want the place free: %v", after, err, want)
					}
					p.Settle(bg, core.Ignored)
				}
				free("opening", false)
				close(header)
				if _, err := cs.Header(); err != nil {
					t.Fatal(err)
				}
				free("the header", c.header)
				close(message)
				if err := receive(cs); err != nil {
					t.Fatal(err)
				}
				free("the first message", c.message)
				cancel()
				_ = receive(cs)
				synctest.Wait()
				free("the end", true)
				if got, want := countsOf(client), times(0, core.Success); c.message {
					want.success, want.failure, want.ignored = 1, 1, got.ignored
					if got != want {
						t.Errorf("outcomes %+v, want %+v: what comes later is not counted", got, want)
					}
				}
			})
		})
	}
}

// TestAnUploadFreesItsPlaceAtItsHeader: it has only one answer, at its end.
func TestAnUploadFreesItsPlaceAtItsHeader(t *testing.T) {
	for when, want := range map[grpcmw.StreamSuccess]bool{grpcmw.StreamSuccessAtEnd: false, grpcmw.StreamSuccessAtFirstMessage: false, grpcmw.StreamSuccessAtHeader: true} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, oneProbe())
			cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b, StreamSuccess: when}),
				serve(t, backend{stream: func(method string, ss grpc.ServerStream) error {
					if err := ss.SendHeader(metadata.Pairs("a", "b")); err != nil {
						return err
					}
					return answer(method, ss)
				}}))...)
			halfOpen(t, b)
			cs := mustBegin(t, bg, cc, up)
			if _, err := cs.Header(); err != nil {
				t.Fatal(err)
			}
			p, err := b.Allow(bg)
			if (err == nil) != want {
				t.Errorf("settled %d: %v after the header, want the place free: %v", when, err, want)
			}
			p.Settle(bg, core.Ignored)
			if err := finish(cs, up); err != nil {
				t.Fatal(err)
			}
			if got := countsOf(b).success; got != 1 {
				t.Errorf("settled %d: %d successes, want 1", when, got)
			}
		})
	}
}

// TestAMessageIsAHeaderToo has a stream settled at a message whose header was not asked for.
func TestAMessageIsAHeaderToo(t *testing.T) {
	client := newBreaker(t, counting())
	cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: client, StreamSuccess: grpcmw.StreamSuccessAtHeader}), serve(t, backend{}))...)
	cs := mustBegin(t, bg, cc, both)
	if err := send(cs); err != nil {
		t.Fatal(err)
	}
	if err := receive(cs); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, client, times(1, core.Success))
	if err := finish(cs, both); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, client, times(1, core.Success))
}
