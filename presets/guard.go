package presets

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/blackbox4/switchgear/core"
)

// guard is what a protected function looks at when it is called.
type guard struct {
	registry *Registry
	name     string
	code     Policy
	resolved atomic.Pointer[resolvedRetry]
}

// resolvedRetry has the retries of a function under a fleet.
type resolvedRetry struct {
	fleet *Fleet
	retry Retry
}

// now returns what holds for a call that begins now.
func (g *guard) now() (core.Gate, *Retry, error) {
	have, f := g.resolved.Load(), g.registry.fleet.Load()
	if have == nil || have.fleet != f {
		p := g.registry.policyOf(f, g.name, &g.code)
		if err := p.Validate(); err != nil { // Attach may have spoilt it
			return nil, nil, fmt.Errorf("presets: the policy of %q: %w", g.name, err)
		}
		if g.code.Retry.Enabled && !p.Retry.Enabled {
			p.warn("retries that the code enables are not made: what the file says of the breaker comes first, and does not enable them", g.name)
		}
		have = &resolvedRetry{f, p.Retry}
		g.resolved.Store(have)
	}
	return g.registry.breakers.Gate(g.name), &have.retry, nil
}

// guardOf returns the guard of a function.
func guardOf(name string, policy Policy) (*guard, error) {
	r := policy.Registry
	if r == nil {
		r = Default()
	}
	g := &guard{registry: r, name: name, code: policy.clone()}
	if err := policy.Validate(); err != nil {
		return nil, fmt.Errorf("presets: the policy of %q: %w", name, err)
	}
	return g, r.define(name, &g.code)
}

// callerOutside returns the file and line of the code that called this package.
func callerOutside() string {
	const ours = "github.com/blackbox4/switchgear/presets."
	callers := make([]uintptr, 16)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		f, more := frames.Next()
		if !more || !strings.HasPrefix(f.Function, ours) {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
	}
}

// warn logs what a policy asks for and does not get.
func (p Policy) warn(text, name string) {
	logger := p.Logger
	if logger == nil {
		logger = slog.Default()
	}
	defer func() { _ = recover() }() // of the Logger
	logger.LogAttrs(context.Background(), slog.LevelWarn, text, slog.String("breaker", name))
}

// differsFrom returns the fields, as in a file, in which p and other describe
// different breakers, but for their funcs.
func (p Policy) differsFrom(other Policy) []string {
	p.Preset, p.Retry = other.Preset, other.Retry
	n := differences(reflect.ValueOf(p), reflect.ValueOf(other))
	if n == nil {
		return nil
	}
	var fields []string
	for i := 0; i < len(n.Content); i += 2 {
		fields = append(fields, n.Content[i].Value)
	}
	return fields
}

// adopt gives p what is not data from other, where it has none of its own: each
// hook, and every other func, the logger and the clock.
func (p Policy) adopt(other Policy) Policy {
	if !p.Retry.Enabled { // and so not valid with an If
		other.Retry.If = nil
	}
	other.RetriesEnabled = p.RetriesEnabled // follows Retry, which is data
	adopt(reflect.ValueOf(&p).Elem(), reflect.ValueOf(other))
	return p
}

// adopt sets the fields of a struct that no file can give and that are nil to what
// they are in other. It goes by the fields there are, so that none is forgotten.
func adopt(v, other reflect.Value) {
	for i := range v.NumField() {
		field, tag := v.Field(i), v.Type().Field(i).Tag.Get("json")
		switch {
		case field.Kind() == reflect.Struct:
			adopt(field, other.Field(i))
		case (field.Kind() == reflect.Func || tag == "-") && field.IsZero():
			field.Set(other.Field(i))
		}
	}
}
