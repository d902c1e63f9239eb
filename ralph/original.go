package ralph

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// The options of the system that this package continues, as far as they are not fields
// of their own but set others: here is what they set, and what may not stand beside them.

const (
	defaultConfidence = 0.3
	mostThreshold     = 1_000_000
	mostFailures      = 1000 // that a breaker counts in a row

	coreRate, coreMinimumCalls = 0.5, 20 // of package core
)

// failuresTrip is how many iterations in a row may fail until the rule pauses; negative
// if it does not.
func (c Config) failuresTrip() int {
	return or(or(c.AgentFailureThreshold, c.Rules.Failures.Trip), defaultFailureThreshold)
}

// autoResumes reports whether agents are resumed by themselves.
func (c Config) autoResumes() bool {
	return c.AutoResumeAfter >= 0 && (c.AutoResumeEnabled == nil || *c.AutoResumeEnabled)
}

// watchesHost reports whether the supervisor makes vitals of its own.
func (c Config) watchesHost() bool {
	return c.CPUThreshold != 0 || c.MemoryThreshold != 0 || c.DiskThreshold != 0
}

// thresholds checks the options, and that what they set is not set by another name.
func (c Config) thresholds(check func(ok bool, field string, value any, allowed string)) {
	count := func(field string, v, most, zero int) {
		check(v <= most, field, v, fmt.Sprintf("1 to %d; 0 for %d, negative for off", most, zero))
	}
	count("AgentFailureThreshold", c.AgentFailureThreshold, mostFailures, defaultFailureThreshold)
	count("HandoffThreshold", c.HandoffThreshold, mostThreshold, defaultHandoffs)
	count("StuckTaskThreshold", c.StuckTaskThreshold, mostThreshold, defaultStuck)
	low := "in (0, 1], how sure the agent is; 0 for 0.3, negative for off"
	if c.LowConfidenceThreshold > 1 && c.LowConfidenceThreshold <= 100 {
		low += fmt.Sprintf("; %v percent is %v", c.LowConfidenceThreshold, c.LowConfidenceThreshold/100)
	}
	check(c.LowConfidenceThreshold <= 1, "LowConfidenceThreshold", c.LowConfidenceThreshold, low)
	for _, one := range []struct {
		field string
		value float64
	}{{"CPUThreshold", c.CPUThreshold}, {"MemoryThreshold", c.MemoryThreshold}, {"DiskThreshold", c.DiskThreshold}} {
		percent := "percent, 1 to 100; 0 for 90, negative for not read"
		if one.value > 0 && one.value < 1 {
			percent += fmt.Sprintf("; the share %v is %v percent", one.value, 100*one.value)
		}
		check(one.value <= 0 || one.value >= 1 && one.value <= 100, one.field, one.value, percent)
	}

	c.unreached(check)
	twice := func(both bool, field string, value any, by string) {
		check(!both, field, value, "none besides "+by+", which sets the same")
	}
	twice(c.AgentFailureThreshold != 0 && c.Rules.Failures.Trip != 0, "Rules.Failures.Trip", c.Rules.Failures.Trip, "AgentFailureThreshold")
	twice(c.HandoffThreshold != 0 && c.Rules.Budgets.Hops != 0, "Rules.Budgets.Hops", c.Rules.Budgets.Hops, "HandoffThreshold")
	twice(c.StuckTaskThreshold != 0 && c.Rules.NoProgress.Trip != 0, "Rules.NoProgress.Trip", c.Rules.NoProgress.Trip, "StuckTaskThreshold")
	twice(c.LowConfidenceThreshold != 0 && c.Rules.Confidence != detect.ConfidenceLimits{}, "Rules.Confidence", fmt.Sprintf("%+v", c.Rules.Confidence), "LowConfidenceThreshold")
	twice(c.watchesHost() && c.Vitals != nil, "Vitals", "given", "CPUThreshold, MemoryThreshold and DiskThreshold")
	check(c.AutoResumeEnabled == nil || !*c.AutoResumeEnabled || c.AutoResumeAfter >= 0, "AutoResumeAfter", c.AutoResumeAfter, "not negative, which is off, while AutoResumeEnabled is true")

	trip, opens := c.failuresTrip(), c.Breaker.FailureThreshold
	check(opens <= 0 || trip <= 0 || opens >= trip, "Breaker.FailureThreshold", opens,
		fmt.Sprintf("at least %d, as many failures as pause the agent: a breaker that opens before refuses it and tells no person; 0 for the same", trip))
	least, rate, minimum := opensByRate(c.resolved().Breaker)
	check(least == 0 || trip <= 0 || least >= trip, "Breaker.MinimumCalls", minimum,
		fmt.Sprintf("so many that at a failure rate of %.4g at least %d calls must have failed, as many as pause the agent; or a negative FailureRateThreshold", rate, trip))
}

