package roundtrip

import (
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"reflect"

	"github.com/blackbox4/switchgear/core"
)

// ErrNotSent is for a Base, or what is in it, that has not sent a request for a
// reason that is not the host's, such as a token that could not be made:
//
//	return nil, fmt.Errorf("%w: %w", roundtrip.ErrNotSent, err)
//
// [DefaultClassify] ignores a call whose error matches it. So it does without it for
// a *url.Error about another host and path, and for RetrieveError of
// golang.org/x/oauth2, Error of cloud.google.com/go/auth and
// AuthenticationFailedError of azidentity.
var ErrNotSent = errors.New("roundtrip: the request was not sent")

// ofThisMachine reports whether err is a shortage here, of root certificates too.
func ofThisMachine(err error) bool {
	_, noRoots := errors.AsType[x509.SystemRootsError](err)
	return noRoots || core.LocalShortage(err)
}

// closedHere reports whether the connection was closed on this side, by the
// caller. A Transport that closes one itself reports why, and not that it did; but
// that a write failed because the connection is closed it also reports when the
// host has hung up, which is why only a read counts, and only one that no request
// body can have disturbed.
func closedHere(e Result) bool {
	if e.Body && e.Request.Body != nil && e.Request.Body != http.NoBody {
		return false
	}
	op, ok := errors.AsType[*net.OpError](e.Err)
	return ok && op.Op == "read" && errors.Is(op.Err, net.ErrClosed)
}

// ofCredentials reports whether err says that a Base which adds credentials could
// not get them. It is told by type, or by an error of an http.Client, which is
// Base's own, about another place than the request goes to: another host and
// another path, for a Base may also send the request itself elsewhere.
func ofCredentials(req *http.Request, err error) bool {
	if u, ok := errors.AsType[*url.Error](err); ok {
		to, bad := url.Parse(u.URL)
		if bad == nil && to.Host != "" && host(to) != host(req.URL) && to.Path != req.URL.Path {
			return true
		}
	}
	for ; err != nil; err = errors.Unwrap(err) {
		t := reflect.TypeOf(err)
		if t.Kind() != reflect.Pointer {
			continue
		}
		t = t.Elem()
		switch t.PkgPath() { // without importing them
		case "golang.org/x/oauth2":
			return t.Name() == "RetrieveError"
		case "cloud.google.com/go/auth":
			return t.Name() == "Error"
		case "github.com/Azure/azure-sdk-for-go/sdk/azidentity":
			return t.Name() == "AuthenticationFailedError"
		}
	}
	return false
}
