package ralph

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestEveryDefault: of the zero Config, and what is off of one in which all that may be
// negative is.
func TestEveryDefault(t *testing.T) {
	const off = -5
	for name, c := range map[string]struct{ given, want Config }{
		"zero": {Config{}, Config{
			Breaker:         core.Config{FailureThreshold: 3, CallTimeout: 2 * time.Minute},
			AutoResumeAfter: 30 * time.Second, ResumeFactor: 2, MaxResumeAfter: 30 * time.Minute, ResumeJitter: 0.1, MaxRecoveryAttempts: 3,
			Probation: Probation{Iterations: 3, Steps: 50, Tokens: 50_000}, EscalationTimeout: 2 * time.Minute,
			MaxAgents: 100_000, Idle: time.Hour, Events: 16,
		}},
		"negative": {
			Config{
				Breaker: core.Config{FailureThreshold: off, CallTimeout: off}, AutoResumeAfter: off, ResumeJitter: off, MaxRecoveryAttempts: off,
				Probation: Probation{Steps: off, Tokens: off, Cost: off}, EscalationTimeout: off, Idle: off, Events: off,
			},
			Config{
				Breaker:         core.Config{FailureThreshold: off, CallTimeout: off},
				AutoResumeAfter: -1, ResumeFactor: 2, MaxResumeAfter: 30 * time.Minute, MaxRecoveryAttempts: 0,
				Probation: Probation{Iterations: 3, Steps: off, Tokens: off, Cost: off}, EscalationTimeout: math.MaxInt64,
				MaxAgents: 100_000, Idle: math.MaxInt64,
			},
		},
		"no resumes": {Config{AutoResumeAfter: -1, MaxRecoveryAttempts: 7}, Config{
			Breaker:         core.Config{FailureThreshold: 3, CallTimeout: 2 * time.Minute},
			AutoResumeAfter: -1, ResumeFactor: 2, MaxResumeAfter: 30 * time.Minute, ResumeJitter: 0.1, MaxRecoveryAttempts: 0,
			Probation: Probation{Iterations: 3, Steps: 50, Tokens: 50_000}, EscalationTimeout: 2 * time.Minute,
			MaxAgents: 100_000, Idle: time.Hour, Events: 16,
		}},
		"given": {
			Config{
				Breaker: core.Config{FailureThreshold: 9, CallTimeout: 9}, AutoResumeAfter: time.Hour, ResumeFactor: 1, ResumeJitter: 0.5, MaxRecoveryAttempts: 1,
				Probation: Probation{Iterations: 1, Steps: 1, Tokens: 1, Cost: 1}, EscalationTimeout: 2 * time.Hour, MaxAgents: 1, Idle: 1, Events: 1,
			},
			Config{
				Breaker: core.Config{FailureThreshold: 9, CallTimeout: 9}, AutoResumeAfter: time.Hour, ResumeFactor: 1, MaxResumeAfter: time.Hour, ResumeJitter: 0.5, MaxRecoveryAttempts: 1,
				Probation: Probation{Iterations: 1, Steps: 1, Tokens: 1, Cost: 1}, EscalationTimeout: 2 * time.Hour, MaxAgents: 1, Idle: 1, Events: 1,
			},
		},
	} {
		if err := c.given.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := c.given.withDefaults()
		if got.Rules.Confidence != (detect.ConfidenceLimits{Trip: 0.3, Single: true}) {
			t.Errorf("%s: %+v", name, got.Rules.Confidence)
		}
		got.Rules.Confidence = detect.ConfidenceLimits{}
		if got.Breaker.Classify == nil {
			t.Errorf("%s: the breaker has no Classify", name)
		}
		got.Breaker.Classify = nil
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, got, c.want)
		}
	}
	now := func() time.Time { return time.Time{} }
	if (Config{Now: now}).withDefaults().Breaker.Now == nil {
		t.Error("the breaker has another clock")
	}
}

