package ralph

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)

// schedule calls on agents when they are due. There is one timer for all of
// them, and none while no agent is due. Times are since the supervisor's epoch.
//
// An agent has at most one place in it. Being called on too early or in vain must
// do no harm: the agent looks itself what time it is, and says when it is due next.
type schedule struct {
	now  func() time.Duration
	call func(*Agent)
	done func() // after some calls; it may take its time

	mu     sync.Mutex
	queue  dueHeap
	timer  *time.Timer
	armed  time.Duration // when the timer fires; never if it does not
	closed bool
	calls  sync.WaitGroup
}

// batch is how many agents are called on before the timer is looked at again.
const batch = 256

func newSchedule(now func() time.Duration, call func(*Agent), done func()) *schedule {
	return &schedule{now: now, call: call, done: done, armed: never}
}

// put makes a due at that time instead of any other; never takes it out.
func (s *schedule) put(a *Agent, due time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p := &a.heapEntry; {
	case s.closed:
	case due == never:
		if p.index > 0 {
			heap.Remove(&s.queue, int(p.index-1))
		}
	case p.index > 0:
		p.due = due
		heap.Fix(&s.queue, int(p.index-1))
	default:
		p.due = due
		heap.Push(&s.queue, a)
	}
	s.arm()
}

// arm sets the timer to the first agent that is due. It needs mu. A timer that fires too
// early does no harm and is left alone.
func (s *schedule) arm() {
	if s.closed || len(s.queue) == 0 {
		return
	}
	due := s.queue[0].heapEntry.due
	if due >= s.armed {
		return
	}
	s.armed = due
	wait := max(due-s.now(), 0)
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.fire)
		return
	}
	s.timer.Reset(wait)
}

// fire calls on the agents that are due; the timer calls it.
func (s *schedule) fire() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.calls.Add(1)
	defer s.calls.Done()
	var due []*Agent
	now := s.now()
	for len(s.queue) > 0 && s.queue[0].heapEntry.due <= now && len(due) < batch {
		due = append(due, heap.Pop(&s.queue).(*Agent))
	}
	s.armed = never
	s.arm() // before an agent is called on: its hook may take its time
	s.mu.Unlock()
	for _, a := range due {
		s.call(a)
	}
	s.done() // not between them: a hook that never returns would keep the rest from being called on
}

// close ends the schedule; no agent is called on after it returned, but by calls
// that went on when done was closed.
func (s *schedule) close(done <-chan struct{}) {
	s.mu.Lock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.queue = nil
	s.mu.Unlock()
	over := make(chan struct{})
	go func() {
		s.calls.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-done:
	}
}

// heapEntry is the place of an agent in the schedule, under its mu.
type heapEntry struct {
	due   time.Duration
	index int32 // from 1; 0 is none
}

// dueHeap is a heap, the first due first.
type dueHeap []*Agent

func (q *dueHeap) Len() int           { return len(*q) }
func (q *dueHeap) Less(i, j int) bool { return (*q)[i].heapEntry.due < (*q)[j].heapEntry.due }
func (q *dueHeap) Swap(i, j int) {
	all := *q
	all[i], all[j] = all[j], all[i]
	all[i].heapEntry.index, all[j].heapEntry.index = int32(i+1), int32(j+1)
}

func (q *dueHeap) Push(x any) {
	a := x.(*Agent)
	*q = append(*q, a)
	a.heapEntry.index = int32(len(*q))
}

func (q *dueHeap) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	a.heapEntry.index = 0
	return a
}
