package ralph

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"syscall"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// classify is what an agent's circuit breaker uses without a Classify of its own: what
// says nothing about the agent is ignored.
func classify(ctx context.Context, err error) core.Outcome {
	o := core.DefaultClassify(ctx, err)
	if o == core.Failure && (isRefusal(err) || isShortage(err) || needsPerson(kindOf(err))) {
		return core.Ignored
	}
	return o
}

// isRefusal reports whether err is the refusal of a gate, an agent or a budget: the agent
// was not let do what it wanted.
func isRefusal(err error) bool {
	return errors.Is(err, core.ErrOpen) || errors.Is(err, detect.ErrExhausted)
}

// isShortage reports whether err is a shortage of this machine, by its type: one that
// core knows, or one of processes, disk or root certificates.
func isShortage(err error) bool {
	if core.LocalShortage(err) {
		return true
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return true
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return false
	}
	path, _ := errors.AsType[*os.PathError](err)
	return diskFull(errno) || path != nil && path.Op == "fork/exec" && noProcess(errno)
}
