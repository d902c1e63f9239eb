//nolint:bodyclose // helpers close them, out of its sight; TestNothingLeaks counts
package roundtrip_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/roundtrip"
)

// The numbers are those of a list of what other adapters get wrong.

func TestSuccessIsUntouched(t *testing.T) {
	text := strings.Repeat("x", 1<<20) // more than one Read
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Answer", "42")
		_, _ = io.WriteString(w, text)
	})
	var sent *http.Request
	var made *http.Response
	var header http.Header
	inner := private(t)
	tr, b := behind(t, base(func(req *http.Request) (*http.Response, error) {
		sent = req
		var err error
		made, err = inner.RoundTrip(req)
		header = made.Header.Clone()
		return made, err
	}), core.Config{})

	req := request(t, http.MethodGet, s.URL, nil)
	resp := send(t, tr, req)
	if sent != req {
		t.Error("Base got another request than the caller's, want the same pointer")
	}
	if resp != made {
		t.Error("the caller got another response than Base made, want the same pointer")
	}
	if !reflect.DeepEqual(resp.Header, header) {
		t.Errorf("headers are %v, want those of Base, %v", resp.Header, header)
	}
	wantTotals(t, b, core.Totals{Calls: 1, InFlight: 1}) // the body is yet to be read
	if got := read(t, resp); got != text {
		t.Errorf("body of %d bytes, want the server's %d", len(got), len(text))
	}
	wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
}

func TestFailureStatusIsAResponse(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the database is down", http.StatusInternalServerError)
	})
	tr, b := behind(t, private(t), core.Config{})
	resp := get(t, tr, s.URL)
	if resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("status = %d, want 500", resp.StatusCode)
	}
	wantTotals(t, b, core.Totals{Calls: 1, Failures: 1}) // before a read
	if got, want := read(t, resp), "the database is down\n"; got != want {
		t.Errorf("body = %q, want %q", got, want)
	}
	wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
}

func TestTheRequestBodyIsSentAndClosed(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		called := false
		tr, b := behind(t, base(func(*http.Request) (*http.Response, error) {
			called = true
			return nil, errSick
		}), core.Config{FailureThreshold: 1})
		open(t, b)
		body := &tracked{Reader: strings.NewReader("payload")}
		req := request(t, http.MethodPost, "http://example.com/a?b=c", body)
		req.Header.Set("X-Question", "6*7")
		before := req.Clone(req.Context())

		if got := wantRefused(t, tr, req); got.Name != "host" || got.State != core.Open {
			t.Errorf("refused by %q as %v, want host, open", got.Name, got.State)
		}
		if called {
			t.Error("Base was called, want a refusal before it")
		}
		if got := body.closed.Load(); got != 1 {
			t.Errorf("the body was closed %d times, want once", got)
		}
		if !reflect.DeepEqual(req, before) {
			t.Errorf("the request is now\n %+v, want it as it was\n %+v", req, before)
		}
	})
	t.Run("allowed", func(t *testing.T) {
		body := &tracked{Reader: strings.NewReader("payload")}
		s := serve(t, func(w http.ResponseWriter, req *http.Request) { _, _ = io.Copy(w, req.Body) })
		inner := private(t)
		var seen io.ReadCloser
		tr, _ := behind(t, base(func(req *http.Request) (*http.Response, error) {
			seen = req.Body
			return inner.RoundTrip(req)
		}), core.Config{})
		req := request(t, http.MethodPost, s.URL, body)
		if got := read(t, send(t, tr, req)); got != "payload" {
			t.Errorf("the server got %q, want the payload", got)
		}
		if seen == nil || req.Body != body {
			t.Errorf("Base saw the body %T and the request has %T now, want one, and the caller's", seen, req.Body)
		}
		if got := body.closed.Load(); got != 1 { // by Base
			t.Errorf("the body was closed %d times, want once", got)
		}
	})
}

func TestRefusedWithoutBody(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{"nil": nil, "NoBody": http.NoBody} {
		t.Run(name, func(t *testing.T) {
			tr, b := behind(t, fails(errSick), core.Config{FailureThreshold: 1})
			open(t, b)
			req := request(t, http.MethodGet, "http://example.com", nil)
			req.Body = body
			wantRefused(t, tr, req)
		})
	}
}

