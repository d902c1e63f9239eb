package httpmw_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/httpmw"
)

// abilities are what a writer can do, of all that net/http knows of.
func abilities(w http.ResponseWriter) string {
	var can []string
	add := func(name string, ok bool) {
		if ok {
			can = append(can, name)
		}
	}
	_, ok := w.(http.Flusher)
	add("Flush", ok)
	_, ok = w.(interface{ FlushError() error })
	add("FlushError", ok)
	_, ok = w.(http.Hijacker)
	add("Hijack", ok)
	_, ok = w.(io.ReaderFrom)
	add("ReadFrom", ok)
	_, ok = w.(http.Pusher)
	add("Push", ok)
	_, ok = w.(io.StringWriter)
	add("WriteString", ok)
	_, ok = w.(http.CloseNotifier) //nolint:staticcheck // deprecated, and still asked for
	add("CloseNotify", ok)
	_, ok = w.(interface{ SetReadDeadline(t time.Time) error })
	add("SetReadDeadline", ok)
	_, ok = w.(interface{ SetWriteDeadline(t time.Time) error })
	add("SetWriteDeadline", ok)
	_, ok = w.(interface{ EnableFullDuplex() error })
	add("EnableFullDuplex", ok)
	return strings.Join(can, " ")
}

// bare can do nothing but what every writer can.
type bare struct{ http.ResponseWriter }

func TestTheWriterCanDoWhatItCould(t *testing.T) {
	guard := httpmw.New(nil, &httpmw.Options{Key: one})
	check := func(t *testing.T, contains string, serve func(http.Handler)) {
		t.Helper()
		outer, inner := "not called", "not called"
		guarded := guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { inner = abilities(w) }))
		serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outer = abilities(w)
			guarded.ServeHTTP(w, r)
		}))
		if inner != outer || !strings.Contains(outer, contains) {
			t.Errorf("the handler's writer has %q, want %q, with %q", inner, outer, contains)
		}
	}
	direct := func(w http.ResponseWriter) func(http.Handler) {
		return func(h http.Handler) { h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)) }
	}
	t.Run("HTTP1", func(t *testing.T) {
		check(t, "Hijack ReadFrom", func(h http.Handler) { serve1(t, h).get(t, "/") })
	})
	t.Run("HTTP2", func(t *testing.T) {
		check(t, "FlushError Push", func(h http.Handler) { serve2(t, h).get(t, "/") })
	})
	t.Run("recorder", func(t *testing.T) { check(t, "Flush", direct(httptest.NewRecorder())) })
	t.Run("bare", func(t *testing.T) { check(t, "", direct(bare{httptest.NewRecorder()})) })
	t.Run("TimeoutHandler", func(t *testing.T) {
		check(t, "Push", func(h http.Handler) { direct(httptest.NewRecorder())(http.TimeoutHandler(h, time.Hour, "")) })
	})
}

// Each method of http.ResponseController gives with the middleware what it gives
// without.
func TestAResponseControllerReachesTheWriter(t *testing.T) {
	use := func(w http.ResponseWriter) string {
		rc := http.NewResponseController(w)
		var out strings.Builder
		tell := func(name string, err error) { fmt.Fprintf(&out, "%s: %v\n", name, err) }
		tell("SetReadDeadline", rc.SetReadDeadline(time.Now().Add(patience)))
		tell("SetWriteDeadline", rc.SetWriteDeadline(time.Now().Add(patience)))
		tell("EnableFullDuplex", rc.EnableFullDuplex())
		tell("Flush", rc.Flush())
		conn, _, err := rc.Hijack()
		tell("Hijack", err)
		if err == nil {
			conn.Close()
		}
		return out.String()
	}
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		said := make(chan string, 1)
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { said <- use(w) })
		serve(t, h).get(t, "/")
		want := <-said
		w := newWard(t, core.Config{})
		serve(t, w.guard(h)).get(t, "/")
		if got := <-said; got != want || !strings.Contains(want, "Flush: <nil>") {
			t.Errorf("behind the middleware:\n%s\nwithout it:\n%s", got, want)
		}
		w.want(t, core.Success)
		w.idle(t)
	})
}

