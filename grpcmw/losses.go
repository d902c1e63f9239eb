package grpcmw

import (
	"net"
	"reflect"

	"google.golang.org/grpc/peer"

	"github.com/blackbox4/switchgear/internal/connloss"
)

// losses are the connections that a client has lost of late.
type losses struct{ connloss.Conns[conn] }

// conn is what a connection is known by: its addresses.
type conn struct{ addr, local net.Addr }

// first is First for what gRPC tells of a connection.
func (l *losses) first(begun connloss.Mark, key string, p peer.Peer, text string) bool {
	return l.First(begun, key, conn{p.Addr, p.LocalAddr}, sameConn, text)
}

func sameConn(a, b conn) bool { return same(a.addr, b.addr) && same(a.local, b.local) }

// same reports whether two addresses are of one connection. All streams of a
// connection have the very same ones, which for TCP and Unix sockets are pointers.
func same(a, b net.Addr) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if x.Kind() == reflect.Pointer && y.Kind() == reflect.Pointer {
		return x.Pointer() == y.Pointer()
	}
	return a.Network() == b.Network() && a.String() == b.String()
}