// TestPauses: how long they are, attempt by attempt.
func TestPauses(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want []time.Duration
	}{
		{Config{ResumeJitter: -1}, []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 2 * time.Minute}},
		{Config{ResumeJitter: -1, EscalationTimeout: -1}, []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 30 * time.Minute, 30 * time.Minute}},
		{Config{ResumeJitter: -1, ResumeFactor: 1}, []time.Duration{30 * time.Second, 30 * time.Second}},
		{Config{ResumeJitter: -1, AutoResumeAfter: 10 * time.Second, ResumeFactor: 3, MaxResumeAfter: 40 * time.Second}, []time.Duration{10 * time.Second, 30 * time.Second, 40 * time.Second}},
	} {
		cfg := c.cfg.withDefaults()
		for attempt, want := range c.want {
			if got := cfg.pauseFor(attempt); got != want {
				t.Errorf("%+v: pause %d lasts %v, want %v", c.cfg, attempt, got, want)
			}
		}
	}
	cfg := Config{ResumeJitter: 0.5}.withDefaults()
	for range 100 {
		if got := cfg.pauseFor(0); got < 30*time.Second || got > 45*time.Second {
			t.Errorf("with jitter, a pause lasts %v", got)
		}
	}
}

// TestLimitsOfAConfig: what each field may be just so, and what not.
func TestLimitsOfAConfig(t *testing.T) {
	for _, c := range []Config{
		{ResumeFactor: 1},
		{ResumeFactor: 100},
		{AutoResumeAfter: 2 * time.Minute},
		{AutoResumeAfter: 2*time.Minute + 1, EscalationTimeout: -1},
		{AutoResumeAfter: -1, EscalationTimeout: 1},
		{AutoResumeAfter: time.Minute, MaxResumeAfter: time.Minute},
		{MaxResumeAfter: 30 * time.Second},
		{AutoResumeAfter: -1, MaxResumeAfter: 1},
		{ResumeJitter: 0.999},
		{ResumeJitter: -9},
		{MaxRecoveryAttempts: 100},
		{MaxRecoveryAttempts: -9},
		{Probation: Probation{Iterations: 1000}},
		{Probation: Probation{Iterations: 1}},
		{MaxAgents: 1_000_000},
		{MaxAgents: 1},
		{Events: 1000},
		{Events: -9},
		{EscalationTimeout: 30 * time.Second},
	} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	for want, c := range map[string]Config{
		"AutoResumeAfter is 2m0.000000001s, allowed: at most EscalationTimeout (2m0s), which ends a pause; 0 for 30s, negative for off": {AutoResumeAfter: 2*time.Minute + 1},
		"AutoResumeAfter is 30s, allowed: at most EscalationTimeout (29s)":                                                              {AutoResumeAfter: 30 * time.Second, EscalationTimeout: 29 * time.Second},
		"AutoResumeAfter is 0s, allowed: at most EscalationTimeout (29s)":                                                               {EscalationTimeout: 29 * time.Second},
		"ResumeFactor is 0.99, allowed: 1 to 100; 0 for 2":                                                                              {ResumeFactor: 0.99},
		"ResumeFactor is 100.1,": {ResumeFactor: 100.1},
		"ResumeFactor is -1,":    {ResumeFactor: -1},
		"ResumeFactor is NaN,":   {ResumeFactor: math.NaN()},
		"MaxResumeAfter is 29s, allowed: at least AutoResumeAfter (30s); 0 for 30m": {MaxResumeAfter: 29 * time.Second},
		"MaxResumeAfter is -1ns, allowed: at least AutoResumeAfter (0s)":            {MaxResumeAfter: -1, AutoResumeAfter: -1},
		"ResumeJitter is 1, allowed: in (0, 1); 0 for 0.1, negative for none":       {ResumeJitter: 1},
		"ResumeJitter is NaN,": {ResumeJitter: math.NaN()},
		"MaxRecoveryAttempts is 101, allowed: at most 100; 0 for 3, negative for never": {MaxRecoveryAttempts: 101},
		"Probation.Iterations is 1001, allowed: 1 to 1000; 0 for 3":                     {Probation: Probation{Iterations: 1001}},
		"Probation.Iterations is -1,":                                                   {Probation: Probation{Iterations: -1}},
		"Probation.Cost is NaN,":                                                        {Probation: Probation{Cost: math.NaN()}},
		"MaxAgents is 1000001, allowed: 1 to 1000000; 0 for 100000":                     {MaxAgents: 1_000_001},
		"MaxAgents is -1,": {MaxAgents: -1},
		"Events is 1001, allowed: at most 1000; 0 for 16, negative for none": {Events: 1001},
	} {
		err := c.Validate()
		if err == nil || len(err.Error()) < len("switchgear: "+want) || err.Error()[:len("switchgear: "+want)] != "switchgear: "+want {
			t.Errorf("%v, want that %s", err, want)
		}
		if _, err := New(c); err == nil {
			t.Errorf("New takes a Config in which %s", want)
		}
	}
}

