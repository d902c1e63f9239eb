package httpmw

import (
	"math"
	"net/http"
	"testing"
	"time"
)

func TestAnnouncedDeadlines(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Connect-Timeout-Ms", "2000", 2 * time.Second},
		{"Connect-Timeout-Ms", "9999999999", 9999999999 * time.Millisecond},
		{"Connect-Timeout-Ms", "12345678901", 0},
		{"Grpc-Timeout", "12345678S", 12345678 * time.Second},
		{"Connect-Timeout-Ms", "0", 1},
		{"Connect-Timeout-Ms", "-0", 1},
		{"Connect-Timeout-Ms", "+1", time.Millisecond},
		{"Grpc-Timeout", "0S", 1},
		{"X-Envoy-Expected-Rq-Timeout-Ms", "0", 0}, // which is none there
		{"Connect-Timeout-Ms", "-1", 0},
		{"Connect-Timeout-Ms", "1.5", 0},
		{"Connect-Timeout-Ms", "", 0},
		{"X-Envoy-Expected-Rq-Timeout-Ms", "15", 15 * time.Millisecond},
		{"Grpc-Timeout", "1H", time.Hour},
		{"Grpc-Timeout", "2M", 2 * time.Minute},
		{"Grpc-Timeout", "3S", 3 * time.Second},
		{"Grpc-Timeout", "4m", 4 * time.Millisecond},
		{"Grpc-Timeout", "5u", 5 * time.Microsecond},
		{"Grpc-Timeout", "6n", 6},
		{"Grpc-Timeout", "99999999H", math.MaxInt64},
		{"Grpc-Timeout", "123456789S", 0},
		{"Grpc-Timeout", "1", 0},
		{"Grpc-Timeout", "S", 0},
		{"Grpc-Timeout", "1x", 0},
		{"Timeout", "1", 0},
	} {
		if got := announced(http.Header{c.name: {c.value}}); got != c.want {
			t.Errorf("%s: %s announces %v, want %v", c.name, c.value, got, c.want)
		}
	}
	if got := announced(http.Header{"Connect-Timeout-Ms": {"1", "2"}}); got != time.Millisecond {
		t.Errorf("two deadlines announce %v, want the first", got)
	}
}

func TestMalformedHeads(t *testing.T) {
	for _, c := range []struct {
		name string
		r    http.Request
		want bool
	}{
		{"nothing", http.Request{}, false},
		{"what proxies send on every request", http.Request{Header: http.Header{"Connection": {"upgrade"}}}, false},
		{"a trailer", http.Request{Trailer: http.Header{"Sum": nil}}, false},
		{"a trailer with a space", http.Request{Trailer: http.Header{"a b": nil}}, true},
		{"a trailer without a name", http.Request{Trailer: http.Header{"": nil}}, true},
		{"a websocket", http.Request{Header: http.Header{"Connection": {"keep-alive", "x, UPGRADE"}, "Upgrade": {"websocket"}}}, false},
		{"a version", http.Request{Header: http.Header{"Connection": {"upgrade"}, "Upgrade": {"TLS/1.0"}}}, false},
		{"a version of nothing", http.Request{Header: http.Header{"Connection": {"upgrade"}, "Upgrade": {"/1.0"}}}, true},
		{"a version that is none", http.Request{Header: http.Header{"Connection": {"upgrade"}, "Upgrade": {"a/b c"}}}, true},
		{"a byte that is no letter", http.Request{Header: http.Header{"Connection": {"upgrade"}, "Upgrade": {"\xe9"}}}, true},
		{"a control character", http.Request{Header: http.Header{"Connection": {"upgrade"}, "Upgrade": {"a\x7f"}}}, true},
		{"two", http.Request{Header: http.Header{"Connection": {"upgrade"}, "Upgrade": {"a", "b"}}}, true},
		{"a list", http.Request{Header: http.Header{"Connection": {"upgrade"}, "Upgrade": {"a, b"}}}, true},
		{"without a connection", http.Request{Header: http.Header{"Upgrade": {"\xe9"}}}, false},
	} {
		if got := malformed(&c.r); got != c.want {
			t.Errorf("%s: malformed %t, want %t", c.name, got, c.want)
		}
	}
}
