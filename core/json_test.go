package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// lived returns a breaker that has been through everything a Snapshot tells of.
func lived(t *testing.T) *core.Breaker {
	t.Helper()
	b := newBreaker(t, core.Config{Durations: true, History: time.Minute, RecentCalls: 100, SlowAfter: time.Second, Timeout: time.Second})
	for range 120 {
		lasting(t, b, 10*time.Millisecond, core.Success)
	}
	for range 60 {
		for b.State() == core.Closed {
			_ = b.Do(bg, func(context.Context) error { time.Sleep(2 * time.Second); return errSick })
		}
		refusal(t, b)
		time.Sleep(time.Second)
		play(t, b, "SS")
	}
	trip(t, b)
	return b
}

// What json.Marshal wrote of a snapshot, json.Unmarshal reads back: every field, the
// last hundred calls and fifty transitions and more, with the texts of errors.
func TestSnapshotReadsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := lived(t).Snapshot()
		if len(want.RecentCalls) != 100 || len(want.Transitions) < 50 {
			t.Fatalf("%d calls, %d transitions", len(want.RecentCalls), len(want.Transitions))
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got core.Snapshot
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		for i := range want.Transitions {
			tr := &got.Transitions[i]
			if (tr.Err == nil) != (want.Transitions[i].Err == nil) || tr.Err != nil && tr.Err.Error() != want.Transitions[i].Err.Error() {
				t.Errorf("transition %d: %v, want %v", i, tr.Err, want.Transitions[i].Err)
			}
			tr.Err = want.Transitions[i].Err
		}
		again, err := json.Marshal(got)
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("%v\n%s\nthen\n%s", err, text, again)
		}
		for field := range reflect.TypeFor[core.Snapshot]().Fields() {
			if field.Tag.Get("json") == "" {
				t.Errorf("%s has no name in JSON", field.Name)
			}
		}
		for _, part := range []string{`"err":"` + errSick.Error() + `"`, `"reason":"consecutive failures (5)"`, `"outcome":"failure"`, `"state":"open"`} {
			if !strings.Contains(string(text), part) {
				t.Errorf("no %s in %.2000s", part, text)
			}
		}
	})
}

func TestTransitionsThatAreNoTransitions(t *testing.T) {
	for _, text := range []string{`[]`, `{"from":"ajar"}`, `{"err":7}`, `{"at":"yesterday"}`} {
		var tr core.Transition
		if err := json.Unmarshal([]byte(text), &tr); err == nil {
			t.Errorf("%s was read as %+v", text, tr)
		}
	}
}

// One call writes what there is to know of every breaker.
func TestRegistryWritesJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := core.Registry{Config: func(string) core.Config { return core.Config{RecentCalls: 100} }}
		var empty bytes.Buffer
		if err := r.WriteJSON(&empty); err != nil || !json.Valid(empty.Bytes()) {
			t.Errorf("%v: %s", err, empty.Bytes())
		}
		for i := range 3 {
			b, err := r.Get(fmt.Sprintf("host %d", i))
			if err != nil {
				t.Fatal(err)
			}
			settle(t, b, core.Success, 150)
			for range 5 {
				b.Record(bg, core.Failure, errSick, 0)
			}
		}
		var text bytes.Buffer
		if err := r.WriteJSON(&text); err != nil {
			t.Fatal(err)
		}
		var read struct {
			Stats    core.RegistryStats
			Breakers []core.Snapshot
		}
		if err := json.Unmarshal(text.Bytes(), &read); err != nil {
			t.Fatalf("%v: %s", err, text.Bytes())
		}
		if read.Stats != r.Stats() || len(read.Breakers) != 3 {
			t.Errorf("%+v, %d breakers", read.Stats, len(read.Breakers))
		}
		for _, s := range read.Breakers {
			if last := s.RecentCalls; len(last) != 100 || last[99].Err != errSick.Error() || s.State != core.Open {
				t.Errorf("%s: %v, %d calls", s.Name, s.State, len(last))
			}
		}
		if err := r.WriteJSON(noSpace{}); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("a writer that fails: %v", err)
		}
	})
}

type noSpace struct{}

func (noSpace) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