// TestSessionsOfAgentsAreOne: each agent that is asked finds the session that others were
// joined to meanwhile, and does not keep the one of before.
func TestSessionsOfAgentsAreOne(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background())
	agents := make(map[string]*Agent)
	for _, id := range []string{"a", "b", "c", "d"} {
		if agents[id], err = s.Monitor(id, Options{}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	hand := func(from, to string) {
		n++
		if _, err := s.Handoff(from, to, fmt.Sprint("this is about something else again, namely ", n*7919, " of them")); err != nil {
			t.Fatal(err)
		}
	}
	hand("a", "b")
	hand("c", "d")
	hand("c", "d")
	hand("b", "c") // the windows of c and d live on
	larger := agents["d"].session.Load()
	if agents["b"].session.Load() != larger || agents["c"].session.Load() != larger || agents["a"].session.Load().current() != larger {
		t.Error("there are two sessions")
	}
	if agents["a"].session.Load() == larger {
		t.Error("a was asked nothing, and knows")
	}
	hand("a", "b")
	if agents["a"].session.Load() != larger {
		t.Error("a keeps the session of before")
	}
	if got := larger.size.Load(); got != int64(n) {
		t.Errorf("it has %d hand-offs, want %d", got, n)
	}
	agents["d"].NewTask("another task") // its part is over
	if agents["d"].session.Load() != nil || !agents["d"].startSession.Load() {
		t.Error("a new task goes on in the session of the old one")
	}
	hand("d", "a")
	if agents["d"].startSession.Load() || agents["d"].session.Load() != agents["a"].session.Load() || agents["d"].session.Load() == larger {
		t.Error("the windows that live on are not those of the task that has just begun")
	}
}

// TestScheduleKeepsItsOrder: agents are called on when they are due, each once, however
// often that is changed.
func TestScheduleKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var mu sync.Mutex // calls of one go and those of another may be at once
		var called []string
		done := 0
		s := newSchedule(func() time.Duration { return time.Since(begun) }, func(a *Agent) {
			mu.Lock()
			defer mu.Unlock()
			called = append(called, fmt.Sprint(a.id, " ", time.Since(begun)))
		}, func() {
			mu.Lock()
			defer mu.Unlock()
			done++
		})
		agents := make([]*Agent, 2*batch)
		for i := range agents {
			agents[i] = &Agent{id: fmt.Sprint(i)}
		}
		s.put(agents[0], 3*time.Second)
		s.put(agents[1], 2*time.Second)
		s.put(agents[2], time.Second)
		s.put(agents[3], 4*time.Second)
		s.put(agents[0], time.Second/2) // sooner
		s.put(agents[2], 5*time.Second) // later
		s.put(agents[3], never)
		s.put(agents[3], never) // has no place
		s.put(agents[4], never)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := fmt.Sprint(called); got != "[0 500ms 1 2s 2 5s]" {
			t.Errorf("called on %s", got)
		}
		if done != 3 {
			t.Errorf("told %d times that some were called on", done)
		}
		called, done = nil, 0
		for _, a := range agents {
			s.put(a, time.Since(begun)+time.Second)
		}
		time.Sleep(time.Second + 1)
		synctest.Wait()
		if len(called) != len(agents) || done < 2 {
			t.Errorf("%d were called on, in %d goes", len(called), done)
		}
		s.put(agents[0], time.Since(begun)-time.Hour) // overdue
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if len(called) != len(agents)+1 {
			t.Error("one that was overdue was not called on at once")
		}
		s.put(agents[0], time.Since(begun)+time.Second)
		s.close(nil)
		s.put(agents[1], time.Since(begun)+time.Second)
		s.put(agents[0], time.Since(begun)+2*time.Second) // which had a place
		s.put(agents[0], never)
		time.Sleep(time.Minute)
		if len(called) != len(agents)+1 {
			t.Error("called on after close")
		}
	})
}

// checkQueue: each is where it says, none before one that is due sooner, and the timer
// fires for the first.
func checkQueue(t *testing.T, s *schedule) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.queue {
		if int(b.heapEntry.index) != i+1 || i > 0 && s.queue[(i-1)/2].heapEntry.due > b.heapEntry.due {
			t.Fatalf("%d is out of place", i)
		}
	}
	if len(s.queue) > 0 && s.armed > s.queue[0].heapEntry.due {
		t.Fatalf("the timer fires at %v, and the first is due at %v", s.armed, s.queue[0].heapEntry.due)
	}
}

