package gatefault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/internal/gatefault"
)

func TestWhatIsAFault(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	none := errors.New("the gate is broken")
	for _, row := range []struct {
		ctx  context.Context
		err  error
		want bool
	}{
		{t.Context(), nil, false},
		{t.Context(), none, true},
		{t.Context(), fmt.Errorf("wrapped: %w", core.ErrOpen), false},
		{t.Context(), context.Canceled, true}, // not this context's
		{done, context.Canceled, false},
		{done, none, true},
	} {
		if got := gatefault.Is(row.ctx, row.err); got != row.want {
			t.Errorf("%v, context %v: %t", row.err, row.ctx.Err(), got)
		}
	}
}

func TestOneLineIsLogged(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, nil))
	var l gatefault.Log
	for range 3 {
		l.Tell(logger, "the call is answered by 500", "/orders", errors.New("the gate is broken"))
	}
	text := out.String()
	if strings.Count(text, "\n") != 1 {
		t.Errorf("logged %q", text)
	}
	for _, part := range []string{"level=ERROR", "/orders", "the gate is broken", "remedy="} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %q", part, text)
		}
	}
	var panics gatefault.Log
	panics.Tell(slog.New(panicking{}), "", "", errors.New("x")) // is left alone
}

type panicking struct{ slog.Handler }

func (panicking) Enabled(context.Context, slog.Level) bool { panic("a logger that panics") }
