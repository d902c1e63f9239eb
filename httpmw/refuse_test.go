package httpmw_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

func TestARefusalIs503WithRetryAfter(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		w := newWard(t, core.Config{})
		w.open(t)
		s := serve(t, w.guard(status(http.StatusOK)))
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead} {
			a := s.do(request(t, method, s.URL, nil))
			wantCode(t, a, http.StatusServiceUnavailable)
			for name, want := range map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store"} {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", method, name, got, want)
				}
			}
			after, err := strconv.Atoi(a.header.Get("Retry-After"))
			if most := int(rest / time.Second); err != nil || after > most || after < most-20 {
				t.Errorf("%s: Retry-After is %q, want the seconds left of %d", method, a.header.Get("Retry-After"), most)
			}
			if all := fmt.Sprint(a.header, a.body); strings.Contains(all, "ward") || strings.Contains(all, "circuit") || strings.Contains(all, "failures") {
				t.Errorf("%s: the answer tells of the inside: %s", method, all)
			}
			if method == http.MethodHead {
				if a.body != "" || a.err != nil {
					t.Errorf("HEAD has the body %q, %v; want none", a.body, a.err)
				}
				continue
			}
			var problem struct {
				Type, Title, Detail string
				Status              int
			}
			if err := json.Unmarshal([]byte(a.body), &problem); err != nil || problem.Type != "about:blank" || problem.Title != "Service Unavailable" || problem.Status != 503 || problem.Detail == "" {
				t.Errorf("%s: the body is %s, %v; want a problem", method, a.body, err)
			}
			if got := a.header.Get("Content-Length"); got != strconv.Itoa(len(a.body)) {
				t.Errorf("%s: Content-Length is %q, of %d bytes", method, got, len(a.body))
			}
		}
		w.idle(t)
	})
	bubble(t, func(t *testing.T) { // where no time passes
		for left, want := range map[time.Duration]string{
			time.Nanosecond: "1", time.Second: "1", time.Second + 1: "2", 1200 * time.Millisecond: "2", time.Minute: "60",
			0: "1", -time.Hour: "1", 1<<63 - 1: "9223372037",
		} {
			rec := httptest.NewRecorder()
			httpmw.Refuse(rec, httptest.NewRequest(http.MethodGet, "/", nil), &core.OpenError{RetryAt: time.Now().Add(left)})
			if got := rec.Header().Get("Retry-After"); got != want {
				t.Errorf("Retry-After %q when %v is left, want %q", got, left, want)
			}
		}
		for name, refusal := range map[string]*core.OpenError{"forced open": {Cause: core.CauseForcedOpen}, "nil": nil} {
			rec := httptest.NewRecorder()
			httpmw.Refuse(rec, httptest.NewRequest(http.MethodGet, "/", nil), refusal)
			if got := rec.Header()["Retry-After"]; got != nil || rec.Code != http.StatusServiceUnavailable {
				t.Errorf("%s: status %d, Retry-After %q; want 503 and none", name, rec.Code, got)
			}
		}
	})
}

func TestSkippedRequestsAreNeitherCountedNorRefused(t *testing.T) {
	w := newWard(t, core.Config{})
	s := serve1(t, httpmw.New(nil, &httpmw.Options{
		Gate: w, Skip: func(r *http.Request) bool { return r.URL.Path == "/healthz" },
	})(status(http.StatusInternalServerError)))
	try := func() {
		t.Helper()
		wantCode(t, s.get(t, "/healthz"), http.StatusInternalServerError)
		wantCode(t, s.do(request(t, http.MethodOptions, s.URL+"/orders", nil)), http.StatusInternalServerError)
		w.idle(t)
	}
	try()
	wantState(t, w, core.Closed)
	w.open(t)
	try()
	if got := w.Snapshot().Totals.Refused; got != 0 {
		t.Errorf("%d refused, want none", got)
	}
	wantCode(t, s.get(t, "/orders"), http.StatusServiceUnavailable)
}

func TestRefusalReadsNoBody(t *testing.T) {
	w := newWard(t, core.Config{})
	s := serve1(t, w.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})))
	const head = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"
	upload := func() (lines []string, from *bufio.Reader, conn io.Writer) {
		c := s.dial(t)
		_, _ = io.WriteString(c, head)
		from = bufio.NewReader(c)
		line, err := from.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return []string{line}, from, c
	}
	lines, from, conn := upload()
	if lines[0] != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("an admitted client that asks first is told %q, want 100", lines[0])
	}
	_, _ = from.ReadString('\n')
	_, _ = io.WriteString(conn, bodyOf(1000))
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "1000 <nil>" {
		t.Errorf("the handler has read %s, want 1000 bytes", body)
	}
	w.want(t, core.Success)

	w.open(t)
	if lines, _, _ = upload(); !strings.HasPrefix(lines[0], "HTTP/1.1 503 ") {
		t.Errorf("a refused client that asks first is told %q, want 503", lines[0])
	}
	rec := httptest.NewRecorder()
	w.guard(status(http.StatusOK)).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", unread{t}))
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", rec.Code)
	}
}

// unread is a body that is not to be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) { u.t.Error("the body is read"); return 0, io.EOF }

