//nolint:bodyclose // helpers close them, out of its sight
package roundtrip_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// stuck is a body whose Read does not return before release, whatever is closed.
type stuck struct{ release chan struct{} }

func (s stuck) Read([]byte) (int, error) { <-s.release; return 0, io.ErrUnexpectedEOF }
func (stuck) Close() error               { return nil }

// Close settles by itself what a Read at the same time waits for: as a deadline that
// was missed, as what the caller cancelled, or as a success.
func TestCloseUnderARead(t *testing.T) {
	for name, row := range map[string]struct {
		ctx  func() (context.Context, context.CancelFunc)
		want core.Settlement
	}{
		"after the deadline": {
			func() (context.Context, context.CancelFunc) { return context.WithTimeout(bg, time.Second) },
			core.Settlement{Outcome: core.Failure, TimedOut: true, Err: context.DeadlineExceeded},
		},
		"in time": {
			func() (context.Context, context.CancelFunc) { return context.WithTimeout(bg, time.Hour) },
			core.Settlement{Outcome: core.Success},
		},
		"cancelled": {func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(bg)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}, core.Settlement{Outcome: core.Ignored, Err: context.Canceled}},
	} {
		bubble(t, name, func(t *testing.T) {
			body := stuck{make(chan struct{})}
			var told book
			tr, b := behind(t, base(func(req *http.Request) (*http.Response, error) {
				resp := answer(req, http.StatusOK, "")
				resp.Body = body
				return resp, nil
			}), core.Config{Hooks: core.Hooks{Settled: told.note}})
			ctx, cancel := row.ctx()
			defer cancel()
			resp := send(t, tr, requestIn(t, ctx, http.MethodGet, "http://example.com", nil))
			go func() { _, _ = resp.Body.Read(make([]byte, 1)) }()
			time.Sleep(2 * time.Second)
			_ = resp.Body.Close()
			if got := told.last(t); got.Outcome != row.want.Outcome || got.TimedOut != row.want.TimedOut || !errors.Is(got.Err, row.want.Err) {
				t.Errorf("told %+v, want %+v", got, row.want)
			}
			before := b.Snapshot().Totals
			close(body.release)
			time.Sleep(time.Second)
			wantTotals(t, b, before)
		})
	}
}

// A probe that is over keeps nothing alive, though its lease and its context go on.
func TestProbeThatIsOverIsForgotten(t *testing.T) {
	ctx, cancel := context.WithCancel(bg)
	defer cancel()
	var freed atomic.Int32
	tr, b := behind(t, answers(http.StatusOK, "text"), core.Config{FailureThreshold: 1, Timeout: time.Millisecond, SuccessThreshold: 1000})
	tr.Options().ProbeLease = time.Hour
	halfOpenNow(t, b)
	func() {
		big := new([1 << 16]byte) // what the request holds
		runtime.AddCleanup(big, func(int) { freed.Add(1) }, 0)
		req := requestIn(t, ctx, http.MethodGet, "http://example.com", nil)
		req.GetBody = func() (io.ReadCloser, error) { big[0]++; return http.NoBody, nil }
		_ = read(t, send(t, tr, req))
	}()
	eventually(t, "what the request held is free", func() bool { runtime.GC(); return freed.Load() == 1 })
	runtime.KeepAlive(tr)
}

// A refusal is known by its header when another layer has wrapped its body.
func TestRefusalInOtherWrappings(t *testing.T) {
	for name, row := range map[string]struct {
		code   int
		header string
		want   bool
	}{
		"wrapped": {503, "open", true}, "without the header": {503, "", false}, "another status": {500, "open", false}, "no failure": {200, "open", false},
	} {
		resp := answer(nil, row.code, "")
		if row.header != "" {
			resp.Header.Set("Switchgear-Refused", row.header)
		}
		if got := roundtrip.Refused(resp); got != row.want {
			t.Errorf("%s: Refused = %v, want %v", name, got, row.want)
		}
	}
}

