package ralph

import (
	"context"

	"github.com/blackbox4/switchgear/core"
)

// Execute runs fn as one iteration of an agent: it asks for admission, calls fn and
// settles with what became of it. It returns what fn returned, or the zero T and the
// refusal; see [PausedError] for how to tell refusals apart. A panic and a
// [runtime.Goexit] of fn are failures and pass through. fn's context ends with
// CallTimeout of Config.Breaker.
//
// Unlike core.Do with the agent, it also tells the rules the error: its text, the exit
// status of a process, and what sort of error it is, which decides what becomes of the
// agent. Wrong credentials, a refused permission and a used-up quota are not the agent's
// failing, and no repetition helps: a person is called at once, or after a second one, and
// the agent's circuit breaker ignores them. What passes by itself, such as 429 and 503, is
// waited for. The sort is what [WithKind] has said; or else that of the HTTP status, if an
// error in the chain has one: a method StatusCode or HTTPStatusCode, or a field
// StatusCode, as those of the SDKs of model providers. The text of an error decides
// nothing.
func Execute[T any](ctx context.Context, a *Agent, fn func(context.Context) (T, error)) (T, error) {
	var zero T
	if !a.made() {
		return zero, errNoAgent
	}
	if fn == nil {
		return zero, errNilFunc
	}
	it := &iteration{agent: a}
	return core.Do(ctx, it, func(ctx context.Context) (T, error) {
		v, err := fn(ctx)
		it.err = err
		return v, err
	})
}