// countingConn counts what net/http sends by ReadFrom, which is sendfile here.
type countingConn struct {
	*net.TCPConn

	files *atomic.Int64
}

func (c countingConn) ReadFrom(r io.Reader) (int64, error) {
	src := r
	if limited, ok := r.(*io.LimitedReader); ok {
		src = limited.R
	}
	if _, ok := src.(syscall.Conn); ok { // a file, by whatever type
		c.files.Add(1)
	}
	return c.TCPConn.ReadFrom(r)
}

type countingListener struct {
	net.Listener

	files atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{conn.(*net.TCPConn), &l.files}, nil
}

func TestFilesAreSentByTheKernel(t *testing.T) {
	content := bodyOf(1 << 20)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]http.HandlerFunc{
		"ServeFile": func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) },
		"io.Copy": func(w http.ResponseWriter, _ *http.Request) {
			f, err := os.Open(path)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			if n, err := io.Copy(w, f); n != int64(len(content)) || err != nil {
				t.Errorf("io.Copy says %d, %v; want %d", n, err, len(content))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, core.Config{})
			s := httptest.NewUnstartedServer(w.guard(h))
			l := &countingListener{Listener: s.Listener}
			s.Listener = l
			s.Start()
			defer s.Close()
			a := do(s.Client(), request(t, http.MethodGet, s.URL, nil))
			if a.body != content || a.err != nil {
				t.Errorf("got %d bytes, %v; want the file of %d", len(a.body), a.err, len(content))
			}
			if got := l.files.Load(); got != 1 {
				t.Errorf("the connection was given a file %d times, want once", got)
			}
			w.want(t, core.Success)
		})
	}
}

// Without a body it is the very same.
func TestARequestWithoutABodyIsTheSame(t *testing.T) {
	for name, body := range map[string]io.ReadCloser{"nil": nil, "NoBody": http.NoBody} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Body = body
		httpmw.New(nil, &httpmw.Options{Key: one})(http.HandlerFunc(func(_ http.ResponseWriter, got *http.Request) {
			if got != r || got.Body != body {
				t.Errorf("%s: the handler gets another request, or another body", name)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}

func TestTheRequestIsTheSame(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		type key struct{}
		var before, after *http.Request
		var file []string
		guarded := httpmw.New(nil, &httpmw.Options{Key: one})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			after = r
			if err := r.ParseMultipartForm(1); err != nil { // 1 byte: the file goes to the disk
				t.Errorf("ParseMultipartForm: %v", err)
			}
			f, _, err := r.FormFile("f")
			if err != nil {
				t.Errorf("FormFile: %v", err)
				return
			}
			defer f.Close()
			b, _ := io.ReadAll(f)
			_, _ = io.Copy(io.Discard, r.Body) // trailers come last
			file = append(file, string(b), r.Trailer.Get("Sum"))
		}))
		mux := http.NewServeMux()
		mux.HandleFunc("POST /users/{id}", func(w http.ResponseWriter, r *http.Request) {
			r = r.WithContext(context.WithValue(r.Context(), key{}, "here"))
			before = r
			guarded.ServeHTTP(w, r)
		})
		s := serve(t, mux)
		const form = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\ncontent\r\n--b--\r\n"
		req := request(t, http.MethodPost, s.URL+"/users/7", only(strings.NewReader(form)))
		req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		req.Trailer = http.Header{"Sum": {"42"}}
		wantCode(t, s.do(req), http.StatusOK)
		if after == before || before.MultipartForm != after.MultipartForm || before.MultipartForm == nil || before.FormValue("f") != after.FormValue("f") {
			t.Error("what a handler has noted in its copy of the request is not seen outside")
		}
		if got := fmt.Sprint(after.Pattern, after.PathValue("id"), after.Context().Value(key{}), file); got != fmt.Sprint("POST /users/{id}", "7", "here", []string{"content", "42"}) {
			t.Errorf("pattern, path value, context, file, trailer: %s", got)
		}
	})
}

