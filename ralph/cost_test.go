package ralph_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// heap is how much is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemory: 100,000 agents, each with everything it has in its life, breaker and
// detectors included, take no more than 260 MB, of which the window of the last calls that their breakers keep is 9.
func TestMemory(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	before := heap()
	s, err := ralph.New(ralph.Config{MaxAgents: n})
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("conversation-%012d", i)
	}
	per := func(what string) int64 {
		bytes := (heap() - before) / int64(n)
		t.Logf("%s: %d B an agent", what, bytes)
		return bytes
	}
	agents := make([]*ralph.Agent, n)
	for i, id := range ids {
		if agents[i], err = s.Monitor(id, ralph.Options{Name: fmt.Sprint("role", i%50)}); err != nil {
			t.Fatal(err)
		}
	}
	if idle := per("monitored"); idle > 1000 {
		t.Errorf("an agent that has done nothing takes %d B", idle)
	}
	ctx := context.Background()
	sure := 0.9
	for i, a := range agents {
		p, err := a.AllowIteration(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for k := range 4 {
			step := fresh(i + k)
			step.Confidence, step.Tokens = &sure, 10
			if _, err := a.Observe(step); err != nil {
				t.Fatal(err)
			}
		}
		a.Progress(ids[i])
		p.Done(ctx, nil)
		_, _ = a.AllowIteration(ctx) // and one that is out
	}
	if used := per("at work"); used > 3072 {
		t.Errorf("an agent takes %d B, and 100,000 may take 310 MB", used)
	}
	for i := range agents {
		if i%2 == 1 {
			if _, err := s.Handoff(ids[i-1], ids[i], "here is what I have found, please go on with it"); err != nil {
				t.Fatal(err)
			}
		}
	}
	per("each with a hand-off")
	for _, a := range agents {
		for range 3 {
			if _, err := a.Observe(doing("search", "{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	per("and a nudge")
	runtime.KeepAlive(ids)
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(s)
}

// TestAllocs: what goes on all the time allocates nothing.
func TestAllocs(t *testing.T) {
	vitals, err := failsafe.New(failsafe.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := supervise(t, ralph.Config{Rules: steady(), Vitals: vitals, Budget: detect.Budgets{Tokens: 1 << 60}})
	a := monitor(t, s, "a", ralph.Options{})
	ctx := t.Context()
	paused := monitor(t, s, "paused", ralph.Options{})
	stall(t, paused)
	sure := 0.9
	steps := make([]detect.Step, 64)
	for i := range steps {
		steps[i] = fresh(i)
		steps[i].Tokens, steps[i].Confidence = 10, &sure
	}
	i := 0
	for name, f := range map[string]func(){
		"Observe": func() {
			if _, err := a.Observe(steps[i%64]); err != nil {
				t.Fatal(err)
			}
			i++
		},
		"AllowModelCall": func() {
			if err := a.AllowModelCall(ctx); err != nil {
				t.Fatal(err)
			}
		},
		"AllowTool": func() {
			if err := a.AllowTool(ctx, "search", "{}"); err != nil {
				t.Fatal(err)
			}
		},
		"a refusal": func() {
			if err := paused.AllowModelCall(ctx); err == nil {
				t.Fatal("admitted")
			}
		},
		"Progress": func() { paused.Progress("same") },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if st := a.Status(); st.State != ralph.Running {
		t.Errorf("%+v", st)
	}
}

func BenchmarkAllowModelCall(b *testing.B) {
	vitals, err := failsafe.New(failsafe.Config{})
	if err != nil {
		b.Fatal(err)
	}
	for name, cfg := range map[string]ralph.Config{
		"plain":             {},
		"vitals and budget": {Vitals: vitals, Budget: detect.Budgets{Tokens: 1 << 60}},
	} {
		s, _ := supervise(b, cfg)
		a := monitor(b, s, "a", ralph.Options{})
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := a.AllowModelCall(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkObserve(b *testing.B) {
	for name, set := range map[string]func(*ralph.Config){
		"memory": func(*ralph.Config) {},
		"stored": func(cfg *ralph.Config) { cfg.Path = b.TempDir() + "/ralph.db" },
		"tree":   func(cfg *ralph.Config) { cfg.Budget.Tokens = 1 << 60 },
	} {
		b.Run(name, func(b *testing.B) {
			cfg := ralph.Config{Rules: steady()}
			set(&cfg)
			s, _ := supervise(b, cfg)
			a := monitor(b, s, "a", ralph.Options{})
			steps := make([]detect.Step, 64)
			for i := range steps {
				steps[i] = fresh(i)
				steps[i].Tokens = 10
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := a.Observe(steps[i%64]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func BenchmarkIteration(b *testing.B) {
	s, _ := supervise(b, ralph.Config{Rules: steady()})
	a := monitor(b, s, "a", ralph.Options{})
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		p, err := a.AllowIteration(ctx)
		if err != nil {
			b.Fatal(err)
		}
		p.Done(ctx, nil)
	}
}

func BenchmarkHandoff(b *testing.B) {
	cfg := ralph.Config{Rules: only(func(*detect.Rules) {})}
	s, _ := supervise(b, cfg)
	monitor(b, s, "a", ralph.Options{})
	monitor(b, s, "c", ralph.Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Handoff("a", "c", "please look into the payment of the order that was placed this morning"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTimer pauses agents and has them resumed.
func BenchmarkTimer(b *testing.B) {
	s, _ := supervise(b, ralph.Config{Rules: steady(), AutoResumeAfter: time.Hour, EscalationTimeout: -1, MaxAgents: 1_000_000})
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		id := fmt.Sprint(n)
		n++
		monitor(b, s, id, ralph.Options{})
		if err := s.Pause(id, detect.ReasonStuck, "", ""); err != nil {
			b.Fatal(err)
		}
		if n >= 900_000 {
			b.Fatal("too many")
		}
	}
}
