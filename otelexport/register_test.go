package otelexport_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/otelexport"
)

func TestNoSource(t *testing.T) {
	_, err := otelexport.Register(nil, nil, nil)
	fault, ok := errors.AsType[*core.ConfigError](err)
	if !ok || fault.Field != "source" || fault.Allowed == "" {
		t.Errorf("%v, want a *core.ConfigError about the source", err)
	}
}

// broken is a meter that has one kind of instrument not.
type broken struct{ noop.Meter }

func (broken) Int64ObservableUpDownCounter(string, ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	return nil, errDown
}

func TestAMeterThatFails(t *testing.T) {
	unregister, err := otelexport.Register(broken{}, otelexport.Breakers(), nil)
	if !errors.Is(err, errDown) || unregister != nil {
		t.Errorf("%v, want %v", err, errDown)
	}
}

// strange is a meter that cannot be told from another.
type strange struct {
	noop.Meter

	_ []int
}

func TestAMeterThatCannotBeCompared(t *testing.T) {
	for range 2 {
		unregister, err := otelexport.Register(strange{}, otelexport.Breakers(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := unregister(); err != nil {
			t.Error(err)
		}
	}
}

// TestBeforeAndAfterTheProvider registers with the global provider before there
// is one and after, with a name in common. It is the only test that sets it.
func TestBeforeAndAfterTheProvider(t *testing.T) {
	if set := fmt.Sprintf("%T", otel.GetMeterProvider()); set != "*global.meterProvider" {
		t.Skip("it has run before: there is a global provider, ", set)
	}
	h := handle(t)
	first, second := core.MustNew("orders", core.Config{}), core.MustNew("orders", core.Config{})
	call(first, succeed, 1)
	call(second, succeed, 10)
	before, err := otelexport.Register(nil, otelexport.Breakers(first), nil)
	if err != nil {
		t.Fatal(err)
	}
	old, young := &staff{steps: steps{{"writer", "progress"}: 1}}, &staff{steps: steps{{"writer", "progress"}: 10}}
	agentsBefore, err := otelexport.RegisterAgents(nil, old)
	if err != nil {
		t.Fatal(err)
	}
	provider, reader := newProvider(t)
	otel.SetMeterProvider(provider)
	after, err := otelexport.Register(nil, otelexport.Breakers(second, core.MustNew("users", core.Config{})), nil)
	if err != nil {
		t.Fatal(err)
	}
	agentsAfter, err := otelexport.RegisterAgents(nil, young)
	if err != nil {
		t.Fatal(err)
	}
	v := collect(t, reader)
	v.want(t, values{writerProgress: 11})
	v.of("orders").want(t, values{"calls{result=success}": 1})
	v.of("users").want(t, values{"calls{result=success}": 0})
	v.want(t, values{"export.skipped{skip.reason=duplicate}": 1})
	h.want(t, `"orders"`)

	if err := errors.Join(before(), agentsBefore()); err != nil {
		t.Error(err)
	}
	collect(t, reader).want(t, values{writerProgress: 11})
	collect(t, reader).of("orders").want(t, values{"calls{result=success}": 10})
	if err := errors.Join(after(), agentsAfter()); err != nil {
		t.Error(err)
	}
	if v := collect(t, reader); len(v) > 0 {
		t.Errorf("nothing is registered, and there is %v", v)
	}
}

// TestTwoRegistriesWithOneName registers them with one meter, apart.
func TestTwoRegistriesWithOneName(t *testing.T) {
	h := handle(t)
	provider, reader := newProvider(t)
	var in, out core.Registry
	register(t, provider, &in, nil)
	register(t, provider, &out, nil)
	call(get(t, &in, "api"), succeed, 1)
	call(get(t, &out, "api"), succeed, 10)
	for range 5 {
		v := collect(t, reader)
		v.of("api").want(t, values{"calls{result=success}": 1})
		v.want(t, values{"export.skipped{skip.reason=duplicate}": 1, "export.skipped{skip.reason=limit}": 0})
	}
	h.want(t, `as "api"`)

	// One registry twice is no clash: it is exported once.
	register(t, provider, &in, nil)
	collect(t, reader).want(t, values{"export.skipped{skip.reason=duplicate}": 1})
}

// prefixed shows how two registries with names in common are exported.
type prefixed struct {
	prefix string
	otelexport.Source
}

func (p prefixed) All() iter.Seq2[string, *core.Breaker] {
	return func(yield func(string, *core.Breaker) bool) {
		for name, b := range p.Source.All() {
			if !yield(p.prefix+name, b) {
				return
			}
		}
	}
}

func TestNamesOfTheSource(t *testing.T) {
	provider, reader := newProvider(t)
	var in, out core.Registry
	register(t, provider, otelexport.Join(prefixed{"in/", &in}, nil, prefixed{"out/", &out}), nil)
	call(get(t, &in, "api"), succeed, 1)
	call(get(t, &out, "api"), succeed, 10)
	v := collect(t, reader)
	v.of("in/api").want(t, values{"calls{result=success}": 1})
	v.of("out/api").want(t, values{"calls{result=success}": 10})
	v.want(t, values{"export.skipped{skip.reason=duplicate}": 0})
}

func TestNames(t *testing.T) {
	provider, reader := newProvider(t)
	var breakers []*core.Breaker
	for _, name := range names() {
		breakers = append(breakers, core.MustNew(name, core.Config{}))
	}
	register(t, provider, otelexport.Breakers(breakers...), nil)
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		if data, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, p := range data.DataPoints {
				name, _ := p.Attributes.Value("circuit_breaker.name")
				seen[name.AsString()] = true
			}
		}
	}
	for _, name := range names() {
		if !seen[name] {
			t.Errorf("%q is not exported", name)
		}
	}
}

