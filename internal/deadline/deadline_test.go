package deadline

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestPassed(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		elapsed, limit time.Duration
		want           bool
	}{
		{time.Hour, 0, false},
		{2000 * ms, 2000 * ms, true},
		{1750 * ms, 2000 * ms, true},
		{1749 * ms, 2000 * ms, false},
		{10 * ms, 20 * ms, true},
		{9 * ms, 20 * ms, false}, // which was cancelled
		{0, 1, true},
	} {
		if got := Passed(c.elapsed, c.limit); got != c.want {
			t.Errorf("gone after %v of %v: %t, want %t", c.elapsed, c.limit, got, c.want)
		}
	}
}

func TestExceededKeepsTheErrorAndMatchesTheDeadline(t *testing.T) {
	cause := errors.New("no answer")
	err := Exceeded(cause)
	if !errors.Is(err, cause) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || err.Error() != cause.Error() {
		t.Errorf("Exceeded(%v) = %v, want the same text that matches both, and not Canceled", cause, err)
	}
}
