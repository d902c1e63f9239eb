package roundtrip

import (
	"context"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// stall is how long a probe may wait for the next bytes of its own body before it
// gives its place to others.
const stall = time.Second

// loan holds the permit of a probe while its body is sent, and gives the place
// back when the body does not come: one client of a proxy that announces a body
// and sends none must not keep all others from finding out whether the host is
// well.
type loan struct {
	ctx     context.Context
	sending *sending
	most    time.Duration // to wait for the body, altogether

	mu     sync.Mutex
	timer  *time.Timer
	permit core.Permit
	over   bool // the permit was taken, or has been settled here
}

// lendPermit takes p until it is called back.
func lendPermit(ctx context.Context, p *core.Permit, s *sending, most time.Duration) *loan {
	l := &loan{ctx: ctx, sending: s, most: most, permit: p.Move()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(stall, l.look)
	return l
}

// look gives the place back when the body has kept the host waiting for too long.
func (l *loan) look() {
	if l.forfeit() {
		l.permit.Settle(l.ctx, core.Ignored) // not under the lock: a hook may wait for the call
	}
}

func (l *loan) forfeit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.sending.current().whole() {
		return false
	}
	all, next := l.sending.wait(clock())
	if all < l.most && next < stall {
		l.timer.Reset(min(l.most-all, stall-next))
		return false
	}
	l.over = true
	return true
}

// back moves the permit to p, and reports false if the place was given back.
func (l *loan) back(p *core.Permit) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer.Stop()
	if l.over {
		return false
	}
	l.over = true
	*p = l.permit.Move()
	return true
}