func names() []string {
	return []string{`"quoted"`, `back\slash`, "{a=b,c=\"d\"}", "привет, 世界 🚦", strings.Repeat("x", 256), strings.Repeat("é", 128), "\u202egnp.exe", " "}
}

func TestANameThatIsNotText(t *testing.T) {
	provider, reader := newProvider(t)
	register(t, provider, prefixed{"\xff\xfe", otelexport.Breakers(core.MustNew("a", core.Config{}))}, nil)
	collect(t, reader).of("\uFFFDa").want(t, values{"calls{result=success}": 0})
}

func TestLimit(t *testing.T) {
	h := handle(t)
	provider, reader := newProvider(t)
	var registry core.Registry
	register(t, provider, &registry, &otelexport.Options{MaxBreakers: 10})
	register(t, provider, otelexport.Breakers(), &otelexport.Options{MaxBreakers: 5}) // the larger one holds
	for i := range 30 {
		get(t, &registry, fmt.Sprintf("%02d", i))
	}
	first := collect(t, reader)
	first.want(t, values{"export.skipped{skip.reason=limit}": 20})
	get(t, &registry, "!") // the first in order, but there is no room any more
	for range 3 {
		again := collect(t, reader)
		for i := range 31 {
			name := "!"
			if i < 30 {
				name = fmt.Sprintf("%02d", i)
			}
			want := 0
			if i < 10 {
				want = len(first.of("00"))
			}
			if n := len(again.of(name)); n != want {
				t.Errorf("%s has %d series, want %d", name, n, want)
			}
		}
		again.want(t, values{"export.skipped{skip.reason=limit}": 21})
	}
	h.want(t, "MaxBreakers is 10")
}

// TestWithinTheSDK has as many breakers as are exported by default; none of their
// series is lumped together with others by the SDK, with its default limit.
func TestWithinTheSDK(t *testing.T) {
	provider, reader := newProvider(t)
	var registry core.Registry
	register(t, provider, &registry, nil)
	for i := range 310 {
		get(t, &registry, fmt.Sprintf("%03d", i))
	}
	v := collect(t, reader)
	v.want(t, values{"export.skipped{skip.reason=limit}": 10})
	for k := range v {
		if strings.Contains(k, "overflow") {
			t.Errorf("the SDK has lumped series together: %s", k)
		}
	}
	if n := len(v.of("299")); n != len(v.of("000")) {
		t.Errorf("the last one has %d series", n)
	}
}

