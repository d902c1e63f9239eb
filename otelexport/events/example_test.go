package events_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport/events"
)

// The events go to the global provider of loggers. Hooks compose: those that are
// there already are called as well.
func ExampleHooks() {
	hooks := core.Hooks{Transition: func(_ context.Context, t core.Transition) { fmt.Println(t.To, "because of", t.Reason()) }}
	b := core.MustNew("orders", core.Config{Hooks: events.Hooks(nil, hooks)})
	for range 8 {
		_ = b.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	}
	// Output:
	// open because of consecutive failures (5)
}