// Another goroutine may look at the request all the time, so it must not even be
// changed and changed back: the race detector tells.
func TestRequestIsNotModified(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/500":
			w.WriteHeader(http.StatusInternalServerError)
		case "/cut":
			panic(http.ErrAbortHandler)
		}
		_, _ = io.Copy(w, req.Body)
	})
	cancelled, cancel := context.WithCancel(bg)
	cancel()
	for _, row := range []struct {
		name, path string
		ctx        context.Context
		open       bool
	}{
		{"success", "/", bg, false},
		{"failure status", "/500", bg, false},
		{"error", "/cut", bg, false},
		{"cancelled", "/", cancelled, false},
		{"refused", "/", bg, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			tr, b := behind(t, private(t), core.Config{FailureThreshold: 1})
			if row.open {
				open(t, b)
			}
			body := &tracked{Reader: strings.NewReader("payload")}
			req := requestIn(t, row.ctx, http.MethodPost, s.URL+row.path, body)
			req.Header.Set("X-Question", "6*7")
			before := req.Clone(row.ctx)
			stop, looking := make(chan struct{}), sync.WaitGroup{}
			looking.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						_, _, _, _, _ = req.Body, req.Header.Get("X-Question"), req.URL.String(), req.Context(), req.ContentLength
						runtime.Gosched()
					}
				}
			})
			if resp, err := tr.RoundTrip(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			close(stop)
			looking.Wait()
			if !reflect.DeepEqual(req, before) {
				t.Errorf("the request is now\n %+v, want it as it was\n %+v", req, before)
			}
		})
	}
}

func TestACancelledRequestTakesNoPermit(t *testing.T) {
	cause := errors.New("a sibling failed")
	ctx, cancel := context.WithCancelCause(bg)
	cancel(cause)
	for _, state := range []core.State{core.Closed, core.Open} {
		t.Run(state.String(), func(t *testing.T) {
			called := false
			tr, b := behind(t, base(func(*http.Request) (*http.Response, error) {
				called = true
				return nil, errSick
			}), core.Config{FailureThreshold: 1})
			if state == core.Open {
				open(t, b)
			}
			before := b.Snapshot().Totals
			body := &tracked{Reader: strings.NewReader("payload")}
			_, err := tr.RoundTrip(requestIn(t, ctx, http.MethodPost, "http://example.com", body))
			if err != cause {
				t.Errorf("err = %v, want the cause, %v", err, cause)
			}
			if got := body.closed.Load(); called || got != 1 {
				t.Errorf("Base called: %v, body closed %d times; want false and once", called, got)
			}
			wantTotals(t, b, before)
		})
	}
}

func TestPipedBodyIsSentAtOnce(t *testing.T) {
	first := make(chan string, 1)
	s := serve(t, func(w http.ResponseWriter, req *http.Request) {
		buf := make([]byte, 5)
		_, _ = io.ReadFull(req.Body, buf)
		first <- string(buf)
		_, _ = io.Copy(w, req.Body)
	})
	tr, b := behind(t, private(t), core.Config{})
	out, in := io.Pipe()
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		_, _ = io.WriteString(in, "first")
		// The writer goes on only when the server has what was written so far.
		if got := <-first; got != "first" {
			t.Errorf("the server got %q before the end of the body, want first", got)
		}
		_, _ = io.WriteString(in, "rest")
		_ = in.Close()
	}()
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	resp := send(t, tr, requestIn(t, ctx, http.MethodPost, s.URL, out))
	if got := read(t, resp); got != "rest" {
		t.Errorf("the server echoed %q, want rest", got)
	}
	await(t, "the end of writing", writing)
	wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
}

func TestNoBodyStaysNoBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		case "/empty":
			w.Header().Set("Content-Length", "0")
		default:
			_, _ = io.WriteString(w, "text")
		}
	})
	for _, row := range []struct{ method, path string }{
		{http.MethodHead, "/"}, {http.MethodGet, "/204"}, {http.MethodGet, "/304"}, {http.MethodGet, "/empty"},
	} {
		t.Run(row.method+row.path, func(t *testing.T) {
			tr, b := behind(t, private(t), core.Config{})
			resp := send(t, tr, request(t, row.method, s.URL+row.path, nil))
			if resp.Body != http.NoBody {
				t.Errorf("body is %T, want http.NoBody itself", resp.Body)
			}
			wantTotals(t, b, core.Totals{Calls: 1, Successes: 1}) // not read or closed
		})
	}
	t.Run("HEAD of another kind of Base", func(t *testing.T) {
		tr, b := behind(t, answers(http.StatusOK, ""), core.Config{})
		_ = send(t, tr, request(t, http.MethodHead, "http://example.com", nil))
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
	t.Run("nil", func(t *testing.T) {
		tr, b := behind(t, base(func(req *http.Request) (*http.Response, error) {
			resp := answer(req, http.StatusOK, "")
			resp.Body = nil
			return resp, nil
		}), core.Config{})
		if resp := get(t, tr, "http://example.com"); resp.Body != nil {
			t.Errorf("body is %T, want nil as Base made it", resp.Body)
		}
		wantTotals(t, b, core.Totals{Calls: 1, Successes: 1})
	})
}

// closer is a Base that counts what is asked of its connections.
type closer struct {
	base

	closed int
}

func (c *closer) CloseIdleConnections() { c.closed++ }

func TestCloseIdleConnectionsReachesBase(t *testing.T) {
	spy := &closer{base: answers(http.StatusOK, "")}
	client := &http.Client{Transport: roundtrip.New(nil, &roundtrip.Options{Base: spy})}
	client.CloseIdleConnections()
	if spy.closed != 1 {
		t.Errorf("reached Base %d times, want once", spy.closed)
	}
	client.Transport = roundtrip.New(nil, &roundtrip.Options{Base: spy, KeepIdle: true})
	client.CloseIdleConnections()
	if spy.closed != 1 {
		t.Errorf("reached Base %d times, want once: KeepIdle is set", spy.closed)
	}
	client.Transport = roundtrip.New(nil, &roundtrip.Options{Base: spy.base})
	client.CloseIdleConnections() // has nowhere to go, and does not panic
}

func TestAPanicOfBaseIsAFailure(t *testing.T) {
	type private struct{ n int }
	bubble(t, "panic", func(t *testing.T) {
		tr, b := behind(t, base(func(*http.Request) (*http.Response, error) { panic(private{7}) }), oneProbe())
		halfOpen(t, b)
		func() {
			defer func() {
				if got := recover(); got != (private{7}) {
					t.Errorf("recovered %v, want the very value of Base", got)
				}
			}()
			_, _ = tr.RoundTrip(request(t, http.MethodGet, "http://example.com", nil))
		}()
		wantState(t, b, core.Open) // the probe failed
		wantTotals(t, b, core.Totals{Calls: 2, Failures: 2})
	})
	bubble(t, "Goexit", func(t *testing.T) {
		tr, b := behind(t, base(func(*http.Request) (*http.Response, error) {
			runtime.Goexit()
			return nil, nil
		}), oneProbe())
		halfOpen(t, b)
		var calling sync.WaitGroup
		calling.Go(func() { _, _ = tr.RoundTrip(request(t, http.MethodGet, "http://example.com", nil)) })
		calling.Wait()
		wantState(t, b, core.Open)
		wantTotals(t, b, core.Totals{Calls: 2, Failures: 2})
	})
}

// The user's funcs must not cost a connection either.
func TestUserFuncPanics(t *testing.T) {
	panics := func() { panic("user") }
	for name, set := range map[string]func(tr *roundtrip.Transport){
		"Classify, headers": func(tr *roundtrip.Transport) {
			tr.Options().Classify = func(roundtrip.Result) core.Outcome { panics(); return core.Success }
		},
		"Classify, body": func(tr *roundtrip.Transport) {
			tr.Options().Classify = func(e roundtrip.Result) core.Outcome {
				if e.Body {
					panics()
				}
				return core.Success
			}
		},
		"Streams": func(tr *roundtrip.Transport) {
			tr.Options().IsStream = func(*http.Response) bool { panics(); return false }
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := &tracked{Reader: strings.NewReader("text")}
			tr, b := behind(t, base(func(req *http.Request) (*http.Response, error) {
				resp := answer(req, http.StatusOK, "")
				resp.Body = body
				return resp, nil
			}), core.Config{})
			set(tr)
			func() {
				defer func() {
					if got := recover(); got != "user" {
						t.Errorf("recovered %v, want the panic to pass through", got)
					}
				}()
				resp, err := tr.RoundTrip(request(t, http.MethodGet, "http://example.com", nil))
				if err == nil {
					_ = resp.Body.Close()
				}
			}()
			if got := body.closed.Load(); got != 1 {
				t.Errorf("the response's body was closed %d times, want once", got)
			}
			wantTotals(t, b, core.Totals{Calls: 1, Failures: 1})
		})
	}
}