// TestEviction has a registry evict a breaker: its counters stay as they were, and all
// else ends; one of the name that is made later goes on from there. Nothing keeps the
// old one alive.
func TestEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider, reader := newProvider(t)
		registry := &core.Registry{Idle: time.Minute}
		register(t, provider, registry, nil)
		for _, name := range []string{"a", "b", "c"} {
			get(t, registry, name)
		}
		call(get(t, registry, "old"), succeed, 3)
		old := weak.Make(get(t, registry, "old"))
		collect(t, reader).of("old").want(t, values{"calls{result=success}": 3})
		for i := range 3 { // it is when names are new that idle ones are evicted
			time.Sleep(time.Minute)
			get(t, registry, fmt.Sprint("new", i))
		}
		v := collect(t, reader).of("old")
		v.want(t, values{"calls{result=success}": 3})
		for _, k := range []string{"status{state=closed}", "active{}", "window.calls{result=success}", "open.remaining{}"} {
			if n, there := v[k]; there {
				t.Errorf("%s is %v for a breaker that is there no more", k, n)
			}
		}
		collect(t, reader) // the SDK keeps what it was told for one collection
		runtime.GC()
		if old.Value() != nil {
			t.Error("the breaker is kept alive")
		}
		call(get(t, registry, "old"), succeed, 1)
		collect(t, reader).of("old").want(t, values{"calls{result=success}": 4, "status{state=closed}": 1})
	})
}

// ill is a source that panics in the middle.
type ill struct{ breakers []*core.Breaker }

func (s ill) All() iter.Seq2[string, *core.Breaker] {
	return func(yield func(string, *core.Breaker) bool) {
		for _, b := range s.breakers {
			if !yield(b.Name(), b) {
				return
			}
		}
		yield("none", nil)
		panic("the list is gone")
	}
}

func TestPanics(t *testing.T) {
	h := handle(t)
	provider, reader := newProvider(t)
	sick := false
	clock := core.MustNew("clock", core.Config{Now: func() time.Time {
		if sick {
			panic("the clock has stopped")
		}
		return time.Now()
	}})
	call(clock, succeed, 1)
	sick = true
	register(t, provider, ill{[]*core.Breaker{core.MustNew("a", core.Config{})}}, nil)
	register(t, provider, otelexport.Breakers(clock, core.MustNew("b", core.Config{})), nil)
	register(t, provider, (*core.Registry)(nil), nil)
	other, err := provider.Meter("application").Int64Counter("orders")
	if err != nil {
		t.Fatal(err)
	}
	other.Add(t.Context(), 1)
	v := collect(t, reader)
	v.of("a").want(t, values{"calls{result=success}": 0})
	v.of("b").want(t, values{"calls{result=success}": 0})
	v.want(t, values{"orders{}": 1})
	h.want(t, "the list is gone", "the clock has stopped")
}

// TestToldAgain has a trouble that goes on be told again, but not often.
func TestToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handle(t)
		provider, reader := newProvider(t)
		register(t, provider, ill{}, nil)
		for range 150 {
			collect(t, reader)
			time.Sleep(time.Minute)
		}
		h.want(t, "gone", "gone", "gone")
	})
}

func TestUnregister(t *testing.T) {
	provider, reader := newProvider(t)
	meter := provider.Meter(otelexport.ScopeName)
	one, err := otelexport.Register(meter, otelexport.Breakers(core.MustNew("a", core.Config{})), nil)
	if err != nil {
		t.Fatal(err)
	}
	two, err := otelexport.Register(meter, otelexport.Breakers(core.MustNew("b", core.Config{})), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := one(); err != nil {
			t.Error(err)
		}
		v := collect(t, reader)
		v.of("b").want(t, values{"calls{result=success}": 0})
		if len(v.of("a")) > 0 {
			t.Error("a is still exported")
		}
	}
	if err := two(); err != nil {
		t.Error(err)
	}
	if v := collect(t, reader); len(v) > 0 {
		t.Errorf("nothing is registered, and there is %v", v)
	}
	register(t, provider, otelexport.Breakers(core.MustNew("c", core.Config{})), nil)
	collect(t, reader).of("c").want(t, values{"calls{result=success}": 0})
}