// Nothing that comes from a client gets into the head of a refusal.
func TestNothingIsInjectedIntoARefusal(t *testing.T) {
	registry := &core.Registry{
		Config: func(string) core.Config { return core.Config{FailureThreshold: 1} },
		Logger: slog.New(slog.DiscardHandler),
	}
	s := serve1(t, httpmw.New(registry, &httpmw.Options{
		Key: func(r *http.Request) string { return r.URL.Path + r.Header.Get("X-Tenant") }, // as it should not be
	})(status(http.StatusInternalServerError)))
	for _, target := range []string{"/a%0d%0aSet-Cookie:%20x=1", "/%3Cscript%3E", "/%22,%22status%22:200", "/a%00b", "/Set-Cookie:%20x=1"} {
		var a answer
		for range 2 {
			req := request(t, http.MethodGet, s.URL+target, nil)
			req.Header.Set("X-Tenant", `"><script>`)
			a = s.do(req)
		}
		if strings.Contains(target, "%0") { // no name of a breaker, so there is none that refuses
			wantCode(t, a, http.StatusInternalServerError)
			continue
		}
		wantCode(t, a, http.StatusServiceUnavailable)
		if all := fmt.Sprint(a.header, a.body); strings.Contains(all, "ookie") || strings.Contains(all, "script") || !json.Valid([]byte(a.body)) || len(a.header) != 5 {
			t.Errorf("%s: the answer has something of it, or is not as it should be: %s", target, all)
		}
	}
}

// Refuse can be replaced, and is given the facts.
func TestRefuseOfOnesOwn(t *testing.T) {
	w := newWard(t, core.Config{})
	w.open(t)
	s := serve1(t, httpmw.New(nil, &httpmw.Options{Gate: w, Refuse: func(rw http.ResponseWriter, _ *http.Request, e *core.OpenError) {
		http.Error(rw, e.Name, http.StatusTooManyRequests)
	}})(status(http.StatusOK)))
	if a := s.get(t, "/"); a.code != http.StatusTooManyRequests || a.body != "ward\n" {
		t.Errorf("got %d, %q; want 429, ward", a.code, a.body)
	}
}

// gateFunc is a gate made of a func.
type gateFunc func(context.Context) (core.Permit, error)

func (f gateFunc) Allow(ctx context.Context) (core.Permit, error) { return f(ctx) }

// A gate that neither admits nor refuses is a fault of the program, answered so, and logged
// once with the reason, which no client is told.
func TestAGateThatCannotBeAsked(t *testing.T) {
	invalid := func(string) core.Config { return core.Config{FailureThreshold: 5000} }
	returns := func(err error) core.Gate {
		return gateFunc(func(context.Context) (core.Permit, error) { return core.Permit{}, err })
	}
	for name, c := range map[string]struct {
		config func(string) core.Config
		gate   core.Gate
		reason string // "": a refusal
	}{
		"a nil Breaker":                     {gate: (*core.Breaker)(nil), reason: "make it with New"},
		"the zero Breaker":                  {gate: new(core.Breaker), reason: "make it with New"},
		"a nil among all":                   {gate: core.All(core.MustNew("b", core.Config{}), nil), reason: "nil Gate"},
		"a Config that is not valid":        {config: invalid, reason: "5000"},
		"an error of its own":               {gate: returns(errors.New("not connected")), reason: "not connected"},
		"a context of its own that is done": {gate: returns(context.Canceled), reason: "context canceled"},
		"ErrOpen":                           {gate: returns(fmt.Errorf("a gate: %w", core.ErrOpen))},
		"an OpenError":                      {gate: returns(&core.OpenError{})},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			registry := &core.Registry{Config: c.config, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			h := httpmw.New(registry, &httpmw.Options{Gate: c.gate, Key: one})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler is entered") }))
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead} {
				rec := httptest.NewRecorder()
				h.ServeHTTP(rec, httptest.NewRequest(method, "/", nil))
				want := http.StatusServiceUnavailable
				if c.reason != "" {
					want = http.StatusInternalServerError
				}
				if got := rec.Header().Get("Retry-After"); rec.Code != want || got != "" || rec.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s: status %d, header %v; want %d, a problem, and no Retry-After", method, rec.Code, rec.Header(), want)
				}
				var told struct{ Status int }
				if err := json.Unmarshal(rec.Body.Bytes(), &told); method != http.MethodHead && (err != nil || told.Status != want) || c.reason != "" && strings.Contains(rec.Body.String(), c.reason) {
					t.Errorf("%s: body %s, want a problem of status %d and nothing of the inside", method, rec.Body, want)
				}
			}
			if lines := strings.Count(log.String(), "\n"); c.reason == "" && lines > 0 || c.reason != "" && (lines != 1 || !strings.Contains(log.String(), c.reason) || !strings.Contains(log.String(), "remedy=")) {
				t.Errorf("logged %q; want one line with the reason %q and a remedy, or none", log.String(), c.reason)
			}
		})
	}
}

// A client that has gone is no fault of the program, and a logger that panics is none
// of the request.
func TestAGateThatCannotBeAskedNow(t *testing.T) {
	var log strings.Builder
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	always := gateFunc(func(context.Context) (core.Permit, error) { return core.Permit{}, gone.Err() })
	logger := slog.New(slog.NewTextHandler(&log, nil))
	h := httpmw.New(&core.Registry{Logger: logger}, &httpmw.Options{Gate: always})(status(http.StatusOK))
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(gone))
	if rec.Code != http.StatusServiceUnavailable || log.Len() > 0 {
		t.Errorf("of a client that has gone: status %d, log %q; want 503 and nothing", rec.Code, log.String())
	}
	h = httpmw.New(&core.Registry{Logger: slog.New(panicking{})}, &httpmw.Options{Gate: always})(status(http.StatusOK))
	rec = httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	if rec.Code != http.StatusInternalServerError {
		t.Errorf("with a logger that panics: status %d, want 500", rec.Code)
	}
}

// panicking is a handler of logs.
type panicking struct{ slog.Handler }

func (panicking) Enabled(context.Context, slog.Level) bool { panic("no log") }
