package roundtrip

import (
	"context"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/settle"
)

// stall is how long a probe may wait for the next bytes of its own body before it
// gives its place to others.
const stall = time.Second

// loan holds the permit of a probe while the request's body is sent. It gives the
// place back when the body does not come: a client of a proxy that announces a body
// and sends none must not keep the breaker half-open.
type loan struct {
	settle.Once

	ctx     context.Context //nolint:containedctx // the request's
	sending *sending
	most    time.Duration // to wait for the body, altogether
	timer   *time.Timer
}

// lendPermit takes p until takeBack.
func lendPermit(ctx context.Context, p *core.Permit, s *sending, most time.Duration) *loan {
	l := &loan{ctx: ctx, sending: s, most: most}
	l.Lock()
	defer l.Unlock()
	l.Hold(p)
	l.timer = time.AfterFunc(stall, func() { l.LendIf(l.ctx, l.starvedLocked) })
	return l
}

// starvedLocked reports whether the body has kept the host waiting for too long.
// Otherwise it is asked again later.
func (l *loan) starvedLocked() bool {
	if l.sending.current().whole() {
		return false
	}
	all, next := l.sending.wait(clock())
	if all < l.most && next < stall {
		l.timer.Reset(min(l.most-all, stall-next))
		return false
	}
	return true
}

// takeBack moves the permit to p, and reports false if the place was given back.
func (l *loan) takeBack(p *core.Permit) bool {
	l.timer.Stop()
	return l.TakeBack(p)
}
