package presets

import (
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/blackbox4/switchgear/core"
)

// original reads the fields of the original system that have no name of ours. It
// reports whether key is one of them, and what is to be done once all fields are
// read.
func (d *decoder) original(v reflect.Value, key string, k, n *yaml.Node, s scope) (last func(), ok bool) {
	yes := func() bool {
		var b bool
		d.value(reflect.ValueOf(&b).Elem(), n, scope{path: join(s.path, s.prefix+key)})
		return b
	}
	switch target := v.Addr().Interface().(type) {
	case *Policy:
		switch {
		case key == windowSize:
			d.windowSize(&target.Config, key, k, n, s)
			return nil, true
		case key == "enable_health_checks":
			enabled := yes()
			return func() {
				switch {
				case !enabled:
					target.HealthCheckInterval = -time.Second
				case target.HealthCheckInterval < 0: // of what it starts from
					target.HealthCheckInterval = 0
				}
			}, true
		case strings.HasPrefix(key, retryStart):
			return d.flatRetry(target, strings.TrimPrefix(key, retryStart), k, n, s)
		}
	case *core.Config: // of a breaker alone, in a section
		if key == windowSize {
			d.windowSize(target, key, k, n, s)
			return nil, true
		}
	case *Retry:
		if key != "jitter" {
			break
		}
		// Not among the fields of Retry: nothing is set by it.
		if !d.claimField(k, n, scope{path: join(s.path, s.prefix+key), name: "Retry/" + key, places: s.places}) {
			return nil, true
		}
		jitter := yes()
		return func() {
			switch {
			case !jitter:
				target.JitterFactor = -1
			case target.JitterFactor < 0: // of what it starts from
				target.JitterFactor = 0
			}
		}, true
	}
	return nil, false
}

// flatRetry reads retry_attempts as attempts of the policy's retry.
func (d *decoder) flatRetry(p *Policy, key string, k, n *yaml.Node, s scope) (last func(), ok bool) {
	v := reflect.ValueOf(&p.Retry).Elem()
	inner := scope{path: s.path, name: join(s.name, "Retry"), places: s.places}
	bare := strings.TrimSuffix(key, msSuffix)
	for _, f := range fieldsOf(reflect.TypeFor[Retry]()) {
		at := inner.to(retryStart+key, f.name)
		switch {
		case f.key == key:
			d.calls(n, retryStart+key, 2)
			if d.claimField(k, n, at) {
				d.value(v.FieldByIndex(f.at), n, at)
			}
			return nil, true
		case f.key == bare && f.typ == reflect.TypeFor[time.Duration]():
			if d.claimField(k, n, at) {
				d.milliseconds(v.FieldByIndex(f.at), n, at.path)
			}
			return nil, true
		}
	}
	return d.original(v, key, k, n, scope{path: s.path, prefix: retryStart, places: s.places})
}

const windowSize = "sliding_window_size"

// windowSize reads the size of a window of calls.
func (d *decoder) windowSize(c *core.Config, key string, k, n *yaml.Node, s scope) {
	if d.claimField(k, n, s.to(key, "Window")) {
		c.Window.For = 0
		d.calls(n, key, 2)
		if s.places != nil {
			s.places[join(s.name, "Window.Calls")] = n
		}
		d.value(reflect.ValueOf(&c.Window.Calls).Elem(), n, s.to(key, "Window.Calls"))
	}
}

// originalNames lists the fields that original reads.
func originalNames(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[Policy]():
		names := []string{windowSize, "enable_health_checks"}
		for _, f := range fieldsOf(reflect.TypeFor[Retry]()) {
			names = append(names, retryStart+f.key)
		}
		for _, name := range originalNames(reflect.TypeFor[Retry]()) {
			names = append(names, retryStart+name)
		}
		return names
	case reflect.TypeFor[core.Config]():
		return []string{windowSize}
	case reflect.TypeFor[Retry]():
		return []string{"jitter"}
	}
	return nil
}
