package otelexport_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"weak"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

type (
	states     = map[string]int64
	steps      = map[[2]string]uint64
	handoffs   = map[[3]string]uint64
	confidence = map[string]float64
)

// staff are agents that say what they are told to. sick names what panics.
type staff struct {
	states             states
	steps, escalations steps
	handoffs           handoffs
	confidence         confidence
	sick               string
}

func (s *staff) is(part string) {
	if s.sick == part || s.sick == "all" {
		panic(part + " are gone")
	}
}

func (s *staff) AgentStates() states         { s.is("states"); return maps.Clone(s.states) }
func (s *staff) AgentSteps() steps           { s.is("steps"); return maps.Clone(s.steps) }
func (s *staff) AgentEscalations() steps     { s.is("escalations"); return maps.Clone(s.escalations) }
func (s *staff) AgentHandoffs() handoffs     { s.is("handoffs"); return maps.Clone(s.handoffs) }
func (s *staff) AgentConfidence() confidence { s.is("confidence"); return maps.Clone(s.confidence) }
func (s *staff) join(t testing.TB, to *sdkmetric.MeterProvider) (leave func()) {
	t.Helper()
	unregister, err := otelexport.RegisterAgents(to.Meter(otelexport.ScopeName), s)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := unregister(); err != nil {
			t.Error(err)
		}
	}
}

func registerAgents(t testing.TB, provider *sdkmetric.MeterProvider, s *staff) {
	t.Helper()
	t.Cleanup(s.join(t, provider))
}

// only compares all that there is.
func (v values) only(t testing.TB, want values) {
	t.Helper()
	if !maps.Equal(v, want) {
		t.Errorf("there is\n%s\nwant\n%s", strings.Join(v.lines(), "\n"), strings.Join(want.lines(), "\n"))
	}
}

func TestNoAgents(t *testing.T) {
	for _, none := range []otelexport.Agents{nil, (*staff)(nil)} {
		_, err := otelexport.RegisterAgents(nil, none)
		fault, ok := errors.AsType[*core.ConfigError](err)
		if !ok || fault.Field != "agents" || fault.Allowed == "" {
			t.Errorf("%v, want a *core.ConfigError about the agents", err)
		}
	}
}

func TestAMeterThatFailsForAgents(t *testing.T) {
	unregister, err := otelexport.RegisterAgents(broken{}, new(staff))
	if !errors.Is(err, errDown) || unregister != nil {
		t.Errorf("%v, want %v", err, errDown)
	}
}

// TestAgents has agents do one thing after the other.
func TestAgents(t *testing.T) {
	provider, reader := newProvider(t)
	s := new(staff)
	registerAgents(t, provider, s)
	none := values{
		"agent.status{agent.state=running}": 0, "agent.status{agent.state=paused}": 0, "agent.status{agent.state=recovering}": 0,
		"agent.status{agent.state=escalated}": 0, "agent.status{agent.state=stopped}": 0,
	}
	collect(t, reader).only(t, none)

	s.states = states{"running": 3, "escalated": 2}
	s.steps = steps{{"writer", "progress"}: 4, {"writer", "error"}: 1}
	s.escalations = steps{{"writer", "stuck"}: 2}
	s.handoffs = handoffs{{"writer", "critic", "allowed"}: 7}
	s.confidence = confidence{"writer": .25}
	want := maps.Clone(none)
	maps.Copy(want, values{
		"agent.status{agent.state=running}": 3, "agent.status{agent.state=escalated}": 2,
		"agent.steps{result=progress,gen_ai.agent.name=writer}": 4, "agent.steps{result=error,gen_ai.agent.name=writer}": 1,
		"agent.steps{result=no_progress,gen_ai.agent.name=writer}":                0,
		"agent.escalations{transition.reason=stuck,gen_ai.agent.name=writer}":     2,
		"agent.escalations{transition.reason=failing,gen_ai.agent.name=writer}":   0,
		"agent.escalations{transition.reason=exhausted,gen_ai.agent.name=writer}": 0,
		"agent.escalations{transition.reason=blocked,gen_ai.agent.name=writer}":   0,
		"agent.escalations{transition.reason=transient,gen_ai.agent.name=writer}": 0,
		"agent.escalations{transition.reason=none,gen_ai.agent.name=writer}":      0,
		"agent.handoffs{agent.source=writer,agent.target=critic,result=allowed}":  7,
		"agent.handoffs{agent.source=writer,agent.target=critic,result=refused}":  0,
		"agent.confidence{gen_ai.agent.name=writer}":                              .25,
	})
	for range 3 { // looking changes nothing
		collect(t, reader).only(t, want)
	}

	s.states, s.confidence = states{"stopped": 5}, nil // they say nothing any more
	s.handoffs[[3]string{"writer", "critic", "refused"}] = 1
	maps.Copy(want, none)
	delete(want, "agent.confidence{gen_ai.agent.name=writer}")
	maps.Copy(want, values{"agent.status{agent.state=stopped}": 5, "agent.handoffs{agent.source=writer,agent.target=critic,result=refused}": 1})
	collect(t, reader).only(t, want)
}

