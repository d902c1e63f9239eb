package ralph_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// apiError is as the errors of the SDKs of model providers are.
type apiError struct {
	StatusCode int
	Request    *http.Request
}

func (e *apiError) Error() string { return fmt.Sprint("the API has said ", e.StatusCode) }

type methodError int

func (e methodError) Error() string   { return "no" }
func (e methodError) StatusCode() int { return int(e) }

type longMethodError struct{ status int }

func (e *longMethodError) Error() string       { return "no" }
func (e *longMethodError) HTTPStatusCode() int { return e.status } // of a nil one it panics

func TestExecuteReturnsTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		v, err := ralph.Execute(t.Context(), a, func(context.Context) (string, error) { return "done", nil })
		if v != "done" || err != nil {
			t.Errorf("%q, %v", v, err)
		}
		v, err = ralph.Execute(t.Context(), a, func(context.Context) (string, error) { return "half", errWork })
		if v != "half" || !errors.Is(err, errWork) {
			t.Errorf("%q, %v", v, err)
		}
		if got := status(t, s, "a").Totals; got.Iterations != 2 || got.Failures != 1 {
			t.Errorf("%+v", got)
		}
		if err := s.Pause("a", 0, "eve", ""); err != nil {
			t.Fatal(err)
		}
		v, err = ralph.Execute(t.Context(), a, func(context.Context) (string, error) { t.Error("called"); return "x", nil })
		if v != "" || !errors.Is(err, ralph.ErrAgentPaused) {
			t.Errorf("%q, %v", v, err)
		}
		if _, err := ralph.Execute[int](t.Context(), a, nil); err == nil {
			t.Error("a nil function was taken")
		}
		for _, none := range []*ralph.Agent{nil, {}} {
			if _, err := ralph.Execute(t.Context(), none, func(context.Context) (int, error) { t.Error("called"); return 1, nil }); err == nil || errors.Is(err, core.ErrOpen) {
				t.Errorf("%v", err)
			}
		}
	})
}

// TestExecuteTellsTheSort: what an error is by its type, or by what was said of it,
// decides whether the agent has failed, waits, or needs a person. Its text does not.
func TestExecuteTellsTheSort(t *testing.T) {
	var typedNil *longMethodError
	for name, c := range map[string]struct {
		err     error
		n       int // until something happens
		state   ralph.State
		rule    string
		breaker core.State
	}{
		"401 in a field":        {&apiError{StatusCode: 401}, 1, ralph.Escalated, "auth", core.Closed},
		"401, wrapped":          {fmt.Errorf("the model: %w", errors.Join(errWork, &apiError{StatusCode: 401})), 1, ralph.Escalated, "auth", core.Closed},
		"401 by a method":       {methodError(401), 1, ralph.Escalated, "auth", core.Closed},
		"401 by a longer one":   {&longMethodError{401}, 1, ralph.Escalated, "auth", core.Closed},
		"402":                   {methodError(402), 1, ralph.Escalated, "quota", core.Closed},
		"403":                   {methodError(403), 2, ralph.Escalated, "permission", core.Closed},
		"400 is its failing":    {methodError(400), 3, ralph.Paused, "failures", core.Open},
		"a text":                {errors.New("401 Unauthorized"), 3, ralph.Paused, "failures", core.Open},
		"said":                  {ralph.WithKind(errWork, detect.ErrorKindAuth), 1, ralph.Escalated, "auth", core.Closed},
		"said otherwise":        {ralph.WithKind(methodError(401), detect.ErrorKindOther), 3, ralph.Paused, "failures", core.Open},
		"said of one inside":    {fmt.Errorf("so: %w", ralph.WithKind(errWork, detect.ErrorKindQuota)), 1, ralph.Escalated, "quota", core.Closed},
		"a nil pointer as such": {typedNil, 3, ralph.Paused, "failures", core.Open},
		"a tool unheard of":     {ralph.WithKind(errWork, detect.ErrorKindUnknownTool), 3, ralph.Paused, "unknown_tool", core.Open},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if name == "a nil pointer as such" {
					c.err = nilError{c.err}
				}
				s, _ := supervise(t, plain())
				defer closeNow(t, s)
				a := monitor(t, s, "a", ralph.Options{})
				for range c.n {
					wantState(t, s, "a", ralph.Running)
					if _, err := ralph.Execute(t.Context(), a, func(context.Context) (int, error) { return 0, c.err }); !errors.Is(err, c.err) {
						t.Fatal(err)
					}
				}
				st := status(t, s, "a")
				if st.State != c.state || st.Cause.Rule != c.rule || a.Breaker().State() != c.breaker {
					t.Errorf("%v for %s, breaker %v", st.State, st.Cause.Rule, a.Breaker().State())
				}
				if c.state == ralph.Escalated && !st.ResumeAt.IsZero() {
					t.Error("it resumes by itself")
				}
			})
		})
	}
	// What passes by itself is waited for: the breaker opens, and the agent is not blamed.
	synctest.Test(t, func(t *testing.T) {
		s, _ := supervise(t, plain())
		defer closeNow(t, s)
		a := monitor(t, s, "a", ralph.Options{})
		for range 3 {
			_, _ = ralph.Execute(t.Context(), a, func(context.Context) (int, error) { return 0, &apiError{StatusCode: 503} })
		}
		wantState(t, s, "a", ralph.Running)
		if a.Breaker().State() != core.Open {
			t.Error(a.Breaker().State())
		}
	})
	if ralph.WithKind(nil, detect.ErrorKindAuth) != nil {
		t.Error("no error has become one")
	}
}

// nilError hides that what it wraps is a nil pointer.
type nilError struct{ inner error }

func (nilError) Error() string   { return "odd" }
func (e nilError) Unwrap() error { return e.inner }
