package setup

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFault has the errors of an endpoint that is down, up, and down again.
func TestFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection refused")
		f := &fault{what: "metrics to otlp"}
		told := func(err error, exports int) (n int) {
			t.Helper()
			for range exports {
				if got := f.pass(t.Context(), err); got != nil {
					n++
					if !errors.Is(got, down) || !strings.Contains(got.Error(), "metrics to otlp") {
						t.Errorf("told %v", got)
					}
				}
				time.Sleep(time.Minute)
			}
			return n
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.pass(canceled, down); err != nil {
			t.Errorf("an export that was given up: %v", err)
		}
		for _, c := range []struct {
			err           error
			exports, told int
		}{{down, 1, 1}, {down, 59, 0}, {down, 1, 1}, {down, 30, 0}, {nil, 1, 0}, {down, 1, 1}, {down, 10, 0}, {down, 120, 2}} {
			if n := told(c.err, c.exports); n != c.told {
				t.Errorf("%d exports with %v: told %d times, want %d", c.exports, c.err, n, c.told)
			}
		}
	})
}