// unreached checks that a task does not end, by its budget of iterations, before the
// options that count iterations can pause the agent.
func (c Config) unreached(check func(ok bool, field string, value any, allowed string)) {
	if most := cmp.Or(c.Rules.Budgets.Iterations, c.iterationsByProfile()); most > 0 {
		for _, one := range []struct {
			field      string
			value, max int
		}{{"AgentFailureThreshold", c.AgentFailureThreshold, mostFailures}, {"StuckTaskThreshold", c.StuckTaskThreshold, mostThreshold}} {
			check(one.value <= most || one.value > one.max, one.field, one.value, fmt.Sprintf("at most %d, Rules.Budgets.Iterations, which ends the task before: raise that, too; negative for off", most))
		}
	}
}

// opensByRate returns after how many consecutive failures, at the least, a breaker opens by
// its failure rate, and what that is made of; 0 if it never does.
func opensByRate(b core.Config) (least int, rate float64, minimum int) {
	rate, minimum = or(b.FailureRateThreshold, coreRate), b.MinimumCalls
	if minimum == 0 {
		minimum = coreMinimumCalls
		if b.Window.Calls > 0 {
			minimum = min(minimum, b.Window.Calls)
		}
	}
	minimum = max(minimum, 1)
	if !(rate > 0) {
		return 0, rate, minimum
	}
	return max(int(math.Ceil(rate*float64(minimum)-1e-9)), 1), rate, minimum
}

// resolved returns c with what the options set in the fields that they set.
func (c Config) resolved() Config {
	if c.AgentFailureThreshold != 0 {
		c.Rules.Failures.Trip = c.AgentFailureThreshold
	}
	if c.Breaker.FailureThreshold == 0 {
		c.Breaker.FailureThreshold = c.failuresTrip()
		if c.Breaker.FailureThreshold < 0 && c.AgentFailureThreshold == 0 {
			c.Breaker.FailureThreshold = defaultFailureThreshold // only the rule is off
		}
		if c.Breaker.FailureThreshold > mostFailures {
			c.Breaker.FailureThreshold = -1 // it cannot count so far, and must not open before
		}
	}
	if trip := c.failuresTrip(); trip > 0 || c.AgentFailureThreshold < 0 {
		c.Breaker = rateAfter(c.Breaker, trip)
	}
	c.Rules.Budgets.Hops = or(c.HandoffThreshold, c.Rules.Budgets.Hops)
	c.Rules.NoProgress.Trip = or(c.StuckTaskThreshold, c.Rules.NoProgress.Trip)
	if (c.Rules.Confidence == detect.ConfidenceLimits{}) {
		c.Rules.Confidence = detect.ConfidenceLimits{Trip: or(c.LowConfidenceThreshold, defaultConfidence), Single: true}
	}
	if !c.autoResumes() {
		c.AutoResumeAfter = -1
	}
	return c
}

// rateAfter returns a breaker with core's default rate whose rate does not open it before
// trip consecutive failures do, which also pause the agent: after calls that went well, half of
// MinimumCalls in a row would. What was given is left as it is.
func rateAfter(b core.Config, trip int) core.Config {
	const usual, window = 20, 100 // of package core
	switch {
	case b.FailureRateThreshold != 0 || b.MinimumCalls != 0 || b.Window != core.Window{} || trip > 0 && 2*trip <= usual:
	case trip < 0 || 2*trip > window:
		b.FailureRateThreshold = -1
	default:
		b.MinimumCalls = 2 * trip
	}
	return b
}

// vitals are those that a supervisor reads itself.
type vitals struct {
	*failsafe.Vitals
	stop context.CancelFunc
	over chan struct{}
}

// newVitals makes vitals by the thresholds of c, and begins to read them.
func newVitals(c Config) (*vitals, error) {
	least := 100.0
	for _, v := range []float64{c.CPUThreshold, c.MemoryThreshold, c.DiskThreshold} {
		if v > 0 {
			least = min(least, v)
		}
	}
	cfg := failsafe.Config{CPU: c.CPUThreshold, Memory: c.MemoryThreshold, Disk: c.DiskThreshold}
	if usual := 5.0; least <= usual { // the margin is below each threshold
		cfg.Margin = least / 2
	}
	read, err := failsafe.New(cfg)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	v := &vitals{Vitals: read, stop: stop, over: make(chan struct{})}
	go func() {
		defer close(v.over)
		read.Run(ctx)
	}()
	return v, nil
}

// close ends the reading and waits for that until ctx is done; nil has nothing to end.
func (v *vitals) close(ctx context.Context) error {
	if v == nil {
		return nil
	}
	v.stop()
	select {
	case <-v.over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closeAll closes what a supervisor reads and writes.
func (s *Supervisor) closeAll(ctx context.Context) error {
	err := s.vitals.close(ctx)
	if s.store != nil {
		return cmp.Or(s.store.close(ctx), err)
	}
	return cmp.Or(err, ctx.Err())
}

var _ core.Gate = (*vitals)(nil)
