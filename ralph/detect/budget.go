package detect

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackbox4/switchgear/core"
)

// Budget is what the agents of a tree may use together. It is safe for concurrent
// use. What is used of it is used of its parent as well, up to the root.
//
// Times are taken as by a [Run]. Wall and Idle count from the first event, the
// former for ever, the latter from the last one.
//
// It is made by [NewBudget]. Of one that is nil or zero, methods that return an error
// return one that says so, and the others do nothing.
type Budget struct {
	tree   *sync.Mutex // of the whole tree: a use is booked in all its levels or in none
	parent *Budget
	out    atomic.Pointer[ExhaustedError]

	limits   Budgets
	clock    clock
	event    time.Duration // when the last use was
	used     used
	reserved used
	levels   [numRules]Level // reported
}

var errNoBudget = errors.New("detect: the Budget is nil, or was not made by NewBudget")

// made reports whether b is of NewBudget's making.
func (b *Budget) made() bool { return b != nil && b.tree != nil }

// NewBudget returns a Budget of which nothing is used. A nil parent makes it a
// root. The error is a [*core.ConfigError].
func NewBudget(limits Budgets, parent *Budget) (*Budget, error) {
	faults := limits.faults("")
	if parent != nil && !parent.made() {
		faults = append(faults, &core.ConfigError{Field: "parent", Value: "the zero Budget", Allowed: "nil, or one that NewBudget has made"})
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	b := &Budget{parent: parent, limits: limits.limits()}
	if parent != nil {
		b.tree = parent.tree
	} else {
		b.tree = new(sync.Mutex)
	}
	return b, nil
}

// Reserve sets u aside before it is used, in b and in every budget above, or in
// none: the error is then an [*ExhaustedError], or a [*core.ConfigError] if u has a
// number that is negative or not finite. It has to be settled or released.
func (b *Budget) Reserve(u Use, at time.Time) (*Reservation, error) {
	if !b.made() {
		return nil, errNoBudget
	}
	n, err := u.check("Use.")
	if err != nil {
		return nil, err
	}
	b.tree.Lock()
	defer b.tree.Unlock()
	for one := b; one != nil; one = one.parent {
		one.touch(at)
		one.judge(nil, false)
		if e := one.refusal(n); e != nil {
			return nil, e
		}
	}
	for one := b; one != nil; one = one.parent {
		one.reserved.add(n)
	}
	return &Reservation{tree: b.tree, b: b, n: n}, nil
}

// refusal says which limit n would pass, or nil.
func (b *Budget) refusal(n used) error {
	if e := b.out.Load(); e != nil {
		return e
	}
	for _, a := range b.amounts() {
		if a.limit > 0 && a.more(n) > 0 && float64(a.used)+float64(a.reserved)+float64(a.more(n)) > a.limit {
			return &ExhaustedError{Finding: b.finding(a.rule, LevelTrip, float64(a.used+a.reserved)/a.unit, a.limit/a.unit)}
		}
	}
	return nil
}

// Spend books what was used without having been set aside, even if it is more than
// there is. The findings are of limits that it has reached, in b or above, each of
// them once. A number of u that is negative or not finite is an error, a
// [*core.ConfigError], and not booked, the others are: a cost that is not known is
// not zero.
func (b *Budget) Spend(u Use, at time.Time) ([]Finding, error) {
	if !b.made() {
		return nil, errNoBudget
	}
	n, err := u.check("Use.")
	b.tree.Lock()
	defer b.tree.Unlock()
	return b.book(n, used{}, at), err
}

// book adds n and gives back what was reserved for it, up to the root.
func (b *Budget) book(n, reserved used, at time.Time) []Finding {
	var found []Finding
	for one := b; one != nil; one = one.parent {
		one.touch(at)
		one.used.add(n)
		one.reserved.sub(reserved)
		one.judge(&found, false)
	}
	worstFirst(found)
	return found
}

func (b *Budget) touch(at time.Time) {
	b.event = b.clock.now(at)
	b.levels[RuleIdle] = 0
}

// Check returns the findings that come of time alone.
func (b *Budget) Check(at time.Time) []Finding {
	if !b.made() {
		return nil
	}
	b.tree.Lock()
	defer b.tree.Unlock()
	var found []Finding
	for one := b; one != nil; one = one.parent {
		one.clock.now(at)
		one.judge(&found, true)
	}
	worstFirst(found)
	return found
}

// Due is when Check may find something next if nothing else happens; zero if never.
func (b *Budget) Due() time.Time {
	if !b.made() {
		return time.Time{}
	}
	b.tree.Lock()
	defer b.tree.Unlock()
	var due time.Time
	for one := b; one != nil; one = one.parent {
		for _, t := range [...]struct {
			rule  Rule
			since time.Duration
			limit time.Duration
		}{{RuleWall, 0, one.limits.Wall}, {RuleIdle, one.event, one.limits.Idle}} {
			if d := warned(t.limit).left(one.levels[t.rule]); d > 0 {
				if at := one.clock.time(t.since + d); due.IsZero() || !at.IsZero() && at.Before(due) {
					due = at
				}
			}
		}
	}
	return due
}

// warned are the Spans of a budget of time, of a Budget.
func warned(limit time.Duration) DurationLimits {
	return DurationLimits{Nudge: time.Duration(defaultWarn * float64(limit)), Trip: limit}
}

// Err is nil, or an [*ExhaustedError] if b, or a budget above, is used up, as far as
// Spend, Settle and Check have found. It costs one atomic load for each level.
func (b *Budget) Err() error {
	if !b.made() {
		return errNoBudget
	}
	for one := b; one != nil; one = one.parent {
		if e := one.out.Load(); e != nil {
			return e
		}
	}
	return nil
}

// Used is what was used of b and what is set aside.
func (b *Budget) Used() Use {
	if !b.made() {
		return Use{}
	}
	b.tree.Lock()
	defer b.tree.Unlock()
	all := b.used
	all.add(b.reserved)
	return all.use()
}

// Limits returns what may be used of b.
func (b *Budget) Limits() Budgets {
	if !b.made() {
		return Budgets{}
	}
	b.tree.Lock()
	defer b.tree.Unlock()
	return b.limits
}

// Raise sets new limits: the way on for agents that have used up the old ones. They
// are what may be used all told, including what was used already.
func (b *Budget) Raise(limits Budgets) error {
	if !b.made() {
		return errNoBudget
	}
	if err := errors.Join(limits.faults("")...); err != nil {
		return err
	}
	b.tree.Lock()
	defer b.tree.Unlock()
	b.limits = limits.limits()
	b.levels = [numRules]Level{}
	b.out.Store(nil)
	b.judge(nil, false)
	return nil
}