// TestSeveralReaders has readers collect while breakers come and go, calls are
// made, sources are registered and unregistered, and the provider is shut down in
// the middle of it.
func TestSeveralReaders(t *testing.T) {
	handle(t) // they clash, and are too many
	readers := []*sdkmetric.ManualReader{sdkmetric.NewManualReader(), sdkmetric.NewManualReader()}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(readers[0]), sdkmetric.WithReader(readers[1]))
	registry := &core.Registry{Max: 50, Idle: time.Millisecond}
	register(t, provider, registry, &otelexport.Options{MaxBreakers: 20})
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	until := func(f func(i int)) {
		busy.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				f(i)
			}
		})
	}
	for _, reader := range readers {
		until(func(int) {
			var rm metricdata.ResourceMetrics
			if err := reader.Collect(context.Background(), &rm); err != nil && !errors.Is(err, sdkmetric.ErrReaderShutdown) {
				t.Error(err)
			}
		})
	}
	until(func(i int) {
		if b, err := registry.Get(fmt.Sprint(i % 100)); err == nil {
			call(b, fail, 1)
		}
	})
	until(func(i int) {
		unregister, err := otelexport.Register(provider.Meter(otelexport.ScopeName), otelexport.Breakers(core.MustNew(fmt.Sprint(i%100), core.Config{})), nil)
		if err != nil {
			t.Error(err)
			return
		}
		if err := unregister(); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(100 * time.Millisecond)
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	time.Sleep(20 * time.Millisecond)
	stop()
	busy.Wait()
}

// TestAgainstSnapshot compares everything to the unit after 100,000 calls by many
// goroutines, collected all the while.
func TestAgainstSnapshot(t *testing.T) {
	provider, reader := newProvider(t)
	registry := &core.Registry{Config: func(string) core.Config {
		return core.Config{FailureThreshold: 3, Timeout: time.Millisecond, SuccessThreshold: 1, SlowAfter: 100 * time.Microsecond}
	}}
	register(t, provider, registry, nil)
	ctx, stop := context.WithCancel(t.Context())
	var collecting, calling sync.WaitGroup
	collecting.Go(func() {
		last := values{}
		for ctx.Err() == nil {
			now := collect(t, reader)
			for k, v := range last {
				if strings.HasPrefix(k, "calls{") && now[k] < v {
					t.Errorf("%s went back from %v to %v", k, v, now[k])
				}
			}
			last = now
		}
	})
	for g := range 10 {
		calling.Go(func() {
			for i := range 10_000 {
				f := succeed
				if (i/100+g)%10 == 0 {
					f = fail
				}
				b, err := registry.Get(fmt.Sprint("breaker ", i%4))
				if err != nil {
					t.Error(err)
					return
				}
				call(b, f, 1)
			}
		})
	}
	calling.Wait()
	stop()
	collecting.Wait()

	v := collect(t, reader)
	total := 0.0
	for name, b := range registry.All() {
		s := b.Snapshot()
		want := values{
			"calls{result=success}": float64(s.Totals.Successes), "calls{result=failure}": float64(s.Totals.Failures),
			"calls{result=ignored}": float64(s.Totals.Ignored), "calls{result=rejected}": float64(s.Totals.Refused),
			"slow_calls{}": float64(s.Totals.Slow), "timeouts{}": float64(s.Totals.Timeouts), "spared_calls{}": float64(s.Totals.ShadowAdmitted),
			"probes{result=success}": float64(s.Probes.Successes), "probes{result=failure}": float64(s.Probes.Failures),
			"probes{result=ignored}": float64(s.Probes.Ignored), "active{}": 0,
		}
		for _, c := range s.Changes {
			want[fmt.Sprintf("state.transitions{state=%s,state.previous=%s}", word(c.To), word(c.From))] += float64(c.Count)
		}
		v.of(name).want(t, want)
		total += want["calls{result=success}"] + want["calls{result=failure}"] + want["calls{result=rejected}"]
	}
	if total != 100_000 {
		t.Errorf("%v calls in all, want 100000", total)
	}
}

func word(s core.State) string { return strings.ReplaceAll(s.String(), "-", "_") }
