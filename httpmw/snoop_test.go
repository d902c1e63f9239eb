package httpmw_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// uncommon is a writer with a set of abilities that none of net/http's has.
type uncommon struct {
	bare

	flushed, copied *int
}

func (u uncommon) FlushError() error { *u.flushed++; return io.ErrClosedPipe }
func (u uncommon) ReadFrom(src io.Reader) (int64, error) {
	*u.copied++
	return io.Copy(u.bare, src)
}

// A writer of another middleware can do what it could, and is watched as others are.
func TestUncommonWriters(t *testing.T) {
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    core.Outcome
	}{
		"a copy that fails, and a handler that hangs": {func(w http.ResponseWriter, _ *http.Request) {
			if _, err := w.(io.ReaderFrom).ReadFrom(iotest.ErrReader(io.ErrNoProgress)); !errors.Is(err, io.ErrNoProgress) {
				t.Errorf("ReadFrom = %v, want %v", err, io.ErrNoProgress)
			}
			time.Sleep(3 * time.Second)
		}, core.Failure},
		"a copy of nothing, and a handler that hangs": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader(""))
			time.Sleep(3 * time.Second)
		}, core.Failure},
		"a copy of what comes slowly": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.(io.ReaderFrom).ReadFrom(&dripping{3, time.Second})
		}, core.Failure},
		"a copy of nothing, and an error of the handler": {func(w http.ResponseWriter, r *http.Request) {
			upload(w, r)
			_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader(""))
			w.WriteHeader(http.StatusInternalServerError)
		}, core.Failure},
		"a copy that succeeds": {func(w http.ResponseWriter, _ *http.Request) {
			if n, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(bodyOf(5000))); n != 5000 || err != nil {
				t.Errorf("ReadFrom = %d, %v; want 5000", n, err)
			}
		}, core.Success},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWard(t, core.Config{})
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				r := httptest.NewRequest(http.MethodPost, "/", &dripping{1, time.Second}).WithContext(ctx)
				copied := 0
				w.guard(c.handler).ServeHTTP(uncommon{bare{httptest.NewRecorder()}, new(int), &copied}, r)
				if copied != 1 {
					t.Errorf("the writer is given what to copy %d times, want once", copied)
				}
				w.want(t, c.want)
				w.idle(t)
			})
		})
	}
	t.Run("a stream", func(t *testing.T) {
		w, flushed := newWard(t, core.Config{}), 0
		w.guard(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "text/event-stream")
			if err := http.NewResponseController(rw).Flush(); err != io.ErrClosedPipe {
				t.Errorf("Flush = %v, want that of the writer", err)
			}
			w.want(t, core.Success) // while the handler runs
		})).ServeHTTP(uncommon{bare{httptest.NewRecorder()}, &flushed, new(int)}, httptest.NewRequest(http.MethodGet, "/", nil))
		if flushed != 1 {
			t.Errorf("flushed %d times, want once", flushed)
		}
	})
}