// TestScheduleOfMany: those that are due are called on in order, whatever was changed.
func TestScheduleOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var mu sync.Mutex // calls of one go and those of another may be at once
		var called []time.Duration
		s := newSchedule(func() time.Duration { return time.Since(begun) }, func(a *Agent) {
			mu.Lock()
			defer mu.Unlock()
			called = append(called, a.since)
		}, func() {})
		random := rand.New(rand.NewPCG(1, 2))
		agents := make([]*Agent, 100)
		for i := range agents {
			agents[i] = &Agent{id: fmt.Sprint(i)}
		}
		in := make(map[*Agent]bool)
		for range 2000 {
			a := agents[random.IntN(len(agents))]
			a.since = time.Duration(1+random.IntN(1000)) * time.Second
			if in[a] = random.IntN(5) > 0; !in[a] {
				a.since = never
			}
			s.put(a, a.since)
			checkQueue(t, s)
		}
		time.Sleep(1001 * time.Second)
		synctest.Wait()
		want := 0
		for _, there := range in {
			if there {
				want++
			}
		}
		if len(called) != want || !slices.IsSorted(called) {
			t.Errorf("%d of %d are called on: %v", len(called), want, called)
		}
		s.close(nil)
	})
}

// TestRateOfTheBreaker: it does not open before as many consecutive failures as pause the
// agent do; what was given is left.
func TestRateOfTheBreaker(t *testing.T) {
	for _, c := range []struct {
		given core.Config
		trip  int
		rate  float64
		calls int
	}{
		{core.Config{}, 1, 0, 0},
		{core.Config{}, 10, 0, 0},
		{core.Config{}, 11, 0, 22},
		{core.Config{}, 50, 0, 100},
		{core.Config{}, 51, -1, 0},
		{core.Config{}, -1, -1, 0},
		{core.Config{FailureRateThreshold: 0.4}, 11, 0.4, 0},
		{core.Config{MinimumCalls: 7}, 11, 0, 7},
		{core.Config{Window: core.Window{Calls: 30}}, 11, 0, 0},
	} {
		if got := rateAfter(c.given, c.trip); got.FailureRateThreshold != c.rate || got.MinimumCalls != c.calls || got.Window != c.given.Window {
			t.Errorf("%+v, tripped after %d: %+v", c.given, c.trip, got)
		}
	}
}

// TestLater does not wrap.
func TestLater(t *testing.T) {
	for _, c := range [][3]time.Duration{{1, 2, 3}, {0, 0, 0}, {5, never, never}, {never, 1, never}, {never - 1, 1, never}, {never - 2, 1, never - 1}} {
		if got := later(c[0], c[1]); got != c[2] {
			t.Errorf("%d after %d is %d, want %d", c[1], c[0], got, c[2])
		}
	}
}

// TestUsedOfSharedBudgets: what a step has used, and nothing of numbers that cannot be.
func TestUsedOfSharedBudgets(t *testing.T) {
	bad := core.ErrOpen // any error
	for i, c := range []struct {
		step detect.Step
		err  error
		want detect.Use
	}{
		{detect.Step{Tool: "x", Tokens: 5, Cost: 2}, nil, detect.Use{Tokens: 5, Cost: 2, ToolCalls: 1}},
		{detect.Step{Tokens: 5, Cost: 2}, nil, detect.Use{Tokens: 5, Cost: 2}},
		{detect.Step{Tool: "x", Refused: true, Tokens: 5}, nil, detect.Use{Tokens: 5}},
		{detect.Step{Tool: "x", Own: true}, nil, detect.Use{}},
		{detect.Step{Tokens: -5, Cost: 2}, bad, detect.Use{Cost: 2}},
		{detect.Step{Tokens: 5, Cost: -2}, bad, detect.Use{Tokens: 5}},
		{detect.Step{Tokens: -1, Cost: -0.5}, bad, detect.Use{}},
		{detect.Step{Tokens: 5, Cost: math.NaN()}, bad, detect.Use{Tokens: 5}},
		{detect.Step{Tokens: 5, Cost: math.Inf(1)}, bad, detect.Use{Tokens: 5}},
		{detect.Step{Tokens: 5, Cost: math.MaxFloat64}, bad, detect.Use{Tokens: 5, Cost: math.MaxFloat64}},
	} {
		if got := useOf(&c.step, c.err); got != c.want {
			t.Errorf("%d: %+v, want %+v", i, got, c.want)
		}
	}
}
