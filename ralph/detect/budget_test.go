package detect_test

import (
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/core/failsafe/condition"
	"github.com/blackbox4/switchgear/ralph/detect"
)

func budget(t *testing.T, limits detect.Budgets, parent *detect.Budget) *detect.Budget {
	t.Helper()
	b, err := detect.NewBudget(limits, parent)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBudgetSpend(t *testing.T) {
	b := budget(t, detect.Budgets{Tokens: 1000}, nil)
	var got []string
	for i := range 12 {
		found, err := b.Spend(detect.Use{Tokens: 100}, start())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			got = append(got, word(i)+" "+f.Rule.String()+" "+f.Level.String())
		}
	}
	if len(got) != 2 || got[0] != word(7)+" tokens nudge" || got[1] != word(9)+" tokens trip" {
		t.Errorf("%q", got)
	}
	err := b.Err()
	spent, ok := errors.AsType[*detect.ExhaustedError](err)
	if !ok || !errors.Is(err, detect.ErrExhausted) || spent.Finding.Rule != detect.RuleTokens || spent.Finding.Count != 1000 || spent.Finding.Severity != condition.High {
		t.Errorf("%v", err)
	}
	if err := b.Raise(detect.Budgets{Tokens: 2000}); err != nil || b.Err() != nil {
		t.Errorf("%v, %v", err, b.Err())
	}
	if err := b.Raise(detect.Budgets{Tokens: 1200}); err != nil || b.Err() == nil {
		t.Errorf("raised to what is used: %v, %v", err, b.Err())
	}
	if b.Limits() != (detect.Budgets{Tokens: 1200}) {
		t.Errorf("%+v", b.Limits())
	}
}

func TestBudgetOfATree(t *testing.T) {
	root := budget(t, detect.Budgets{Cost: 1}, nil)
	a, b := budget(t, detect.Budgets{Cost: 0.8}, root), budget(t, detect.Budgets{}, root)
	if _, err := a.Spend(detect.Use{Cost: 0.7}, start()); err != nil {
		t.Fatal(err)
	}
	if a.Err() != nil || b.Err() != nil {
		t.Error("used up too early")
	}
	found, err := b.Spend(detect.Use{Cost: 0.3}, start())
	if err != nil || len(found) != 1 || found[0].Level != detect.LevelTrip || found[0].Rule != detect.RuleCost {
		t.Errorf("%+v, %v", found, err)
	}
	for name, one := range map[string]*detect.Budget{"root": root, "a": a, "b": b} {
		if !errors.Is(one.Err(), detect.ErrExhausted) {
			t.Errorf("%s: %v", name, one.Err())
		}
	}
	if u := root.Used(); u.Cost != 1 {
		t.Errorf("%+v", u)
	}
	if u := b.Used(); u.Cost != 0.3 {
		t.Errorf("%+v", u)
	}
}

