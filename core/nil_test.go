package core_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
)

// A nil, typed-nil or zero Breaker panics nowhere: what returns an error says
// what is wrong, and the rest says nothing false.
func TestABreakerThatNewDidNotMake(t *testing.T) {
	for name, b := range map[string]*core.Breaker{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			wants := func(what string, err error) {
				t.Helper()
				if err == nil || !strings.Contains(err.Error(), "New") || errors.Is(err, core.ErrOpen) {
					t.Errorf("%s = %v, want an error that tells to use New, and no refusal", what, err)
				}
			}
			never := func(context.Context) error { t.Error("called"); return nil }
			_, err := b.Allow(bg)
			wants("Allow", err)
			_, err = b.Allow(nil) //nolint:staticcheck // a nil context is allowed
			wants("Allow without a context", err)
			wants("Do", b.Do(bg, never))
			_, err = core.Do(bg, b, func(context.Context) (int, error) { return 1, never(bg) })
			wants("core.Do", err)
			_, err = core.Wrap(b, func(context.Context, int) (int, error) { return 1, never(bg) })(bg, 1)
			wants("Wrap", err)
			_, err = core.All(b, newBreaker(t, core.Config{})).Allow(bg)
			wants("All", err)
			wants("CheckHealth", b.CheckHealth(bg, never))
			wants("Force", b.Force(core.ForcedOpen))
			wants("Update", b.Update(core.Config{}))
			wants("Explain", errors.New(b.Explain()))
			if h := b.Health(); h.Healthy || len(h.Reasons) != 1 {
				t.Errorf("Health = %+v", h)
			}
			b.Release()
			b.Reset()
			if b.Name() != "" || b.State() != core.Closed || fmt.Sprint(b.Snapshot()) != fmt.Sprint(core.Snapshot{}) || b.Config().Timeout != 0 {
				t.Errorf("name %q, %+v, %+v", b.Name(), b.Snapshot(), b.Config())
			}
			for range b.Buckets(core.Success) {
				t.Error("a bucket")
			}
			calledAll(t, b)
		})
	}
}

// calledAll calls every method with zero arguments, so that a new one is looked
// at too: none may panic.
func calledAll(t *testing.T, b *core.Breaker) {
	t.Helper()
	v := reflect.ValueOf(b)
	for i := range v.NumMethod() {
		method := v.Type().Method(i).Name
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s panics: %v", method, p)
				}
			}()
			var in []reflect.Value
			for in0 := range v.Method(i).Type().Ins() {
				in = append(in, reflect.Zero(in0))
			}
			v.Method(i).Call(in)
		}()
	}
}
