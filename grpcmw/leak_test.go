package grpcmw_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// way is how a client's stream can end.
type way struct {
	name    string
	kinds   []string                                        // nil is all
	serve   func(method string, ss grpc.ServerStream) error // nil answers
	drive   func(method string, open opener) error
	want    core.Outcome
	closing bool // it ends when the connection is closed
	refused bool // it never comes to the breaker
}

func (w way) streams() []string {
	if w.kinds == nil {
		return streams
	}
	return w.kinds
}

// opener opens the stream of a way; with a deadline after which it is given up if
// that is not zero.
type opener func(deadline time.Duration, opts ...grpc.CallOption) (grpc.ClientStream, context.CancelFunc, error)

// whole is a drive that does all that generated code does.
func whole(method string, open opener) error {
	cs, cancel, err := open(0)
	if err != nil {
		return err
	}
	defer cancel()
	_ = finish(cs, method)
	return nil
}

// left is a drive that leaves the stream after do.
func left(deadline time.Duration, do func(cs grpc.ClientStream) error) func(string, opener) error {
	return func(_ string, open opener) error {
		cs, cancel, err := open(deadline)
		if err != nil {
			return err
		}
		defer cancel()
		return do(cs)
	}
}

func onlyHeader(cs grpc.ClientStream) error { _, err := cs.Header(); return err }
func nothingAtAll(grpc.ClientStream) error  { return nil }

// sendAll sends until the stream has ended.
func sendAll(cs grpc.ClientStream) error {
	for send(cs) == nil {
		time.Sleep(time.Millisecond) // the bubble's
	}
	return nil
}

func closed(cs grpc.ClientStream) error {
	if err := send(cs); err != nil {
		return err
	}
	return cs.CloseSend()
}

// dawdle waits for the server in a bubble.
func dawdle(grpc.ClientStream) error { time.Sleep(time.Second); return nil }

// sending are the kinds in which a client can meet the end by sending.
var sending = []string{up, both}

var ways = []way{
	{name: "well", drive: whole, want: core.Success},
	{name: "an error at once", serve: fails(errUnavailable).stream, drive: whole, want: core.Failure},
	{name: "a message and an error", serve: thenInternal, drive: whole, want: core.Failure},
	{
		name: "an error that a send sees first, asked for", kinds: sending, serve: fails(errUnavailable).stream, want: core.Failure,
		drive: left(0, func(cs grpc.ClientStream) error { _ = sendAll(cs); _ = receive(cs); return nil }),
	},
	{name: "an error that a send sees first, left", kinds: sending, serve: fails(errUnavailable).stream, drive: left(0, sendAll), want: core.Ignored},
	{name: "only the header of an error", serve: fails(errUnavailable).stream, drive: left(0, onlyHeader), want: core.Failure},
	{name: "only the header of a success", serve: func(string, grpc.ServerStream) error { return nil }, drive: left(0, onlyHeader), want: core.Success},
	{name: "cancelled", serve: hang, drive: left(0, nothingAtAll), want: core.Ignored},
	{name: "past its deadline", serve: hang, drive: left(time.Millisecond, dawdle), want: core.Failure},
	{name: "closed for sending and left", drive: func(_ string, open opener) error {
		cs, _, err := open(0)
		if err != nil {
			return err
		}
		return closed(cs)
	}, want: core.Ignored, closing: true},
	{name: "the connection closed", serve: hang, drive: func(_ string, open opener) error {
		_, _, err := open(0)
		return err
	}, want: core.Ignored, closing: true},
	{name: "too long to send", serve: hang, drive: func(_ string, open opener) error {
		cs, _, err := open(0, grpc.MaxCallSendMsgSize(10))
		if err == nil {
			_ = cs.SendMsg(wrapperspb.String(strings.Repeat("x", 100)))
		}
		return err
	}, want: core.Ignored},
	{name: "no codec", drive: func(_ string, open opener) error {
		if _, _, err := open(0, grpc.CallContentSubtype("unknown")); err == nil {
			return fmt.Errorf("NewStream = %w, want an error", err)
		}
		return nil
	}, want: core.Failure},
	{name: "cancelled before", drive: func(_ string, open opener) error {
		if _, _, err := open(-1); err == nil {
			return fmt.Errorf("NewStream = %w, want an error", err)
		}
		return nil
	}, refused: true},
}

