package queue

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// handler records what it delivers; hook runs before. Each event has two steps.
type handler struct {
	hook     func(e event)
	mu       sync.Mutex
	told     []event
	panicked []any
}

type event struct {
	number int
	rare   bool
	second bool
}

func (e *event) isRare() bool { return e.rare }

func (h *handler) Next(e *event) (run func(), last bool) {
	last = e.second
	e.second = true
	now := *e
	now.second = last
	return func() {
		h.mu.Lock()
		h.told = append(h.told, now)
		h.mu.Unlock()
		if h.hook != nil {
			h.hook(now)
		}
	}, last
}

func (h *handler) Panicked(_ event, p any) {
	h.panicked = append(h.panicked, p)
	panic("a logger that panics, too")
}

func add(q *Queue[event], e event) { q.Add(e, 8, (*event).isRare) }

// numbers checks that each event had both steps, in order, and returns its events.
func (h *handler) numbers(t *testing.T) (all []int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, e := range h.told {
		switch {
		case e.second != (i%2 == 1), e.second && h.told[i-1].number != e.number:
			t.Fatalf("step %d is %+v", i, e)
		case e.second:
			all = append(all, e.number)
		}
	}
	return all
}

func TestHooksRunInOrderWhateverTheyDo(t *testing.T) {
	for name, does := range map[string]func(){
		"return":     func() {},
		"panic":      func() { panic("hook") },
		"Goexit":     runtime.Goexit,
		"hold on":    func() { time.Sleep(time.Second) },
		"slow panic": func() { time.Sleep(time.Second); panic("hook") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var q Queue[event]
				h := &handler{}
				h.hook = func(e event) {
					if e.number == 1 && !e.second { // what a hook adds comes after it
						add(&q, event{number: 5})
						q.Deliver(h)
					}
					does()
				}
				for i := range 5 {
					add(&q, event{number: i})
				}
				began, held := time.Now(), time.Duration(0)
				var wg sync.WaitGroup
				wg.Go(func() { // Goexit ends the goroutine that delivers
					defer func() { held = time.Since(began) }()
					q.Deliver(h)
				})
				wg.Wait()
				if err := q.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := h.numbers(t); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5}) || !q.Idle() {
					t.Errorf("told %v, idle %t", got, q.Idle())
				}
				if held > maxHeld+time.Second {
					t.Errorf("the caller was held for %v", held)
				}
				if _, panics := q.Counts(); int(panics) != len(h.panicked) || (panics > 0) != (name == "panic" || name == "slow panic") {
					t.Errorf("%d panics counted, %v told", panics, h.panicked)
				}
			})
		})
	}
}

func TestAFullQueueDropsWhatIsNotRareFirst(t *testing.T) {
	var q Queue[event]
	h := &handler{}
	for i := range 10 {
		add(&q, event{number: i}) // 8 and 9 are dropped
	}
	add(&q, event{number: 10, rare: true}) // instead of 0
	q.Deliver(h)
	if got := h.numbers(t); !slices.Equal(got, []int{1, 2, 3, 4, 5, 6, 7, 10}) {
		t.Errorf("told %v", got)
	}
	for i := range 9 {
		add(&q, event{number: i, rare: true}) // 8 finds no other to drop
	}
	h.told = nil
	q.Deliver(h)
	if got := h.numbers(t); !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("told %v", got)
	}
	if dropped, _ := q.Counts(); dropped != 4 {
		t.Errorf("%d dropped, want 4", dropped)
	}
}

func TestAsideHoldsNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var q Queue[event]
		h := &handler{hook: func(event) { time.Sleep(time.Second) }}
		q.DeliverAside(h) // nothing waits
		add(&q, event{})
		began := time.Now()
		q.DeliverAside(h)
		if held := time.Since(began); held != 0 || q.Idle() {
			t.Errorf("held for %v, idle %t", held, q.Idle())
		}
		done, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.Wait(done); err == nil {
			t.Error("Wait returned before the second hook did")
		}
		if err := q.Wait(t.Context()); err != nil || time.Since(began) != 2*time.Second || len(h.told) != 2 {
			t.Errorf("Wait: %v after %v, told %v", err, time.Since(began), h.told)
		}
	})
}

func TestManyGoroutinesLoseNoEvent(t *testing.T) {
	var q Queue[event]
	h := &handler{}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				q.Add(event{number: 1000*i + j}, 1<<20, (*event).isRare)
				q.Deliver(h)
			}
		})
	}
	wg.Wait()
	if err := q.Wait(t.Context()); err != nil || !q.Idle() {
		t.Fatalf("%v, idle %t", err, q.Idle())
	}
	last := map[int]int{}
	numbers := h.numbers(t)
	for _, n := range numbers {
		if n%1000 < last[n/1000] {
			t.Fatalf("%d came after %d", n, last[n/1000])
		}
		last[n/1000] = n % 1000
	}
	if len(numbers) != 800 {
		t.Errorf("%d events told, want 800", len(numbers))
	}
}
