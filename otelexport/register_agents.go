package otelexport

import (
	"errors"
	"iter"
	"reflect"

	"go.opentelemetry.io/otel/metric"

	"github.com/blackbox4/switchgear/core"
)

// RegisterAgents makes every collection of a meter read what there is to tell of
// agents. It costs the agents nothing: instruments are observed only when a reader
// collects. The package's comment has the metrics.
//
// A nil meter means one of the global provider, also of one that is set later. What
// is registered with one meter is summed by name, and of confidences the lowest is
// taken; what is registered twice counts once. 300 names and 900 pairs of a hand-off
// have series of their own, for as long as anything is registered with the meter;
// more are summed as "(other)", as are states, results and reasons that are not
// among those of [Agents].
//
// If agents have a method AgentBreakers() iter.Seq2[string, *core.Breaker], as a
// *ralph.Supervisor has, their circuit breakers are exported as by [Register] with the
// zero [Options]: at most 300 of them, those that are not closed first. A breaker's name
// is "agent/" and the id of its agent, as that method says. A panic of agents ends neither the collection nor the
// program, and OpenTelemetry's error handler is told.
//
// The agents are exported until unregister is called, which may be more than once.
// What they have counted stays counted as long as others are registered with the
// meter, so that no sum goes back, and would be counted again if they were registered
// again. RegisterAgents fails if agents is nil, or a nil pointer, with a
// [*core.ConfigError], and with whatever the meter reports.
func RegisterAgents(meter metric.Meter, agents Agents) (unregister func() error, err error) {
	if v := reflect.ValueOf(agents); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, &core.ConfigError{Field: "agents", Value: agents, Allowed: "Agents, such as a *ralph.Supervisor"}
	}
	leave, err := supervised.join(meter, func(e *agentsExporter) func() { return e.add(agents) })
	if err != nil {
		return nil, err
	}
	own, ok := agents.(guarded)
	if !ok {
		return leave, nil
	}
	release, err := Register(meter, agentBreakers{own}, nil)
	if err != nil {
		return nil, errors.Join(err, leave())
	}
	return func() error { return errors.Join(leave(), release()) }, nil
}

// guarded are agents that have circuit breakers.
type guarded interface {
	AgentBreakers() iter.Seq2[string, *core.Breaker]
}

// agentBreakers is the [Source] of those.
type agentBreakers struct{ of guarded }

func (a agentBreakers) All() iter.Seq2[string, *core.Breaker] { return a.of.AgentBreakers() }

//nolint:gochecknoglobals // the names in a meter are unique, whichever package registers
var supervised = meters[*agentsExporter]{create: newAgentsExporter, forget: true}
