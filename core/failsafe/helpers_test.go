package failsafe

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackbox4/switchgear/core"
)

var (
	bg     = context.Background()
	errEIO = errors.New("input/output error")
)

func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// dial is a sensor that shows what a test sets.
type dial struct {
	mu    sync.Mutex
	value float64
	err   error
	takes time.Duration // to be read
	hangs chan struct{} // until it is closed
	panic any
	reads int
}

func (d *dial) read(context.Context) (measured, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	if d.hangs != nil {
		<-d.hangs
	}
	time.Sleep(d.takes)
	if d.panic != nil {
		panic(d.panic)
	}
	return measured{d.value, "dial", "as it shows", "turn it down"}, d.err
}

func (d *dial) set(value float64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.value, d.err = value, err
}

func (d *dial) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reads
}

// bench is vitals on dials.
type bench struct {
	*Vitals

	cpu, memory, disk dial
}

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	b := new(bench)
	b.Vitals = newVitals(cfg.withDefaults(), b.cpu.read, b.memory.read, func(string) sense { return b.disk.read })
	return b
}

// run runs the vitals; the func it returns stops them.
func (b *bench) run(t *testing.T) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	stop := func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	synctest.Wait()
	return stop
}

// pass lets virtual time pass, and what is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func admitted(t *testing.T, g core.Gate) {
	t.Helper()
	p, err := g.Allow(bg)
	if err != nil {
		t.Fatalf("Allow = %v, want a permit", err)
	}
	p.Settle(bg, core.Success)
}

func refused(t *testing.T, g core.Gate) *Error {
	t.Helper()
	_, err := g.Allow(bg)
	refusal, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, ErrFailsafe) || !errors.Is(err, core.ErrOpen) {
		t.Fatalf("Allow = %T %v, want an *Error that matches ErrFailsafe and core.ErrOpen", err, err)
	}
	return refusal
}

// only insists on one condition.
func only(t *testing.T, conditions []Condition) Condition {
	t.Helper()
	if len(conditions) != 1 {
		t.Fatalf("conditions = %+v, want one", conditions)
	}
	return conditions[0]
}

// severities lists conditions as "cpu:high memory:medium".
func severities(conditions []Condition) string {
	all := make([]string, len(conditions))
	for i, c := range conditions {
		all[i] = string(c.Type) + ":" + c.Severity.String()
	}
	return strings.Join(all, " ")
}

var nan = math.NaN()

// parts are those of a measurement that most tests are about.
func parts(m measured, err error) (percent float64, source string, fault error) {
	return m.percent, m.source, err
}