const (
	writerProgress = "agent.steps{result=progress,gen_ai.agent.name=writer}"
	writerSure     = "agent.confidence{gen_ai.agent.name=writer}"
	noneRuns       = "agent.status{agent.state=running}"
)

// TestTwoSupervisors has them summed, and no sum go back when one leaves.
func TestTwoSupervisors(t *testing.T) {
	provider, reader := newProvider(t)
	one := &staff{states: states{"running": 1}, steps: steps{{"writer", "progress"}: 10}, confidence: confidence{"writer": .75}}
	two := &staff{states: states{"running": 2}, steps: steps{{"writer", "progress"}: 100}, confidence: confidence{"writer": .5}, escalations: steps{{"writer", "stuck"}: 1}}
	leaveOne, leaveTwo := one.join(t, provider), two.join(t, provider)
	collect(t, reader).want(t, values{noneRuns: 3, writerProgress: 110, writerSure: .5})

	again := two.join(t, provider) // and is counted once
	collect(t, reader).want(t, values{noneRuns: 3, writerProgress: 110})
	again()
	collect(t, reader).want(t, values{noneRuns: 3, writerProgress: 110})

	two.steps[[2]string{"writer", "progress"}]++ // which is not collected yet
	for range 2 {                                // the second time changes nothing
		leaveTwo()
		collect(t, reader).want(t, values{
			noneRuns: 1, writerProgress: 111, writerSure: .75, "agent.escalations{transition.reason=stuck,gen_ai.agent.name=writer}": 1,
		})
	}
	one.steps[[2]string{"writer", "progress"}]++
	collect(t, reader).want(t, values{writerProgress: 112})

	leaveOne()
	if v := collect(t, reader); len(v) > 0 {
		t.Errorf("nothing is registered, and there is %v", v)
	}
	one.join(t, provider)
	collect(t, reader).want(t, values{writerProgress: 11})
}

// TestManyNames has more names and pairs than have series of their own: none is
// lost, none is lumped together by the SDK, and no sum goes back.
func TestManyNames(t *testing.T) {
	h := handle(t)
	provider, reader := newProvider(t)
	s := &staff{steps: steps{}, escalations: steps{}, handoffs: handoffs{}, confidence: confidence{}}
	registerAgents(t, provider, s)
	last := values{}
	for _, n := range []int{100, 500, 3000} {
		for i := range n {
			name := fmt.Sprint("agent", i)
			s.steps[[2]string{name, "progress"}]++
			s.escalations[[2]string{name, "stuck"}]++
			s.handoffs[[3]string{name, "boss", "refused"}]++
			s.confidence[name] = 1 / float64(i+1)
		}
		v := collect(t, reader)
		counts := map[string]int{}
		sums := map[string]float64{}
		for k, n := range v {
			metric, _, _ := strings.Cut(k, "{")
			counts[metric]++
			sums[metric] += n
			if strings.Contains(k, "overflow") {
				t.Errorf("the SDK has lumped series together: %s", k)
			}
			if n < last[k] && metric != "agent.confidence" {
				t.Errorf("%s went back from %v to %v", k, last[k], n)
			}
		}
		last = v
		names, pairs, total := min(n, 301), min(n, 901), 0.0
		for _, n := range s.steps {
			total += float64(n)
		}
		want := map[string]int{"agent.status": 5, "agent.steps": 3 * names, "agent.escalations": 6 * names, "agent.handoffs": 2 * pairs, "agent.confidence": names}
		if !maps.Equal(counts, want) {
			t.Errorf("%v series, want %v", counts, want)
		}
		for _, metric := range []string{"agent.steps", "agent.escalations", "agent.handoffs"} {
			if sums[metric] != total {
				t.Errorf("%s are %v in all, want %v", metric, sums[metric], total)
			}
		}
	}
	h.want(t)
}

// TestWhatNobodyShouldSay is about agents that are not a supervisor's.
func TestWhatNobodyShouldSay(t *testing.T) {
	provider, reader := newProvider(t)
	registerAgents(t, provider, &staff{
		states:     states{"running": 1, "asleep": 2, "gone": 3},
		steps:      steps{{"\xff", "progress"}: 1, {"\xfe", "progress"}: 2, {"writer", "maybe"}: 4, {"writer", "perhaps"}: 1, {"big", "error"}: math.MaxUint64},
		handoffs:   handoffs{{"a", "\xff", "lost"}: 1},
		confidence: confidence{"nan": math.NaN(), "inf": math.Inf(-1), "writer": .5},
	})
	v := collect(t, reader)
	v.want(t, values{
		noneRuns: 1, "agent.status{agent.state=(other)}": 5,
		"agent.steps{result=progress,gen_ai.agent.name=\uFFFD}": 3, "agent.steps{result=(other),gen_ai.agent.name=writer}": 5,
		"agent.steps{result=error,gen_ai.agent.name=big}":                   1 << 62,
		"agent.handoffs{agent.source=a,agent.target=\uFFFD,result=(other)}": 1,
		"agent.handoffs{agent.source=a,agent.target=\uFFFD,result=allowed}": 0,
		writerSure: .5,
	})
	for _, name := range []string{"nan", "inf"} {
		if n, there := v["agent.confidence{gen_ai.agent.name="+name+"}"]; there {
			t.Errorf("the confidence %v is exported", n)
		}
	}
}

