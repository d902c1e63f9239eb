package presets

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/blackbox4/switchgear/core"
)

// call makes one attempt of a protected function. One that failed because this
// machine lacks something is ignored, unless the policy has a Classify, which
// decides alone: it says nothing about the dependency, and all others would fail
// alike, so every breaker would open at once, and stay so when the shortage is over.
func call[In, Out any](ctx context.Context, gate core.Gate, rules *rules, fn func(context.Context, In) (Out, error), in In) (Out, attempt, error) {
	var a attempt
	out, err := core.Do(ctx, gate, func(ctx context.Context) (Out, error) {
		out, err := fn(ctx, in)
		a.ended(ctx, err)
		if err != nil && !rules.classifies && ofThisMachine(err) {
			err = &shortageError{err}
		}
		return out, err
	})
	if s, ok := err.(*shortageError); ok { //nolint:errorlint // it is returned as it was made
		err = s.error
	}
	return out, a, err
}

// shortageError is an error that [core.DefaultClassify] ignores, as it does one
// that matches ErrOpen. The caller never sees it.
type shortageError struct{ error }

func (*shortageError) Is(target error) bool { return target == core.ErrOpen }
func (e *shortageError) Unwrap() error      { return e.error }

// ofThisMachine reports whether err is a shortage here: of file descriptors, ports
// or memory, or of a resolver that answers. It goes by type, for text may be the
// other side's. A name that does not exist, a connection that is refused and a disk
// that is full are answers.
func ofThisMachine(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsNotFound && (dns.IsTimeout || dns.IsTemporary) {
		return true
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	return ok && shortage(errno)
}
