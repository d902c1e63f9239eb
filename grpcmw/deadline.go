package grpcmw

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/deadline"
	"github.com/blackbox4/switchgear/internal/durations"
)

// times are those of one call in a server, by the server's clock.
type times struct {
	usual *durations.Calls // of the method
	start time.Duration
	limit time.Duration // that the client has given; 0 is none
}

const (
	// nearly is how much sooner than here a deadline may have passed elsewhere, in
	// what the handler has asked.
	nearly = 10 * time.Millisecond
	// grace is how long a handler has to return when its context has ended.
	grace = 100 * time.Millisecond
)

func (s *server) begin(ctx context.Context, method string) times {
	t := times{usual: s.methods.Of(method), start: s.now()}
	if at, ok := ctx.Deadline(); ok {
		t.limit = max(time.Until(at), 1)
	}
	return t
}

// mayHang reports whether a client's deadline is one that can count.
func (s *server) mayHang(limit time.Duration) bool {
	const floor = time.Second // as that of Calls.Unusual
	return limit >= floor || limit > 0 && s.DeadlineFactor < 0
}

// signs are what is known of a call when it has ended, or is taken to have.
type signs struct {
	elapsed time.Duration
	waited  time.Duration // of elapsed: for the client
	gone    time.Duration // when the context ended, of elapsed; 0 if that is not known
	unread  bool          // a message could not be read, or not be sent
	short   bool          // the client has ended its messages
	sent    bool          // a message was sent
}

// blame returns what a call that ended with an error says, if it is the client's
// doing, or a handler that hung, and otherwise 0.
func (s *server) blame(ctx context.Context, t *times, at *signs, err error) core.Outcome {
	hung := func() bool { return t.usual.Unusual(t.own(at), s.DeadlineFactor) }
	switch {
	case err == nil:
		return 0
	case at.unread || at.short && isEOF(err):
		return core.Ignored
	case ctx.Err() != nil:
		// A stream that has been answered may be one that lasts as long as the client
		// wants.
		if t.passed(ctx, at) && !at.sent && hung() {
			return core.Failure
		}
		return core.Ignored
	case t.limit == 0:
		return 0
	case t.limit-at.elapsed < nearly && 2*(at.elapsed-at.waited) >= t.limit && !hung():
		return core.Ignored // what the handler has asked was told of the same deadline
	case statusOf(err).Code() == codes.DeadlineExceeded:
		return ignoredIf(t.usual.CutShort(t.own(at), t.limit, s.DeadlineFactor))
	}
	return 0
}

// passed reports whether a context ended by the client's deadline. A client whose
// deadline has passed cancels the call, so that a server hears of it twice, and
// either may be first.
func (t *times) passed(ctx context.Context, at *signs) bool {
	switch {
	case t.limit == 0:
		return false
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return true
	case at.gone > 0:
		return deadline.Passed(at.gone, t.limit)
	}
	return deadline.Passed(at.elapsed, t.limit) && at.elapsed <= t.limit+t.limit/10+deadline.Slack
}

// own is how long the handler itself has run, or would have when the deadline passed
// here, if the client was a moment sooner.
func (t *times) own(at *signs) time.Duration {
	own := max(at.elapsed-at.waited, 0)
	if left := t.limit - at.elapsed; left > 0 && left < nearly {
		own += left
	}
	return own
}

// settle settles a call without a stream whose handler has returned.
func (s *server) settle(ctx context.Context, p *core.Permit, t *times, err error) {
	if err == nil && s.plain {
		p.Settle(ctx, core.Success)
		s.took(ctx, t, s.now()-t.start)
		return
	}
	s.report(ctx, p, t, &signs{elapsed: s.now() - t.start}, err)
}

// took notes a success that its client has waited for.
func (s *server) took(ctx context.Context, t *times, own time.Duration) {
	if ctx.Err() == nil {
		t.usual.Took(own)
	}
}

func (s *server) report(ctx context.Context, p *core.Permit, t *times, at *signs, err error) {
	o := s.Classify(blame(ctx, s.blame(ctx, t, at, err)), err)
	if o == core.Success && err == nil {
		s.took(ctx, t, max(at.elapsed-at.waited, 0))
	}
	report(ctx, p, o, err, nil)
}

var errAborted = errors.New("the handler panicked or exited")

// abandon settles a call whose handler has not returned.
func (s *server) abandon(ctx context.Context, p *core.Permit, t *times) {
	s.aborted(ctx, p, t, &signs{elapsed: s.now() - t.start})
}

func (s *server) aborted(ctx context.Context, p *core.Permit, t *times, at *signs) {
	if ctx.Err() != nil && s.blame(ctx, t, at, errAborted) == core.Ignored {
		p.Settle(ctx, core.Ignored)
		return
	}
	p.Report(ctx, core.Failure, errAborted)
}