// TestAgentsPanic has what can be read read, and no sum go back.
func TestAgentsPanic(t *testing.T) {
	h := handle(t)
	provider, reader := newProvider(t)
	ill := &staff{
		states: states{"running": 1}, steps: steps{{"writer", "progress"}: 10}, confidence: confidence{"writer": .25}, handoffs: handoffs{{"a", "b", "allowed"}: 1},
	}
	registerAgents(t, provider, &staff{states: states{"running": 2}, steps: steps{{"writer", "progress"}: 1}, confidence: confidence{"writer": .5}})
	leave := ill.join(t, provider)
	other, err := provider.Meter("application").Int64Counter("orders")
	if err != nil {
		t.Fatal(err)
	}
	other.Add(t.Context(), 1)
	collect(t, reader).want(t, values{noneRuns: 3, writerProgress: 11, writerSure: .25, "orders{}": 1})

	ill.sick = "steps"
	ill.handoffs[[3]string{"a", "b", "allowed"}]++
	collect(t, reader).want(t, values{noneRuns: 3, writerProgress: 11, "agent.handoffs{agent.source=a,agent.target=b,result=allowed}": 2, "orders{}": 1})
	ill.sick = "all"
	collect(t, reader).want(t, values{noneRuns: 2, writerProgress: 11, writerSure: .5, "orders{}": 1})
	leave()
	collect(t, reader).want(t, values{noneRuns: 2, writerProgress: 11, "orders{}": 1})
	h.want(t, "steps are gone") // and no more of that kind for an hour
}

// TestAgentsAreLetGo has nothing keep a supervisor alive that was unregistered.
func TestAgentsAreLetGo(t *testing.T) {
	provider, reader := newProvider(t)
	registerAgents(t, provider, new(staff))
	gone := &staff{states: states{"running": 1}}
	leave, alive := gone.join(t, provider), weak.Make(gone)
	collect(t, reader)
	leave()
	gone = nil
	collect(t, reader)
	runtime.GC()
	if alive.Value() != nil {
		t.Error("it is kept alive")
	}
	runtime.KeepAlive(gone)
	leave()
}

// TestAgentsAtOnce has readers collect while supervisors come and go.
func TestAgentsAtOnce(t *testing.T) {
	readers := []*sdkmetric.ManualReader{sdkmetric.NewManualReader(), sdkmetric.NewManualReader()}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(readers[0]), sdkmetric.WithReader(readers[1]))
	registerAgents(t, provider, &staff{steps: steps{{"writer", "progress"}: 1}})
	var busy sync.WaitGroup
	for _, reader := range readers {
		busy.Go(func() {
			last := 0.0
			for range 200 {
				n := collect(t, reader)[writerProgress]
				if n < last {
					t.Errorf("went back from %v to %v", last, n)
				}
				last = n
			}
		})
	}
	for range 2 {
		busy.Go(func() {
			for range 200 {
				(&staff{steps: steps{{"writer", "progress"}: 2}}).join(t, provider)()
			}
		})
	}
	busy.Wait()
	collect(t, readers[0]).want(t, values{writerProgress: 801})
}

// observer takes what it is told.
type observer struct {
	noop.Observer

	n int
}

func (o *observer) ObserveInt64(metric.Int64Observable, int64, ...metric.ObserveOption) { o.n++ }

func (o *observer) ObserveFloat64(metric.Float64Observable, float64, ...metric.ObserveOption) { o.n++ }

// BenchmarkCollectAgents has all the names and pairs that a supervisor has.
func BenchmarkCollectAgents(b *testing.B) {
	s := &staff{steps: steps{}, escalations: steps{}, handoffs: handoffs{}, confidence: confidence{}}
	for i := range 201 {
		name := fmt.Sprint("agent", i)
		for _, result := range []string{"progress", "no_progress", "error"} {
			s.steps[[2]string{name, result}] = 1
		}
		for _, reason := range []string{"stuck", "failing", "exhausted", "blocked", "transient"} {
			s.escalations[[2]string{name, reason}] = 1
		}
		for j := range 5 {
			s.handoffs[[3]string{name, fmt.Sprint("agent", j), "allowed"}] = 1
		}
		s.confidence[name] = .5
	}
	b.Run("without_sdk", func(b *testing.B) {
		meter, to := new(captured), new(observer)
		unregister, err := otelexport.RegisterAgents(meter, s)
		if err != nil {
			b.Fatal(err)
		}
		defer unregister()
		for b.Loop() {
			to.n = 0
			if err := meter.callback(b.Context(), to); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(to.n), "series")
	})
	b.Run("sdk", func(b *testing.B) {
		provider, reader := newProvider(b)
		registerAgents(b, provider, s)
		for b.Loop() {
			var rm metricdata.ResourceMetrics
			if err := reader.Collect(b.Context(), &rm); err != nil {
				b.Fatal(err)
			}
		}
	})
}
