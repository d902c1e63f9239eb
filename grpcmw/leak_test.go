package grpcmw_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// way is how a client's stream can end.
type way struct {
	name    string
	kinds   []string                                        // nil is all
	serve   func(method string, ss grpc.ServerStream) error // nil answers
	target  string                                          // where there is no server
	dial    grpc.DialOption
	drive   func(method string, open opener) error
	want    core.Outcome
	closing bool // it ends when the connection is closed
	lease   bool // it does not end, but as a probe after its lease
	refused bool // it never comes to the breaker
}

func (w way) streams() []string {
	if w.kinds == nil {
		return streams
	}
	return w.kinds
}

// opener opens the stream of a way, with a context that lives for so long.
type opener func(life time.Duration, opts ...grpc.CallOption) (grpc.ClientStream, context.CancelFunc, error)

// The other lives of a context.
const (
	forEver time.Duration = -iota
	over                  // cancelled before
	onTheWay
	cancelledBy // the drive
)

// whole is a drive that does all that generated code does.
func whole(method string, open opener) error {
	cs, cancel, err := open(cancelledBy)
	if err != nil {
		return err
	}
	defer cancel()
	_ = finish(cs, method)
	return nil
}

// left is a drive that leaves the stream after do.
func left(life time.Duration, do func(cs grpc.ClientStream) error) func(string, opener) error {
	return func(_ string, open opener) error {
		cs, cancel, err := open(life)
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

// failing is a drive that insists that the stream cannot be opened.
func failing(life time.Duration, want codes.Code, opts ...grpc.CallOption) func(string, opener) error {
	return func(_ string, open opener) error {
		if _, _, err := open(life, opts...); status.Code(err) != want {
			return fmt.Errorf("NewStream = %w, want %v", err, want)
		}
		return nil
	}
}

// sending are the kinds in which a client can meet the end by sending.
var sending = []string{up, both}

// ways are the ends that there are: by NewStream, by RecvMsg, by SendMsg, by Header,
// by the context, by the connection, and by nothing.
var ways = []way{
	{name: "well", drive: whole, want: core.Success},
	{name: "an error at once", serve: fails(errUnavailable).stream, drive: whole, want: core.Failure},
	{name: "a message and an error", serve: thenInternal, drive: whole, want: core.Failure},
	{
		name: "an error that a send sees first, asked for", kinds: sending, serve: fails(errUnavailable).stream, want: core.Failure,
		drive: left(cancelledBy, func(cs grpc.ClientStream) error { _ = sendAll(cs); _ = receive(cs); return nil }),
	},
	{name: "an error that a send sees first, left", kinds: sending, serve: fails(errUnavailable).stream, drive: left(cancelledBy, sendAll), want: core.Ignored},
	{name: "only the header of an error", serve: fails(errUnavailable).stream, drive: left(cancelledBy, onlyHeader), want: core.Failure},
	{name: "only the header of a success", serve: func(string, grpc.ServerStream) error { return nil }, drive: left(cancelledBy, onlyHeader), want: core.Success},
	{name: "too long to send", serve: hang, want: core.Ignored, drive: func(_ string, open opener) error {
		cs, _, err := open(forEver, grpc.MaxCallSendMsgSize(10))
		if err == nil {
			_ = cs.SendMsg(wrapperspb.String(strings.Repeat("x", 100)))
		}
		return err
	}},
	{name: "cancelled", serve: hang, drive: left(cancelledBy, nothingAtAll), want: core.Ignored},
	{name: "past its deadline", serve: hang, drive: left(time.Millisecond, dawdle), want: core.Failure},
	{name: "closed for sending and left", drive: left(forEver, closed), want: core.Ignored, closing: true, lease: true},
	{name: "the connection closed", serve: hang, drive: left(forEver, nothingAtAll), want: core.Ignored, closing: true},
	{name: "cancelled before", drive: failing(over, codes.Canceled), refused: true},
	{name: "cancelled on the way", drive: failing(onTheWay, codes.Canceled), want: core.Ignored},
	{name: "no server", dial: dead(), drive: failing(forEver, codes.Unavailable), want: core.Failure},
	{name: "no such name", target: "lost:///nowhere", dial: grpc.WithResolvers(lost{}), drive: failing(forEver, codes.Unavailable), want: core.Failure},
	{name: "no such codec", drive: failing(forEver, codes.Internal, grpc.CallContentSubtype("unknown")), want: core.Ignored},
}

// TestStreamsEndInEachWay has 1,000 streams of each kind end in each way: each has
// one outcome, and nothing is left of it. The bubble waits for every goroutine.
func TestStreamsEndInEachWay(t *testing.T) {
	n := 1000
	if testing.Short() {
		n /= 10
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			bubbles(t, w.streams(), func(t *testing.T, method string) {
				var told atomic.Int64
				cfg := counting()
				cfg.Hooks.Settled = func(context.Context, core.Settlement) { told.Add(1) }
				b := newBreaker(t, cfg)
				before := runtime.NumGoroutine()
				cc := w.connect(t, b)
				w.take(t, method, cc, n)
				const ofTheConnection = 50
				if got := runtime.NumGoroutine() - before; !w.closing && got > ofTheConnection {
					t.Errorf("%d goroutines more when the streams have ended, want at most %d", got, ofTheConnection)
				}
				if got := b.Snapshot().Totals.InFlight; w.closing && got != int64(n) {
					t.Errorf("%d in flight before the connection is closed, want %d", got, n)
				}
				cc.Close()
				synctest.Wait()
				want := times(uint64(n), w.want)
				if w.refused {
					want = counts{}
				}
				if got := countsOf(b); got != want {
					t.Errorf("outcomes %+v, want %+v", got, want)
				}
				if got := b.Snapshot().Totals; got.InFlight != 0 || uint64(told.Load()) != got.Calls {
					t.Errorf("%d in flight, and %d settlements told of %d calls; want none, and one for each", got.InFlight, told.Load(), got.Calls)
				}
			})
		})
	}
}