func TestCostDoesNotDrift(t *testing.T) {
	b := budget(t, detect.Budgets{Cost: 1}, nil)
	for range 10_000_00 {
		if b.Err() != nil {
			t.Fatalf("used up at %+v", b.Used())
		}
		if _, err := b.Spend(detect.Use{Cost: 0.000001}, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if b.Err() == nil {
		t.Errorf("not used up at %+v", b.Used())
	}
}

func TestReserve(t *testing.T) {
	root := budget(t, detect.Budgets{Tokens: 1000}, nil)
	a, b := budget(t, detect.Budgets{Tokens: 600}, root), budget(t, detect.Budgets{}, root)
	first, err := a.Reserve(detect.Use{Tokens: 600}, start())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Reserve(detect.Use{Tokens: 1}, start()); !errors.Is(err, detect.ErrExhausted) {
		t.Errorf("more than a has: %v", err)
	}
	if _, err := b.Reserve(detect.Use{Tokens: 401}, start()); !errors.Is(err, detect.ErrExhausted) {
		t.Errorf("more than is left: %v", err)
	}
	if u := b.Used(); u.Tokens != 0 {
		t.Errorf("what was refused is set aside: %+v", u)
	}
	second, err := b.Reserve(detect.Use{Tokens: 400}, start())
	if err != nil {
		t.Fatal(err)
	}
	if root.Err() != nil {
		t.Error("what is set aside is not used")
	}
	if _, err := first.Settle(detect.Use{Tokens: 100}, start()); err != nil {
		t.Fatal(err)
	}
	second.Release()
	for range 2 { // the first settlement wins
		second.Release()
		if _, err := first.Settle(detect.Use{Tokens: 100}, start()); err != nil {
			t.Fatal(err)
		}
	}
	if u := root.Used(); u.Tokens != 100 {
		t.Errorf("%+v", u)
	}
	third, err := a.Reserve(detect.Use{Tokens: 500}, start())
	if err != nil {
		t.Fatal(err)
	}
	found, err := third.Settle(detect.Use{Tokens: 901}, start()) // more than was set aside
	if err != nil || len(found) != 2 || root.Err() == nil || a.Err() == nil {
		t.Errorf("%+v, %v", found, err)
	}
	if _, err := b.Reserve(detect.Use{}, start()); !errors.Is(err, detect.ErrExhausted) {
		t.Errorf("of what is used up: %v", err)
	}
}

func TestUnknownCost(t *testing.T) {
	b := budget(t, detect.Budgets{Cost: 10}, nil)
	for _, cost := range []float64{math.NaN(), -1, math.Inf(1)} {
		_, err := b.Spend(detect.Use{Tokens: 1, Cost: cost}, start())
		wantField(t, err, "Use.Cost")
		_, err = b.Reserve(detect.Use{Cost: cost}, start())
		wantField(t, err, "Use.Cost")
	}
	r, err := b.Reserve(detect.Use{Tokens: 50, Cost: 2}, start())
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Settle(detect.Use{Tokens: 7, Cost: math.NaN()}, start())
	wantField(t, err, "Use.Cost")
	if u := b.Used(); u != (detect.Use{Tokens: 10, Cost: 2}) { // what was set aside is taken to be used
		t.Errorf("%+v", u)
	}
	for field, u := range map[string]detect.Use{"Use.Iterations": {Iterations: -1}, "Use.Tokens": {Tokens: -1}, "Use.ToolCalls": {ToolCalls: -1}, "Use.Hops": {Hops: -1}} {
		_, err := b.Spend(u, start())
		wantField(t, err, field)
		r, err := b.Reserve(detect.Use{Iterations: 1, Tokens: 1, ToolCalls: 1, Hops: 1}, start())
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Settle(u, start())
		wantField(t, err, field)
	}
	if u := b.Used(); u != (detect.Use{Iterations: 1, Tokens: 11, Cost: 2, ToolCalls: 1, Hops: 1}) {
		t.Errorf("%+v", u)
	}
	_, err = detect.NewBudget(detect.Budgets{Cost: math.NaN()}, nil)
	wantField(t, err, "Cost")
	wantField(t, b.Raise(detect.Budgets{Cost: 2e9}), "Cost")
}

func TestBudgetOfTime(t *testing.T) {
	root := budget(t, detect.Budgets{Wall: 100 * time.Second, Idle: 50 * time.Second}, nil)
	b := budget(t, detect.Budgets{}, root)
	at := func(s int) time.Time { return start().Add(time.Duration(s) * time.Second) }
	if due := b.Due(); !due.IsZero() {
		t.Errorf("due %v before anything", due)
	}
	if _, err := b.Spend(detect.Use{}, at(0)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s, due int
		rule   detect.Rule
		level  detect.Level
	}{{39, 40, 0, 0}, {40, 50, detect.RuleIdle, detect.LevelNudge}, {50, 80, detect.RuleIdle, detect.LevelTrip}, {80, 100, detect.RuleWall, detect.LevelNudge}, {100, 0, detect.RuleWall, detect.LevelTrip}} {
		found := b.Check(at(c.s))
		if c.level == 0 && len(found) != 0 || c.level != 0 && (len(found) != 1 || found[0].Rule != c.rule || found[0].Level != c.level) {
			t.Errorf("after %d s: %+v", c.s, found)
		}
		if due := b.Due(); c.due == 0 && !due.IsZero() || c.due > 0 && !due.Equal(at(c.due)) {
			t.Errorf("after %d s: due %v", c.s, due)
		}
		if out := b.Err() != nil; out != (c.s == 100) { // an idle tree may go on
			t.Errorf("after %d s: %v", c.s, b.Err())
		}
	}
}

func TestReserveLooksAtTheClock(t *testing.T) {
	b := budget(t, detect.Budgets{}, budget(t, detect.Budgets{Wall: time.Minute}, nil))
	r, err := b.Reserve(detect.Use{Tokens: 1}, start())
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	if _, err := b.Reserve(detect.Use{Tokens: 1}, start().Add(time.Minute)); !errors.Is(err, detect.ErrExhausted) {
		t.Errorf("%v", err)
	}
	if b.Err() == nil {
		t.Error("not used up")
	}
}

func TestBudgetIsSharedSafely(t *testing.T) {
	root := budget(t, detect.Budgets{Tokens: 1000}, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	trips, used := 0, int64(0)
	for range 8 {
		b := budget(t, detect.Budgets{}, root)
		wg.Go(func() {
			for b.Err() == nil {
				r, err := b.Reserve(detect.Use{Tokens: 7}, start())
				if err != nil {
					return
				}
				found, err := r.Settle(detect.Use{Tokens: 5}, start())
				mu.Lock()
				for _, f := range found {
					if f.Level == detect.LevelTrip {
						trips++
					}
				}
				used += 5
				mu.Unlock()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if u := root.Used(); u.Tokens != used || used > 1000 || used < 950 || trips > 1 {
		t.Errorf("%d used, %d settled, %d trips", u.Tokens, used, trips)
	}
}

func TestBudgetIsSaved(t *testing.T) {
	b := budget(t, detect.Budgets{Tokens: 100, Wall: time.Minute}, nil)
	if _, err := b.Spend(detect.Use{Tokens: 100, Cost: 2, Hops: 3}, start()); err != nil {
		t.Fatal(err)
	}
	data, err := b.AppendBinary([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	back := budget(t, detect.Budgets{Tokens: 100, Wall: time.Minute}, nil)
	if err := back.UnmarshalBinary(data[1:]); err != nil {
		t.Fatal(err)
	}
	if back.Used() != b.Used() || !errors.Is(back.Err(), detect.ErrExhausted) {
		t.Errorf("%+v, %v", back.Used(), back.Err())
	}
	if found, _ := back.Spend(detect.Use{}, start().Add(61*time.Second)); len(found) != 1 || found[0].Rule != detect.RuleWall {
		t.Errorf("%+v", found) // what was told is not told again
	}
	fresh, err := budget(t, detect.Budgets{}, nil).AppendBinary(nil)
	if err != nil || back.UnmarshalBinary(fresh) != nil || back.Err() != nil || back.Used() != (detect.Use{}) {
		t.Errorf("begun anew: %v, %+v", back.Err(), back.Used())
	}
}