// A body that HTTP/2 cannot send is the request's fault only if the request has it, and the
// error is the one for it.
func TestErrorsForThisRequest(t *testing.T) {
	for _, row := range []struct {
		text  string
		spoil func(req *http.Request)
		want  core.Outcome
	}{
		{`http2: invalid Upgrade request header: ["h2c"]`, func(r *http.Request) { r.Header.Set("Upgrade", "h2c") }, core.Ignored},
		{`http2: invalid Connection request header: ["Upgrade"]`, func(r *http.Request) { r.Header.Set("Connection", "Upgrade") }, core.Ignored},
		{`http2: invalid Transfer-Encoding request header: ["gzip"]`, func(r *http.Request) { r.Header.Set("Transfer-Encoding", "gzip") }, core.Ignored},
		{`http2: invalid Upgrade request header: ["h2c"]`, func(r *http.Request) { r.Header.Set("Upgrade", "other") }, core.Failure},
		{`http2: invalid Upgrade request header: []`, func(*http.Request) {}, core.Failure},
		{`http2: invalid Host header`, func(r *http.Request) { r.Host = "a b" }, core.Ignored},
		{`http: invalid Host header`, func(r *http.Request) { r.Host = "a b" }, core.Ignored},
		{`http: invalid Host header`, func(*http.Request) {}, core.Failure},
		{`unsupported protocol scheme "gopher"`, func(r *http.Request) { r.URL.Scheme = "gopher" }, core.Ignored},
		{`unsupported protocol scheme "gopher"`, func(r *http.Request) { r.URL.Scheme = "unix" }, core.Failure},
		{`unsupported protocol scheme "http"`, func(*http.Request) {}, core.Failure},
		{`http3: unsupported protocol scheme: http`, func(*http.Request) {}, core.Ignored},
		{`http3: unsupported protocol scheme: https`, func(r *http.Request) { r.URL.Scheme = "https" }, core.Failure},
		{`http2: invalid request :path "x:y" from URL.Opaque = "y"`, func(r *http.Request) { r.URL.Scheme, r.URL.Opaque = "x", "y" }, core.Failure}, // not what RequestURI makes
		{`http2: invalid request :path "y" from URL.Opaque = "y"`, func(r *http.Request) { r.URL.Opaque = "y" }, core.Ignored},
		{`http2: invalid request :path "/"`, func(*http.Request) {}, core.Failure},
		{`other words`, func(r *http.Request) { r.Trailer = http.Header{"Content-Length": nil} }, core.Ignored},
		{`other words`, func(r *http.Request) { r.ContentLength = 5 }, core.Ignored}, // of no body
		{`other words`, func(r *http.Request) { r.Header.Set("X-Long", strings.Repeat("x", 100_000)) }, core.Failure},
		{`http2: request header list larger than peer's advertised limit`, func(r *http.Request) { r.Header.Set("X-Long", strings.Repeat("x", 100_000)) }, core.Ignored},
		{`http2: request header list larger than peer's advertised limit`, func(r *http.Request) {
			for range 300 { // many small ones
				r.Header.Add("X-Short", "x")
			}
		}, core.Ignored},
		{`http2: request header list larger than peer's advertised limit`, func(*http.Request) {}, core.Failure},
		{`http2: request header list larger than peer's advertised limit`, func(r *http.Request) { r.Header.Set("X-Long", strings.Repeat("x", 7<<10)) }, core.Failure},
	} {
		t.Run(row.text, func(t *testing.T) {
			var told book
			tr, _ := behind(t, fails(errors.New(row.text)), core.Config{Hooks: core.Hooks{Settled: told.note}})
			req := request(t, http.MethodGet, "http://example.com", nil)
			row.spoil(req)
			_, _ = tr.RoundTrip(req)
			if got := told.last(t).Outcome; got != row.want {
				t.Errorf("%v, want %v", got, row.want)
			}
		})
	}
}

// A connection that is closed here while the answer is read is the caller's doing;
// but while a body is sent, the Transport may have closed it because of the host.
func TestConnectionClosedInTheBody(t *testing.T) {
	closed := &net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}
	for name, row := range map[string]struct {
		body io.Reader
		err  error
		want core.Outcome
	}{
		"no body":        {nil, closed, core.Ignored},
		"an empty body":  {http.NoBody, closed, core.Ignored},
		"with a body":    {strings.NewReader("text"), closed, core.Failure},
		"while it wrote": {nil, &net.OpError{Op: "write", Net: "tcp", Err: net.ErrClosed}, core.Failure},
		"only the kind":  {nil, net.ErrClosed, core.Failure}, // quic-go's idle time-out is of that kind
	} {
		t.Run(name, func(t *testing.T) {
			var told book
			tr, _ := behind(t, base(func(req *http.Request) (*http.Response, error) {
				resp := answer(req, http.StatusOK, "")
				resp.Body = io.NopCloser(iotest.ErrReader(row.err))
				return resp, nil
			}), core.Config{Hooks: core.Hooks{Settled: told.note}})
			req := request(t, http.MethodPost, "http://example.com", row.body)
			_, _ = io.ReadAll(send(t, tr, req).Body)
			if got := told.last(t).Outcome; got != row.want {
				t.Errorf("%v, want %v", got, row.want)
			}
		})
	}
}

// A body that fits into the buffers of a connection is cut by the host alone, however
// slowly it is read.
func TestSmallBodyReadSlowly(t *testing.T) {
	bubble(t, "a piece each minute", func(t *testing.T) {
		tr, b := behind(t, base(func(req *http.Request) (*http.Response, error) {
			resp := answer(req, http.StatusOK, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 1000)), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return resp, nil
		}), core.Config{})
		resp := get(t, tr, "http://example.com")
		var err error
		for err == nil {
			_, err = resp.Body.Read(make([]byte, 100))
			time.Sleep(time.Minute)
		}
		wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
	})
}
