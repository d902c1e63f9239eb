//go:build unix

package grpcmw_test

import (
	"net"
	"os"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/grpcmw"
)

// TestNoDescriptorIsLeft dials a server of this machine with none left, and then
// with some.
func TestNoDescriptorIsLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	backend{}.register(s)
	serveOn(t, s, l)
	b := newBreaker(t, core.Config{})
	cc := connect(t, l.Addr().String(), guarded(grpcmw.ClientOptions{Gate: b})...)

	next, err := os.Open(os.DevNull) // whose number is the first that is free
	if err != nil {
		t.Fatal(err)
	}
	lowest := next.Fd()
	next.Close()
	var had syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	none := had
	none.Cur = uint64(lowest)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		wantCode(t, invoke(bg, cc), codes.Unavailable)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &had); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, b, times(10, core.Ignored))
	if err := invoke(bg, cc, grpc.WaitForReady(true)); err != nil {
		t.Errorf("with descriptors = %v, want it served", err)
	}
	wantState(t, b, core.Closed)
}
