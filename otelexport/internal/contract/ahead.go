package contract

import (
	"reflect"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Started returns when a breaker began to count: with what it continues, if its
// registry made it anew under an evicted name.
func Started(s *core.Snapshot) time.Time {
	if f := reflect.ValueOf(s).Elem().FieldByName("Started"); f.IsValid() {
		return f.Interface().(time.Time)
	}
	t := s.TimeIn
	return s.At.Add(-(t.Closed + t.Open + t.HalfOpen + t.ForcedOpen + t.Disabled))
}

// Unguarded is how many calls a registry has admitted without a breaker.
func Unguarded(s *core.RegistryStats) int64 {
	if f := reflect.ValueOf(s).Elem().FieldByName("Unguarded"); f.IsValid() {
		return int64(f.Uint())
	}
	return 0
}