// TestStreamsEndInEachWay has 1,000 streams of each kind end in each way: each has
// one outcome, and nothing is left of it. The bubble waits for every goroutine.
func TestStreamsEndInEachWay(t *testing.T) {
	each := 1000
	if testing.Short() {
		each /= 10
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			bubbles(t, w.streams(), func(t *testing.T, method string) {
				var told atomic.Int64
				cfg := counting()
				cfg.Hooks.Settled = func(context.Context, core.Settlement) { told.Add(1) }
				b := newBreaker(t, cfg)
				begun := throughTheWay(t, w, method, b, each)
				want := times(uint64(each), w.want)
				if w.refused {
					want = counts{}
				}
				if got := countsOf(b); got != want {
					t.Errorf("outcomes %+v of %d streams, want %+v", got, begun, want)
				}
				if got := b.Snapshot().Totals; got.InFlight != 0 || uint64(told.Load()) != got.Calls {
					t.Errorf("%d in flight, and %d settlements told of %d calls; want none, and one for each", got.InFlight, told.Load(), got.Calls)
				}
			})
		})
	}
}

// TestStreamsGiveTheirPlaceBack is the same with one that is the only probe.
func TestStreamsGiveTheirPlaceBack(t *testing.T) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			bubbles(t, w.streams(), func(t *testing.T, method string) {
				b := newBreaker(t, oneProbe())
				halfOpen(t, b)
				throughTheWay(t, w, method, b, 1)
				if b.State() == core.Open && w.want == core.Failure {
					time.Sleep(time.Second)
				}
				p, err := b.Allow(bg)
				if err != nil || !p.Probe() {
					t.Errorf("Allow = %v, probe %v; want the place to be free (%s)", err, p.Probe(), b.Explain())
				}
				p.Settle(bg, core.Ignored)
				if got := b.Snapshot().Totals; got.Lost != 0 || got.InFlight != 0 {
					t.Errorf("%d probes lost, %d in flight; want none", got.Lost, got.InFlight)
				}
			})
		})
	}
}

// throughTheWay has n streams end in a way, closes the connection and returns when
// all is done.
func throughTheWay(t *testing.T, w way, method string, b *core.Breaker, n int) int64 {
	t.Helper()
	cc := connect(t, "passthrough:///memory", append(guarded(grpcmw.ClientOptions{Gate: b, Lease: time.Minute}), serve(t, backend{stream: w.serve}))...)
	var next atomic.Int64
	var driving sync.WaitGroup
	for range 16 {
		driving.Go(func() {
			for next.Add(1) <= int64(n) {
				err := w.drive(method, func(deadline time.Duration, opts ...grpc.CallOption) (grpc.ClientStream, context.CancelFunc, error) {
					ctx, cancel := bg, context.CancelFunc(func() {})
					switch {
					case deadline < 0:
						ctx = cancelled()
					case deadline > 0:
						ctx, cancel = context.WithTimeout(bg, deadline)
					case !w.closing:
						ctx, cancel = context.WithCancel(bg)
					}
					cs, err := begin(ctx, cc, method, opts...)
					return cs, cancel, err
				})
				if err != nil {
					t.Errorf("%s: %v", w.name, err)
				}
			}
		})
	}
	driving.Wait()
	synctest.Wait()
	if got := b.Snapshot().Totals.InFlight; w.closing && got != int64(n) {
		t.Errorf("%d in flight before the connection is closed, want %d", got, n)
	}
	cc.Close()
	synctest.Wait()
	return int64(n)
}
