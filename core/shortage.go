package core

import (
	"errors"
	"net"
	"syscall"
)

// LocalShortage reports whether err says that this machine lacks something: file
// descriptors, in the process or at all, a free port, memory, or a resolver that
// answers. Such a failure says nothing about a dependency, and all calls of the
// machine fail alike; [DefaultClassify] ignores it.
//
// It goes by the types in err's chain, never by its text, which may be the other
// side's. A name that does not exist, a connection that is refused and a disk that
// is full are answers. A nil err is no shortage.
func LocalShortage(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound && (dns.IsTimeout || dns.IsTemporary) || LocalShortage(dns.Unwrap())
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return false
	}
	if op, isOp := errors.AsType[*net.OpError](err); isOp && op.Op == "listen" {
		return lacks(errno) // that a port is in use there is the caller's doing
	}
	return lacks(errno) || noPort(errno)
}
