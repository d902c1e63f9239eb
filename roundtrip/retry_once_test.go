package roundtrip_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// A request that is not safe to send twice is sent once: a charge must not be made three times
// because an answer was lost.
func TestRetryClientSendsOnceWhatIsNotRepeatable(t *testing.T) {
	at := &net.OpError{Op: "read", Net: "tcp", Err: errSick}
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errSick}
	late := &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
	for name, c := range map[string]struct {
		method string
		header string
		err    error // or else 503
		check  retryablehttp.CheckRetry
		want   int
	}{
		"GET":                              {http.MethodGet, "", at, nil, 3},
		"GET, 503":                         {http.MethodGet, "", nil, nil, 3},
		"PUT, 503":                         {http.MethodPut, "", nil, nil, 3},
		"DELETE":                           {http.MethodDelete, "", at, nil, 3},
		"POST":                             {http.MethodPost, "", at, nil, 1},
		"POST, 503":                        {http.MethodPost, "", nil, nil, 1},
		"PATCH, 503":                       {http.MethodPatch, "", nil, nil, 1},
		"a method of its own":              {"CHARGE", "", at, nil, 1},
		"POST, late":                       {http.MethodPost, "", late, nil, 1},
		"POST without a connection":        {http.MethodPost, "", dial, nil, 3},
		"POST with a key":                  {http.MethodPost, "Idempotency-Key", at, nil, 3},
		"POST with the older key, 503":     {http.MethodPost, "X-Idempotency-Key", nil, nil, 3},
		"POST that its owner says to send": {http.MethodPost, "", at, retryablehttp.DefaultRetryPolicy, 3},
	} {
		bubble(t, name, func(t *testing.T) {
			sent := 0
			tr, _ := behind(t, base(func(req *http.Request) (*http.Response, error) {
				sent++
				if c.err != nil {
					return nil, c.err
				}
				return answer(req, http.StatusServiceUnavailable, "later"), nil
			}), core.Config{FailureThreshold: -1, FailureRateThreshold: -1})
			req, err := retryablehttp.NewRequest(c.method, "http://example.com", strings.NewReader("19.99"))
			if err != nil {
				t.Fatal(err)
			}
			if c.header != "" {
				req.Header.Set(c.header, "one")
			}
			resp, err := retrying(tr, roundtrip.Retry{Check: c.check}).Do(req)
			switch {
			case c.err == nil && (err != nil || resp.StatusCode != http.StatusServiceUnavailable):
				t.Errorf("the answer is %v, %v, want the last one", resp, err)
			case c.err == nil:
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			case !errors.Is(err, c.err):
				t.Errorf("the error is %v, want %v in it", err, c.err)
			}
			if timeout, ok := errors.AsType[net.Error](err); c.err == late && (!ok || !timeout.Timeout()) {
				t.Errorf("%v is no timeout, want one as without retries", err)
			}
			if sent != c.want {
				t.Errorf("it was sent %d times, want %d", sent, c.want)
			}
		})
	}
}
