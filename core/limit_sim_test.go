package core_test

import (
	"container/heap"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// simulation is a server behind one limit, or behind one limit for each client, in
// virtual time: workers take calls from a queue without end.
type simulation struct {
	random *rand.Rand
	now    time.Duration
	events events
	load   load
	limits []*core.Limit

	idle   int // workers
	queue  []func()
	paused time.Duration // until when the workers stand still

	inStress      bool
	good, offered []int // calls each half second of the stress
	latencies     []time.Duration
	served        []int // by client
	refused       [2]int
	asked         [2]int // by priority
}

// load is what a simulation is about. The stress lasts from 20 s to 60 s.
type load struct {
	workers  int
	mean     time.Duration // of a call, without a queue
	bimodal  bool          // a tenth of the calls take 31 times as long as the others
	deadline time.Duration
	clients  int // with a limit each; 0 is one limit at the server
	low      float64

	calm, stress func(at time.Duration) float64 // calls a second
	slower       float64                        // how many times, under stress
	delay        time.Duration                  // that takes no worker, under stress
	pauses       bool                           // of 200 ms each 5 s, under stress
}

const (
	stressFrom = 20 * time.Second
	stressTo   = 60 * time.Second
	simulated  = 62 * time.Second
	bin        = 500 * time.Millisecond
	pause      = 200 * time.Millisecond
)

var simulationStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type event struct {
	at time.Duration
	do func()
}

type events []event

func (e *events) Len() int           { return len(*e) }
func (e *events) Less(i, j int) bool { return (*e)[i].at < (*e)[j].at }
func (e *events) Swap(i, j int)      { (*e)[i], (*e)[j] = (*e)[j], (*e)[i] }
func (e *events) Push(x any)         { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func rate(perSecond float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return perSecond }
}

// simulate runs the load against limits of a configuration. It costs about a
// microsecond of real time for each call.
func simulate(t testing.TB, l load, cfg core.LimitConfig, seed uint64) *simulation {
	t.Helper()
	clients := max(l.clients, 1)
	s := &simulation{random: rand.New(rand.NewPCG(seed, 1)), load: l, idle: l.workers, served: make([]int, clients)}
	bins := int((stressTo - stressFrom) / bin)
	s.good, s.offered = make([]int, bins), make([]int, bins)
	cfg.Now = func() time.Time { return simulationStart.Add(s.now) }
	for range clients {
		limit, err := core.NewLimit("simulated", cfg)
		if err != nil {
			t.Fatal(err)
		}
		s.limits = append(s.limits, limit)
	}
	s.after(0, s.arrive)
	if l.pauses {
		for at := stressFrom; at < stressTo; at += 5 * time.Second {
			s.after(at, func() { s.paused = s.now + pause })
		}
	}
	for len(s.events) > 0 && s.events[0].at < simulated {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		s.inStress = s.now >= stressFrom && s.now < stressTo
		e.do()
	}
	return s
}

func (s *simulation) after(d time.Duration, do func()) {
	heap.Push(&s.events, event{s.now + d, do})
}

func (s *simulation) perSecond() float64 {
	if s.now >= stressFrom && s.now < stressTo {
		return s.load.stress(s.now)
	}
	return s.load.calm(s.now)
}

// arrive makes a call and plans the next.
func (s *simulation) arrive() {
	s.after(time.Duration(s.random.ExpFloat64()/s.perSecond()*1e9), s.arrive)
	client, ctx, priority := s.random.IntN(len(s.limits)), bg, core.NormalPriority
	if s.random.Float64() < s.load.low {
		priority = core.LowPriority
		ctx = core.WithPriority(bg, priority)
	}
	began, counts := s.now, s.inStress
	if counts {
		s.asked[priority]++
		s.offered[(began-stressFrom)/bin]++
	}
	p, err := s.limits[client].Allow(ctx)
	if err != nil {
		if counts {
			s.refused[priority]++
		}
		return
	}
	ended := false
	end := func() {
		if ended {
			return
		}
		ended = true
		took := s.now - began
		late := took > s.load.deadline || s.load.clients > 0 && took >= s.load.deadline
		if late {
			p.Done(bg, context.DeadlineExceeded)
		} else {
			p.Done(bg, nil)
		}
		if counts {
			s.latencies = append(s.latencies, took)
		}
		if s.inStress && !late {
			s.good[(s.now-stressFrom)/bin]++
			s.served[client]++
		}
	}
	if s.load.clients > 0 { // they do not wait any longer; a server's calls go on
		s.after(s.load.deadline, end)
	}
	s.enqueue(end)
}

// enqueue gives the call to a worker, now or later.
func (s *simulation) enqueue(end func()) {
	work := func() {
		d := s.draw()
		if s.inStress && s.load.slower > 0 {
			d = time.Duration(float64(d) * s.load.slower)
		}
		s.work(d, end)
	}
	if s.idle == 0 {
		s.queue = append(s.queue, work)
		return
	}
	s.idle--
	work()
}

// work keeps a worker for d, and for as long as it is paused meanwhile.
func (s *simulation) work(d time.Duration, end func()) {
	begun := s.now
	s.after(d, func() {
		if stopped := min(s.paused-begun, pause); stopped > 0 && s.paused-pause < s.now {
			s.after(stopped, func() { s.finish(end) })
			return
		}
		s.finish(end)
	})
}

func (s *simulation) finish(end func()) {
	if len(s.queue) > 0 {
		next := s.queue[0]
		s.queue = s.queue[1:]
		next()
	} else {
		s.idle++
	}
	if s.inStress && s.load.delay > 0 {
		s.after(s.load.delay, end)
		return
	}
	end()
}

func (s *simulation) draw() time.Duration {
	if s.load.bimodal {
		part := .25
		if s.random.Float64() < .1 {
			part = 7.75
		}
		return time.Duration(float64(s.load.mean) * part * (.8 + .4*s.random.Float64()))
	}
	const sigma = .6
	return time.Duration(float64(s.load.mean) * math.Exp(sigma*s.random.NormFloat64()-sigma*sigma/2))
}

// goodput is the share, in percent, of what the best limit would complete in time.
func (s *simulation) goodput() float64 {
	capacity := float64(s.load.workers) / s.load.mean.Seconds() * bin.Seconds()
	if s.load.slower > 0 {
		capacity /= s.load.slower
	}
	if s.load.pauses {
		capacity *= 0.96
	}
	good, possible := 0.0, 0.0
	for i := range s.good {
		good += float64(s.good[i])
		possible += min(float64(s.offered[i]), capacity)
	}
	return 100 * good / possible
}

// p99 is that of the latencies under stress.
func (s *simulation) p99() time.Duration {
	slices.Sort(s.latencies)
	return s.latencies[len(s.latencies)*99/100]
}

// base is 16 workers at 60 %.
func base(change func(*load)) load {
	l := load{workers: 16, mean: 20 * time.Millisecond, deadline: time.Second, calm: rate(480), stress: rate(480)}
	change(&l)
	return l
}

// TestLimitUnderStress: what an adaptive limit does to a server under stress, beside
// the best fixed limit.
func TestLimitUnderStress(t *testing.T) {
	t.Parallel()
	spikes := func(at time.Duration) float64 {
		if at%(8*time.Second) < time.Second {
			return 3200
		}
		return 400
	}
	for _, c := range []struct {
		name    string
		load    load
		fixed   int     // the best
		goodput float64 // at least, in percent; the median of some simulations
		p99     float64 // at most so many times that of the fixed limit
	}{
		{"no stress", base(func(*load) {}), 24, 99, 1.3},
		{"no stress, bimodal", base(func(l *load) { l.bimodal = true }), 24, 98, 1.3},
		{"load 120 %", base(func(l *load) { l.stress = rate(960) }), 24, 95, 1.3},
		{"load 150 %", base(func(l *load) { l.stress = rate(1200) }), 24, 95, 1.3},
		{"load 300 %", base(func(l *load) { l.stress = rate(2400) }), 24, 95, 1.3},
		{"load 150 %, bimodal", base(func(l *load) { l.stress, l.bimodal = rate(1200), true }), 24, 95, 1.3},
		{"spikes of 400 %", base(func(l *load) { l.stress = spikes }), 24, 95, 1.3},
		{"server 5 times slower", base(func(l *load) { l.slower = 5 }), 24, 95, 1.3},
		{"healthy, 80 ms more", base(func(l *load) { l.delay = 80 * time.Millisecond }), 74, 95, 1.3},
		{"healthy, 500 ms more", base(func(l *load) { l.delay = 500 * time.Millisecond }), 336, 80, 1.3},
		// About one call in a hundred meets a pause, so p99 is either before it or after it.
		{"pauses", base(func(l *load) { l.pauses = true }), 24, 95, 1.6},
		// The cut of one client is a fourth of a cut, and its effect can drown in the noise.
		{"4 clients, load 150 %", base(func(l *load) { l.stress, l.clients = rate(1200), 4 }), 6, 95, 1.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var goodput, p99 []float64
			for seed := range uint64(5) {
				fixed := simulate(t, c.load, core.LimitConfig{Min: c.fixed, Max: c.fixed}, seed)
				adaptive := simulate(t, c.load, core.LimitConfig{}, seed)
				t.Logf("goodput %.0f %%, p99 %v; fixed at %d: %.0f %%, p99 %v; at the end: %s", adaptive.goodput(), adaptive.p99(), c.fixed, fixed.goodput(), fixed.p99(), adaptive.limits[0].Explain())
				goodput = append(goodput, adaptive.goodput())
				p99 = append(p99, float64(adaptive.p99())/float64(fixed.p99()))
			}
			if got := median(goodput); got < c.goodput {
				t.Errorf("goodput %.0f %%, want %.0f %% at least", got, c.goodput)
			}
			if got := median(p99); got > c.p99 {
				t.Errorf("p99 is %.2f times that of a fixed limit, want %.2f at most", got, c.p99)
			}
		})
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// Calls of low priority give way to the others, and the server does as much work.
func TestLimitPrefersNormalPriority(t *testing.T) {
	t.Parallel()
	half := base(func(l *load) { l.stress, l.low = rate(1200), .5 })
	share := func(s *simulation, p core.Priority) float64 { return float64(s.refused[p]) / float64(s.asked[p]) }
	s := simulate(t, half, core.LimitConfig{}, 1)
	if normal, low := share(s, core.NormalPriority), share(s, core.LowPriority); normal > .06 || low < .55 {
		t.Errorf("refused %.2f of normal and %.2f of low priority, want 0.06 at most and 0.55 at least", normal, low)
	}
	if s.goodput() < 95 {
		t.Errorf("goodput %.0f %%, want 95 %%", s.goodput())
	}
	s = simulate(t, half, core.LimitConfig{Reserve: -1}, 1)
	if normal, low := share(s, core.NormalPriority), share(s, core.LowPriority); math.Abs(normal-low) > .02 {
		t.Errorf("without a reserve, refused %.2f of normal and %.2f of low priority, want the same", normal, low)
	}
}

// Clients with a limit each get about the same share of a server.
func TestLimitsOfEqualClientsAreFair(t *testing.T) {
	t.Parallel()
	s := simulate(t, base(func(l *load) { l.stress, l.clients = rate(1200), 4 }), core.LimitConfig{}, 2)
	if most, least := slices.Max(s.served), slices.Min(s.served); float64(most) > 1.3*float64(least) {
		t.Errorf("calls served by client: %d, want the most at most 1.3 times the least", s.served)
	}
}