// TestStreamsGiveTheirPlaceBack is the same with streams of which each is the only
// probe, and those that are never ended.
func TestStreamsGiveTheirPlaceBack(t *testing.T) {
	n := 1000
	if testing.Short() {
		n /= 10
	}
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			bubbles(t, w.streams(), func(t *testing.T, method string) {
				cfg := oneProbe()
				cfg.SuccessThreshold = n + 1
				b := newBreaker(t, cfg)
				halfOpen(t, b)
				before := countsOf(b)
				cc, n := w.connect(t, b), n
				if w.closing && !w.lease {
					n /= 20 // each takes a connection and a server
				}
				for i := range n {
					w.take(t, method, cc, 1)
					switch {
					case w.lease:
						time.Sleep(lease)
						synctest.Wait()
					case w.closing:
						cc.Close()
						synctest.Wait()
						cc = w.connect(t, b)
					case w.want == core.Failure:
						time.Sleep(time.Second) // it has opened
					}
					if got := b.Snapshot(); got.State != core.HalfOpen || got.Totals.InFlight != 0 {
						t.Fatalf("after %d streams %v, %d in flight; want half-open, none", i+1, got.State, got.Totals.InFlight)
					}
				}
				want := times(uint64(n), w.want)
				switch {
				case w.lease:
					want = times(uint64(n), core.Success)
				case w.refused:
					want = counts{}
				}
				got := countsOf(b)
				if got := (counts{got.success - before.success, got.failure - before.failure, got.ignored - before.ignored}); got != want {
					t.Errorf("outcomes %+v, want %+v", got, want)
				}
				if got := b.Snapshot().Totals.Lost; got != 0 {
					t.Errorf("%d probes lost, want none", got)
				}
			})
		})
	}
}

// cancelKey is of the func that cancels a context on the way.
type cancelKey struct{}

const lease = 3 * time.Second

// connect returns a connection with a breaker, on which streams can end in a way.
func (w way) connect(t *testing.T, b *core.Breaker) *grpc.ClientConn {
	t.Helper()
	target, dial := w.target, w.dial
	if target == "" {
		target = "passthrough:///memory"
	}
	if dial == nil {
		dial = serve(t, backend{stream: w.serve})
	}
	gate := admitting(func(ctx context.Context) (core.Permit, error) {
		p, err := b.Allow(ctx)
		if cancel, ok := ctx.Value(cancelKey{}).(context.CancelFunc); ok {
			cancel()
		}
		return p.Move(), err
	})
	return connect(t, target, append(guarded(grpcmw.ClientOptions{Gate: gate, ProbeLease: lease}), dial)...)
}

// take has n streams end in a way, 16 at a time.
func (w way) take(t *testing.T, method string, cc *grpc.ClientConn, n int) {
	t.Helper()
	open := func(life time.Duration, opts ...grpc.CallOption) (cs grpc.ClientStream, cancel context.CancelFunc, err error) {
		ctx, cancel := bg, func() {}
		switch {
		case life == over:
			ctx = cancelled()
		case life == onTheWay:
			ctx, cancel = context.WithCancel(bg)
			ctx = context.WithValue(ctx, cancelKey{}, cancel)
		case life == cancelledBy:
			ctx, cancel = context.WithCancel(bg)
		case life > 0:
			ctx, cancel = context.WithTimeout(bg, life)
		}
		cs, err = begin(ctx, cc, method, opts...)
		return cs, cancel, err
	}
	var next atomic.Int64
	var driving sync.WaitGroup
	for range min(n, 16) {
		driving.Go(func() {
			for next.Add(1) <= int64(n) {
				if err := w.drive(method, open); err != nil {
					t.Errorf("%s: %v", w.name, err)
				}
			}
		})
	}
	driving.Wait()
	synctest.Wait()
}
