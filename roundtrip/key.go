package roundtrip

import (
	"hash/maphash"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Host is the key that a [Transport] uses if it has no other: the host that the
// request goes to, in lower case, with the port, "example.com:443". It is that of
// the URL, not the Host header, which may name something behind it. A failing
// proxy is charged to the host.
func Host(req *http.Request) string { return host(req.URL) }

func host(u *url.URL) string {
	name, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		switch strings.ToLower(u.Scheme) {
		case "https", "wss":
			port = "443"
		case "http", "ws":
			port = "80"
		default:
			port = strings.ToLower(u.Scheme)
		}
	}
	if ascii, err := httpguts.PunycodeHostPort(name); err == nil { // as it goes over the wire
		name = ascii
	}
	if number, err := strconv.Atoi(port); err == nil {
		port = strconv.Itoa(number)
	}
	return net.JoinHostPort(name, port)
}

// hostKey is what the key of a host is made of.
type hostKey struct{ scheme, host string }

//nolint:gochecknoglobals // a seed is made once
var hostSeed = maphash.MakeSeed()

// cachedHost is Host, remembered in t.keys.
func (t *Transport) cachedHost(u *url.URL) string {
	hash, from := maphash.String(hostSeed, u.Host), hostKey{u.Scheme, u.Host}
	if key, ok := t.keys.Get(hash, from); ok {
		return key
	}
	key := host(u)
	t.keys.Put(hash, hostKey{strings.Clone(u.Scheme), strings.Clone(u.Host)}, key)
	return key
}

// IsSafeMethod reports whether a request has a method that changes nothing: GET, HEAD,
// OPTIONS or TRACE. See [Options].AllowProbe.
func IsSafeMethod(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}