func TestTrailersSurvive(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		w := newWard(t, core.Config{})
		a := serve(t, w.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Declared")
			_, _ = io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			w.Header().Set("Declared", "1")
			w.Header().Set(http.TrailerPrefix+"Late", "2")
		}))).get(t, "/")
		if a.body != "body" || a.trailer.Get("Declared") != "1" || a.trailer.Get("Late") != "2" {
			t.Errorf("body %q with trailers %v, want body with Declared: 1 and Late: 2", a.body, a.trailer)
		}
		w.want(t, core.Success)
		w.idle(t)
	})
}

func TestInformationalResponsesPass(t *testing.T) {
	overEach(t, func(t *testing.T, serve func(*testing.T, http.Handler) *server) {
		w := newWard(t, core.Config{})
		s := serve(t, w.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusProcessing)
			w.WriteHeader(http.StatusTeapot)
		})))
		var got []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			got = append(got, fmt.Sprint(code, h.Get("Link")))
			return nil
		}}
		req := request(t, http.MethodGet, s.URL, nil)
		wantCode(t, s.do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace))), http.StatusTeapot)
		if want := "[103</style.css>; rel=preload 102</style.css>; rel=preload]"; fmt.Sprint(got) != want {
			t.Errorf("informational responses: %v, want %s", got, want)
		}
		w.want(t, core.Success)
	})
}

// The client of net/http takes no push, so this one speaks HTTP/2 by hand.
func TestPush(t *testing.T) {
	w := newWard(t, core.Config{})
	pushed := make(chan error, 1)
	s := httptest.NewUnstartedServer(w.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			pushed <- w.(http.Pusher).Push("/style.css", nil)
		}
	})))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	conn := (&server{Server: s}).dial(t)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "x"}, {":path", "/"}} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("no promise of /style.css: %v", err)
		}
		if promise, ok := frame.(*http2.PushPromiseFrame); ok {
			fields, err := hpack.NewDecoder(4096, nil).DecodeFull(promise.HeaderBlockFragment())
			if err != nil || !strings.Contains(fmt.Sprint(fields), "/style.css") {
				t.Errorf("promised %v, %v; want /style.css", fields, err)
			}
			break
		}
	}
	if err := <-pushed; err != nil {
		t.Errorf("Push = %v, want none", err)
	}
	w.want(t, core.Success) // the request
	w.want(t, core.Success) // and what was pushed, a request of its own
	w.idle(t)
}

// A write after a hijack is an error, and the breaker takes no notice.
func TestWriteAfterHijack(t *testing.T) {
	w := newWard(t, core.Config{})
	done := make(chan struct{})
	s := serve1(t, w.guard(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		defer close(done)
		conn, _, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			t.Errorf("Hijack: %v", err)
			return
		}
		defer conn.Close()
		rw.WriteHeader(http.StatusInternalServerError)
		_, writeErr := rw.Write([]byte("x"))
		_, stringErr := io.WriteString(rw, "x")
		_, readErr := rw.(io.ReaderFrom).ReadFrom(strings.NewReader("x"))
		_, _, again := rw.(http.Hijacker).Hijack()
		for name, err := range map[string]error{"Write": writeErr, "WriteString": stringErr, "ReadFrom": readErr, "Hijack": again} {
			if !errors.Is(err, http.ErrHijacked) {
				t.Errorf("%s after a hijack = %v, want %v", name, err, http.ErrHijacked)
			}
		}
		rw.(http.Flusher).Flush()
	})))
	s.get(t, "/")
	<-done
	w.want(t, core.Success)
	s.Close()
	w.idle(t)
}

// A hijack that fails changes nothing.
func TestHijackThatFails(t *testing.T) {
	w := newWard(t, core.Config{})
	rw := refusing{httptest.NewRecorder()}
	w.guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _, err := w.(http.Hijacker).Hijack()
		http.Error(w, err.Error(), http.StatusInternalServerError)
	})).ServeHTTP(rw, httptest.NewRequest(http.MethodGet, "/", nil))
	w.want(t, core.Failure)
	w.idle(t)
}

// refusing is a writer that cannot be hijacked after all.
type refusing struct{ *httptest.ResponseRecorder }

func (refusing) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }
