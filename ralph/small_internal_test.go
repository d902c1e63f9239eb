package ralph

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// TestSortsOfEveryStatus: what each HTTP status says of an error.
func TestSortsOfEveryStatus(t *testing.T) {
	want := map[int]detect.ErrorKind{
		401: detect.ErrorKindAuth, 407: detect.ErrorKindAuth, 402: detect.ErrorKindQuota, 403: detect.ErrorKindPermission,
		408: detect.ErrorKindTransient, 429: detect.ErrorKindTransient,
	}
	for status := 500; status < 600; status++ {
		want[status] = detect.ErrorKindTransient
	}
	for status := -1; status <= 1000; status++ {
		if got := kindOfStatus(status); got != want[status] {
			t.Errorf("%d is %v, want %v", status, got, want[status])
		}
	}
	for kind, person := range map[detect.ErrorKind]bool{
		detect.ErrorKindOther: false, detect.ErrorKindAuth: true, detect.ErrorKindPermission: true, detect.ErrorKindQuota: true, detect.ErrorKindTransient: false, detect.ErrorKindUnknownTool: false,
	} {
		if needsPerson(kind) != person {
			t.Errorf("%v needs a person: %t", kind, !person)
		}
	}
}

type (
	fieldError struct{ StatusCode int }
	textError  struct{ StatusCode string }
	otherError struct{ Status int }
	intError   int
)

func (fieldError) Error() string { return "" }
func (textError) Error() string  { return "" }
func (otherError) Error() string { return "" }
func (intError) Error() string   { return "" }

// TestStatusOfErrors: which errors have one.
func TestStatusOfErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{fieldError{401}, 401},
		{&fieldError{401}, 401},
		{(*fieldError)(nil), 0},
		{textError{"401"}, 0},
		{otherError{401}, 0},
		{intError(401), 0},
		{errors.New("401"), 0},
	} {
		if got := statusOf(c.err); got != c.want {
			t.Errorf("%#v has the status %d, want %d", c.err, got, c.want)
		}
	}
	var err error = fieldError{401}
	for depth := range 40 { // of what is wrapped ever so deep, no more is looked at
		want := detect.ErrorKindAuth
		if depth > 32 {
			want = detect.ErrorKindOther
		}
		if got := kindOf(err); got != want {
			t.Errorf("wrapped %d times, it is %v", depth, got)
		}
		err = fmt.Errorf("so: %w", err)
	}
}

// TestNudgesAreDroppedFirst: half of the queue is for other events, which also take the
// places of nudges that wait.
func TestNudgesAreDroppedFirst(t *testing.T) {
	told := map[EventKind]int{}
	d := &delivery{hook: func(e Event) { told[e.Kind]++ }}
	for range maxQueued/2 + 5 {
		d.add(Event{Kind: EventNudged})
	}
	if dropped, _ := d.queue.Counts(); dropped != 5 {
		t.Errorf("%d are dropped", dropped)
	}
	for range maxQueued - 10 {
		d.add(Event{Kind: EventPaused})
	}
	d.deliver()
	if dropped, _ := d.queue.Counts(); told[EventPaused] != maxQueued-10 || told[EventNudged] != 10 || dropped != 5+maxQueued/2-10 {
		t.Errorf("told %v, dropped %d", told, dropped)
	}
	none := new(delivery)
	none.add(Event{Kind: EventPaused})
	if none.queue.Waiting() {
		t.Error("an event waits though there is no hook and no logger")
	}
}

// TestTheWorstComesFirst of two lots of findings.
func TestTheWorstComesFirst(t *testing.T) {
	f := func(l detect.Level, s failsafe.Severity, count float64) detect.Finding {
		return detect.Finding{Level: l, Severity: s, Count: count}
	}
	got := mergeWorst([]detect.Finding{f(detect.LevelNudge, failsafe.High, 1), f(detect.LevelTrip, failsafe.Medium, 2)}, []detect.Finding{f(detect.LevelTrip, failsafe.High, 3), f(detect.LevelTrip, failsafe.Medium, 4), f(detect.LevelNudge, failsafe.Low, 5)})
	var order []float64
	for _, one := range got {
		order = append(order, one.Count)
	}
	if fmt.Sprint(order) != "[3 2 4 1 5]" {
		t.Errorf("%v", order)
	}
	only := []detect.Finding{f(detect.LevelNudge, failsafe.Low, 1)}
	if got := mergeWorst(nil, only); !reflect.DeepEqual(got, only) {
		t.Errorf("%v", got)
	}
	if got := mergeWorst(only, nil); !reflect.DeepEqual(got, only) {
		t.Errorf("%v", got)
	}
}

// TestStepsAreCredited: which of them get somewhere.
func TestStepsAreCredited(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	a, err := s.Monitor("a", Options{})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 1024)
	for i, c := range []struct {
		step  detect.Step
		call  uint64
		found bool
		want  result
	}{
		{detect.Step{Tool: "x"}, 1, false, stepProgress},
		{detect.Step{Tool: "x"}, 1, false, stepNoProgress}, // the same again
		{detect.Step{Tool: "x"}, 2, true, stepNoProgress},
		{detect.Step{Tool: "x", Refused: true}, 3, false, stepNoProgress},
		{detect.Step{Own: true, Output: "a"}, 0, false, stepNoProgress},
		{detect.Step{Reasoning: true, Output: "b"}, 0, false, stepNoProgress},
		{detect.Step{Compaction: true, Output: "c"}, 0, false, stepNoProgress},
		{detect.Step{Tool: "x", Failed: true}, 4, false, stepError},
		{detect.Step{Tool: "x", Err: "no"}, 4, false, stepError},
		{detect.Step{Tool: "x", Exit: 1}, 4, false, stepError},
		{detect.Step{Tool: "x", Exit: -1}, 4, false, stepError},
		{detect.Step{Tool: "x", Kind: detect.ErrorKindTransient}, 4, true, stepError},
		{detect.Step{Tool: "x"}, 4, false, stepProgress}, // what failed is new when it goes well
		{detect.Step{Tool: "unjudged"}, 0, false, stepProgress},
		{detect.Step{}, 0, false, stepNoProgress}, // says nothing
		{detect.Step{Output: "hello"}, 0, false, stepProgress},
		{detect.Step{OutputBytes: []byte("hello")}, 0, false, stepNoProgress},
		{detect.Step{OutputBytes: []byte(long + "a")}, 0, false, stepProgress},
		{detect.Step{Output: long + "b"}, 0, false, stepNoProgress}, // no more than its beginning is looked at
		{detect.Step{Output: long[1:] + "b"}, 0, false, stepProgress},
	} {
		before := a.steps
		if got := a.countStep(&c.step, c.call, c.found); got != c.want || a.steps[got] != before[got]+1 {
			t.Errorf("%d: %v, want %v; %v", i, got, c.want, a.steps)
		}
	}
	for i, want := range []result{7: stepProgress, 8: stepNoProgress, 9: stepProgress} {
		if i < 7 { // among the last eight calls, one is not new
			continue
		}
		a.calls = [recentCalls]uint32{}
		one := &detect.Step{Tool: "x"}
		_ = a.countStep(one, 100, false)
		others := map[int]int{7: 8, 8: 7, 9: 9}[i]
		for n := range others {
			_ = a.countStep(one, 200+uint64(n), false)
		}
		if got := a.countStep(one, 100, false); got != want {
			t.Errorf("after %d others: %v, want %v", others, got, want)
		}
	}
	for _, c := range []struct{ given, want float64 }{{0.5, 0.5}, {-0.1, 0.5}, {1.1, 0.5}, {math.NaN(), 0.5}, {0, 0}, {1, 1}} {
		a.noteConfidence(&c.given)
		a.noteConfidence(nil)
		if got := a.Status().Confidence; got == nil || *got != c.want {
			t.Errorf("%v: %v, want %v", c.given, got, c.want)
		}
	}
}

// TestRolesAreBounded, and so are the pairs of them.
func TestRolesAreBounded(t *testing.T) {
	var r roles
	first := r.get("role 0")
	for i := range 300 {
		one := r.get(fmt.Sprint("role ", i))
		if want := fmt.Sprint("role ", i); i < 200 && one.name != want || i >= 200 && one.name != "(other)" {
			t.Errorf("%d is counted as %q", i, one.name)
		}
	}
	if r.get("role 0") != first || len(r.list()) != 201 {
		t.Errorf("%d roles", len(r.list()))
	}
	agent := func(i int) *Agent { return &Agent{role: &role{name: fmt.Sprint(i)}} }
	for i := range 1200 {
		r.handed(agent(i/2), agent(0), i%2 == 0)
	}
	r.handed(agent(0), agent(0), true)
	if n := len(r.edges); n != 1002 {
		t.Errorf("%d pairs", n)
	}
	for edge, want := range map[[3]string]uint64{{"0", "0", "allowed"}: 2, {"0", "0", "refused"}: 1, {"499", "0", "refused"}: 1, {"(other)", "(other)", "allowed"}: 100, {"(other)", "(other)", "refused"}: 100} {
		if got := r.edges[edge]; got != want {
			t.Errorf("%v: %d, want %d", edge, got, want)
		}
	}
}
