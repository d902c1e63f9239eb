package ralph

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// classify is what an agent's circuit breaker uses without a Classify of its own: what
// says nothing about the agent is ignored.
func classify(ctx context.Context, err error) core.Outcome {
	o := core.DefaultClassify(ctx, err)
	if o == core.Failure && (vetoed(err) || lacking(err)) {
		return core.Ignored
	}
	return o
}

// vetoed reports whether err is the refusal of a gate, an agent or a budget: the agent
// was not let do what it wanted.
func vetoed(err error) bool {
	return errors.Is(err, core.ErrOpen) || errors.Is(err, detect.ErrExhausted)
}

// lacking reports whether err is a shortage of this machine, by its type: of file
// descriptors, ports, memory, processes, disk, root certificates, or of a resolver that
// answers. That a name does not exist is an answer, and a connection that is refused is
// the other side's.
func lacking(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound && (dns.IsTimeout || dns.IsTemporary) || lacking(dns.Unwrap())
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return true
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return false
	}
	op, path := "", ""
	if e, ok := errors.AsType[*net.OpError](err); ok {
		op = e.Op
	}
	if e, ok := errors.AsType[*os.PathError](err); ok {
		path = e.Op
	}
	switch {
	case shortage(errno):
		return true
	case noPort(errno):
		return op != "listen" // that a port is in use there is the agent's doing
	}
	return path == "fork/exec" && noProcess(errno)
}
