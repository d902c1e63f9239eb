package presets_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

var errNoConnection = errors.New("connection refused")

// gatewayError is what the gateways of these examples fail with.
type gatewayError int

func (e gatewayError) Error() string { return fmt.Sprintf("the gateway answered %d", int(e)) }

// quickly returns what keeps a breaker in r and makes its retries short enough for an
// example.
func quickly(r *presets.Registry) func(*presets.Policy) {
	return func(p *presets.Policy) {
		p.Registry = r
		p.Retry.Enabled, p.Retry.InitialDelay = true, time.Millisecond
	}
}

// A function and its name are all that is needed; it is then used as before.
func Example() {
	greet := func(_ context.Context, name string) (string, error) { return "Hello, " + name, nil }

	protected := presets.MustProtect("greeter", presets.Moderate(), greet)

	fmt.Println(protected(context.Background(), "Ada"))
	// Output: Hello, Ada <nil>
}

// Retries are enabled here, so a call that failed is made again. The gateway may have
// charged though its answer was lost: it must know an order that comes twice. After
// too many consecutive failures it is left alone.
func ExampleProtect() {
	type order struct{ cents int }
	type receipt struct{ text string }

	answers := []int{503, 200, 503, 503, 503, 503} // of the gateway, one after another
	charge := func(_ context.Context, o order) (receipt, error) {
		status := answers[0]
		answers = answers[1:]
		fmt.Println("  the gateway answers", status)
		if status != 200 {
			return receipt{}, gatewayError(status)
		}
		return receipt{fmt.Sprintf("paid %d.%02d", o.cents/100, o.cents%100)}, nil
	}

	var registry presets.Registry // without one of its own, a policy uses presets.Default
	policy := presets.ExternalAPI().WithRetry().With(func(p *presets.Policy) {
		p.Registry = &registry
		p.FailureThreshold = 4                  // instead of 5
		p.Retry.InitialDelay = time.Millisecond // instead of 1s; there are 3 attempts
	})
	protected := presets.MustProtect("payments", policy, charge) // the same type as charge

	for range 4 {
		r, err := protected(context.Background(), order{cents: 1999})
		if err == nil {
			fmt.Println(r.text)
			continue
		}
		status, ok := errors.AsType[gatewayError](err)
		fmt.Printf("refused: %t; last answer: %d, %t\n", errors.Is(err, core.ErrOpen), status, ok)
	}

	payments, err := registry.Breakers().Get("payments")
	if err != nil {
		fmt.Println(err)
		return
	}
	totals := payments.Snapshot().Totals
	fmt.Printf("%v: %d calls, %d failed, %d refused\n", payments.State(), totals.Calls, totals.Failures, totals.Refused)
	// Output:
	//   the gateway answers 503
	//   the gateway answers 200
	// paid 19.99
	//   the gateway answers 503
	//   the gateway answers 503
	//   the gateway answers 503
	// refused: false; last answer: 503, true
	//   the gateway answers 503
	// refused: true; last answer: 503, true
	// refused: true; last answer: 0, false
	// open: 6 calls, 5 failed, 2 refused
}

// How the waits grow between the attempts. Here they are without jitter, so
// that they can be added up; the default is a tenth more or less.
func ExampleProtect_strategies() {
	var registry presets.Registry
	const ms = time.Millisecond
	for _, c := range []struct {
		retry presets.Retry
		waits time.Duration
	}{
		{presets.Retry{Enabled: true, Strategy: presets.StrategyFixed, InitialDelay: 2 * ms}, 2*ms + 2*ms},
		{presets.Retry{Enabled: true, Strategy: presets.StrategyLinear, InitialDelay: 2 * ms}, 2*ms + 4*ms},
		{presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, InitialDelay: 2 * ms, Multiplier: 3}, 2*ms + 6*ms},
		{presets.Retry{Enabled: true, Strategy: presets.StrategyExponential, InitialDelay: 2 * ms, MaxDelay: 3 * ms}, 2*ms + 3*ms},
	} {
		c.retry.Attempts = 3
		c.retry.JitterFactor = -1
		name := fmt.Sprint(c.retry.Strategy, c.waits)
		attempts := 0
		protected := presets.MustProtectFunc(name, presets.Policy{Retry: c.retry, Registry: &registry}, func(context.Context) error {
			attempts++
			return errNoConnection
		})
		begun := time.Now()
		err := protected(context.Background())
		fmt.Printf("%s: %d attempts, waited %v: %t, %v\n", c.retry.Strategy, attempts, c.waits, time.Since(begun) >= c.waits, err)
	}
	// Output:
	// fixed: 3 attempts, waited 4ms: true, connection refused
	// linear: 3 attempts, waited 6ms: true, connection refused
	// exponential: 3 attempts, waited 8ms: true, connection refused
	// exponential: 3 attempts, waited 5ms: true, connection refused
}

// A JitterFactor of 0.5 makes each wait half as long to half as long again, so
// that callers who failed together do not come back together.
func ExampleProtect_jitter() {
	var registry presets.Registry
	policy := presets.Policy{Registry: &registry, Retry: presets.Retry{
		Enabled: true, Strategy: presets.StrategyFixed, Attempts: 2, InitialDelay: 10 * time.Millisecond, JitterFactor: 0.5,
	}}
	protected := presets.MustProtectFunc("cache", policy, func(context.Context) error { return errNoConnection })
	begun := time.Now()
	err := protected(context.Background())
	fmt.Println("at least half of 10ms:", time.Since(begun) >= 5*time.Millisecond, err)
	// Output: at least half of 10ms: true connection refused
}

// The caller's context ends the retries: while it waits, and then the error
// tells of both, the end and what had failed; or before a wait that would be in
// vain.
func ExampleProtect_context() {
	var registry presets.Registry
	policy := presets.Moderate().WithRetry().With(func(p *presets.Policy) {
		p.Registry = &registry
		p.Retry.InitialDelay = time.Minute
		p.Retry.MaxDelay = time.Minute
	})

	impatient, leave := context.WithCancel(context.Background())
	protected := presets.MustProtectFunc("mail", policy, func(context.Context) error {
		leave() // the caller goes away before the second attempt
		return errNoConnection
	})
	err := protected(impatient)
	fmt.Println(errors.Is(err, context.Canceled), errors.Is(err, errNoConnection))

	hurried, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	fmt.Println(protected(hurried), "at once: a minute's wait would outlast the deadline")
	// Output:
	// true true
	// connection refused at once: a minute's wait would outlast the deadline
}

// A dependency that says when to come back is believed. One that asks for more
// than MaxDelay gets no second call.
func ExampleProtect_retryAfter() {
	var registry presets.Registry
	policy := presets.ExternalAPI().With(quickly(&registry))
	var asks time.Duration
	attempts := 0
	protected := presets.MustProtectFunc("geocoder", policy, func(context.Context) error {
		attempts++
		return core.RetryAfter(gatewayError(429), asks)
	})

	for _, asks = range []time.Duration{20 * time.Millisecond, time.Hour} {
		attempts = 0
		begun := time.Now()
		err := protected(context.Background())
		fmt.Printf("asked for %v: %v, %d attempts, waited for twice that: %t\n", asks, err, attempts, time.Since(begun) >= 2*asks)
	}
	// Output:
	// asked for 20ms: the gateway answered 429, 3 attempts, waited for twice that: true
	// asked for 1h0m0s: the gateway answered 429, 1 attempts, waited for twice that: false
}

// Retry.If says which failures may be tried again.
func ExampleProtect_predicate() {
	var registry presets.Registry
	policy := presets.ExternalAPI().With(quickly(&registry)).With(func(p *presets.Policy) {
		p.Retry.If = func(err error) bool {
			status, ok := errors.AsType[gatewayError](err)
			return !ok || status >= 500 // of the others, the request is to blame
		}
	})
	attempts := 0
	protected := presets.MustProtect("search", policy, func(_ context.Context, answer gatewayError) (string, error) {
		attempts++
		return "", answer
	})
	for _, answer := range []gatewayError{404, 503} {
		attempts = 0
		_, err := protected(context.Background(), answer)
		fmt.Printf("%v: %d attempts\n", err, attempts)
	}
	// Output:
	// the gateway answered 404: 1 attempts
	// the gateway answered 503: 3 attempts
}

// A fallback comes last: when all attempts have failed, and when the breaker
// refuses.
func ExampleProtect_fallback() {
	var registry presets.Registry
	policy := presets.NonCriticalService().With(func(p *presets.Policy) {
		p.Registry = &registry
		p.FailureThreshold = 1
	})
	recommend := presets.Fallback(
		presets.MustProtect("recommendations", policy, func(context.Context, string) ([]string, error) { return nil, errNoConnection }),
		func(_ context.Context, user string, err error) ([]string, error) {
			fmt.Printf("for %s, refused: %t\n", user, errors.Is(err, core.ErrOpen))
			return []string{"bestsellers"}, nil
		},
	)
	for range 2 {
		fmt.Println(recommend(context.Background(), "ada"))
	}
	// Output:
	// for ada, refused: false
	// [bestsellers] <nil>
	// for ada, refused: true
	// [bestsellers] <nil>
}

// For a function without an argument. Its breaker is in the registry, by its name.
func ExampleProtectCall() {
	policy := presets.Moderate().With(func(p *presets.Policy) { p.FailureThreshold = 3 })
	rate := presets.MustProtectCall("exchange-rate", policy, func(context.Context) (float64, error) { return 1.08, nil })

	fmt.Println(rate(context.Background()))
	breaker, err := presets.Default().Breakers().Get("exchange-rate")
	fmt.Println(breaker.Explain(), err)
	// Output:
	// 1.08 <nil>
	// closed: 0 of 3 consecutive failures; failure rate 0 % of 50 %, but only 1 of 20 calls <nil>
}

// A breaker without a registry, for calls that are admitted by hand. It makes no call
// again, and says so where that is asked for.
func ExamplePolicy_Breaker() {
	breaker, err := presets.Conservative().Breaker("critical-service")
	fmt.Println(breaker.Explain(), err)

	_, err = presets.Conservative().WithRetry().Breaker("critical-service")
	fmt.Println(err)
	// Output:
	// closed: 0 of 3 consecutive failures; failure rate 0 % of 50 %, but only 0 of 20 calls <nil>
	// switchgear: Retry.Enabled is true, allowed: false for a breaker alone, which makes no call again; use Protect, or roundtrip.RetryClient for an HTTP client
}

// For a function without argument and result.
func ExampleProtectFunc() {
	var registry presets.Registry
	tries := 0
	flush := presets.MustProtectFunc("log-share", presets.FileOperations().With(quickly(&registry)), func(context.Context) error {
		tries++
		if tries == 1 {
			return errors.New("stale file handle")
		}
		return nil
	})
	fmt.Println(flush(context.Background()), "after", tries, "tries")
	// Output: <nil> after 2 tries
}

// A fallback's value may depend on the error; one that cannot
// be mended is returned.
func ExampleFallback() {
	rate := func(_ context.Context, currency string) (float64, error) {
		if currency == "XXX" {
			return 0, gatewayError(404)
		}
		return 0, errNoConnection
	}
	yesterday := func(_ context.Context, _ string, err error) (float64, error) {
		if errors.Is(err, gatewayError(404)) {
			return 0, err
		}
		return 1.08, nil
	}
	quote := presets.Fallback(rate, yesterday)
	fmt.Println(quote(context.Background(), "EUR"))
	fmt.Println(quote(context.Background(), "XXX"))
	// Output:
	// 1.08 <nil>
	// 0 the gateway answered 404
}

// A preset by its name, as it stands in a file or a flag.
func ExampleNamed() {
	p, err := presets.Named("database")
	fmt.Println(p.FailureThreshold, p.Timeout, p.CallTimeout, p.Retry.Strategy, err)

	_, err = presets.Named("databse")
	fmt.Println(err)
	// Output:
	// 3 30s 10s linear <nil>
	// switchgear: Preset is "databse", allowed: conservative, moderate, aggressive, critical_service, non_critical_service, external_api, database, agent_execution, file_operations; did you mean "database"?
}

func ExampleNames() {
	for _, name := range presets.Names() {
		p, err := presets.Named(name)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%-20s  %2d failures, %d successes, open %v, call %v, retry %v\n",
			name, p.FailureThreshold, p.SuccessThreshold, p.Timeout, p.CallTimeout, p.Retry.Strategy)
	}
	// Output:
	// conservative           3 failures, 3 successes, open 2m0s, call 1m0s, retry exponential
	// moderate               5 failures, 2 successes, open 1m0s, call 30s, retry exponential
	// aggressive            10 failures, 1 successes, open 30s, call 15s, retry none
	// critical_service       2 failures, 3 successes, open 3m0s, call 1m30s, retry exponential
	// non_critical_service   8 failures, 1 successes, open 30s, call 10s, retry none
	// external_api           5 failures, 2 successes, open 1m0s, call 30s, retry exponential
	// database               3 failures, 2 successes, open 30s, call 10s, retry linear
	// agent_execution        4 failures, 2 successes, open 1m30s, call 2m0s, retry none
	// file_operations        3 failures, 2 successes, open 10s, call 5s, retry fixed
}

// With changes a copy. A Policy has all fields of core.Config.
func ExamplePolicy_With() {
	moderate := presets.Moderate()
	strict := moderate.With(func(p *presets.Policy) {
		p.FailureThreshold = 2
		p.FailureRateThreshold = 0.25
		p.Window = core.Window{For: time.Minute}
	})
	fmt.Println(moderate.FailureThreshold, moderate.Retry.Strategy, moderate.Retry.Enabled)
	fmt.Println(strict.FailureThreshold, strict.WithRetry().Retry.Enabled, strict.Timeout)

	wrong := strict.With(func(p *presets.Policy) { p.FailureRateThreshold = 50 })
	fmt.Println(wrong.Validate())
	// Output:
	// 5 exponential false
	// 2 true 1m0s
	// switchgear: FailureRateThreshold is 50, allowed: in (0, 1]; 0 for 0.5, negative for off
}

// A Retry of its own, and what is not made again although there are attempts
// left.
func ExampleRetry() {
	var registry presets.Registry
	policy := presets.Policy{Registry: &registry, Retry: presets.Retry{
		Enabled:      true,
		Strategy:     presets.StrategyExponential,
		Attempts:     4, // the first included
		InitialDelay: time.Millisecond,
	}}
	attempts := 0
	protected := presets.MustProtect("stock", policy, func(_ context.Context, err error) (int, error) {
		attempts++
		return 0, err
	})
	for _, err := range []error{errNoConnection, context.DeadlineExceeded} {
		attempts = 0
		_, _ = protected(context.Background(), err)
		fmt.Printf("%v: %d attempts\n", err, attempts)
	}

	policy.Retry.JitterFactor = 2
	fmt.Println(policy.Validate())
	// Output:
	// connection refused: 4 attempts
	// context deadline exceeded: 1 attempts
	// switchgear: Retry.JitterFactor is 2, allowed: in (0, 1]; 0 for 0.1, negative for none
}

// A policy by name comes before one by pattern, and that before the defaults.
func ExampleDecode() {
	fleet, err := presets.Decode(strings.NewReader(`
defaults:
  preset: moderate
policies:
  payments:
    preset: external_api
    failure_threshold: 3
    retry: {enabled: true, attempts: 2}
  "billing-*":
    preset: database
    timeout: 45s
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"payments", "billing-eu", "search"} {
		p := fleet.Policy(name)
		fmt.Printf("%s: %s, %d failures open it for %v, attempts: %d\n",
			name, p.Preset, p.FailureThreshold, p.Timeout, p.Retry.WithDefaults().Attempts)
	}
	// Output:
	// payments: external_api, 3 failures open it for 1m0s, attempts: 2
	// billing-eu: database, 3 failures open it for 45s, attempts: 1
	// search: moderate, 5 failures open it for 1m0s, attempts: 1
}

// All faults are reported at once, each with its line and column.
func ExampleDecode_errors() {
	_, err := presets.Decode(strings.NewReader(`
policies:
  payments:
    preset: external_apo
    failure_treshold: 3
    timeout: 45
  search:
    retry: {strategy: expnential}
    jitter: 2
`))
	fmt.Println(err)

	if fault, ok := errors.AsType[*presets.FileError](err); ok {
		fmt.Println("the first is in line", fault.Line)
	}
	// Output:
	// line 4:13: policies.payments.preset is "external_apo", allowed: conservative, moderate, aggressive, critical_service, non_critical_service, external_api, database, agent_execution, file_operations; did you mean "external_api"?
	// line 5:5: policies.payments.failure_treshold is not a known field; did you mean "failure_threshold"?
	// line 6:14: policies.payments.timeout has no unit: 45; write 45s, or timeout_ms: 45 for milliseconds
	// line 8:23: policies.search.retry.strategy is "expnential", allowed: none, fixed, linear, exponential or random; did you mean "exponential"?
	// line 9:13: policies.search.jitter is 2, allowed: in (0, 1); 0 or negative for none
	// the first is in line 4
}

// Only fields that differ from the preset, or from the defaults, are written.
func ExampleEncode() {
	fleet := &presets.Fleet{
		Registry: presets.Limits{Max: 500},
		Defaults: presets.Moderate(),
		Policies: map[string]presets.Policy{
			"payments":  presets.ExternalAPI().With(func(p *presets.Policy) { p.FailureThreshold = 3 }),
			"billing-*": presets.Database(),
		},
	}
	if err := presets.Encode(os.Stdout, fleet); err != nil {
		fmt.Println(err)
	}
	// Output:
	// registry:
	//   max: 500
	// policies:
	//   billing-*:
	//     preset: database
	//   payments:
	//     preset: external_api
	//     failure_threshold: 3
}

// New policies take effect at once, and a breaker keeps what it has seen.
func ExampleRegistry_Apply() {
	registry, err := presets.NewRegistry(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := presets.Aggressive().With(func(p *presets.Policy) { p.Registry = registry })
	query := presets.MustProtectFunc("db", policy, func(context.Context) error { return errNoConnection })
	for range 3 {
		_ = query(context.Background())
	}
	db, err := registry.Breakers().Get("db")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(db.Explain())

	fleet := &presets.Fleet{Policies: map[string]presets.Policy{"db": presets.AgentExecution()}}
	fmt.Println(registry.Apply(fleet))
	fmt.Println(db.Explain())

	// It is all or nothing.
	fleet.Policies["*"] = presets.Policy{Config: core.Config{FailureThreshold: 5000}}
	fmt.Println(registry.Apply(fleet))
	fmt.Println(db.Explain())
	// Output:
	// closed: 3 of 10 consecutive failures; failure rate 100 % of 50 %, but only 3 of 20 calls
	// <nil>
	// closed: 3 of 4 consecutive failures; failure rate 100 % of 50 %, but only 3 of 20 calls
	// presets: the policy of "*": switchgear: FailureThreshold is 5000, allowed: at most 1000; 0 for 5, negative for off
	// closed: 3 of 4 consecutive failures; failure rate 100 % of 50 %, but only 3 of 20 calls
}

// While a breaker is open, its health check asks the dependency; the break ends
// when it is well, not when an hour is over.
func ExampleRegistry_CheckHealth() {
	transitions := make(chan core.Transition, 8)
	var registry presets.Registry
	asked := 0
	policy := presets.Policy{
		Config: core.Config{
			FailureThreshold: 1, SuccessThreshold: 1, Timeout: time.Hour, MaxTimeout: time.Hour,
			Hooks: core.Hooks{Transition: func(_ context.Context, t core.Transition) { transitions <- t }},
		},
		HealthCheckInterval: 10 * time.Millisecond,
		HealthCheck: func(context.Context) error {
			if asked++; asked < 3 { // a breaker's checks are never run two at once
				return errNoConnection
			}
			return nil
		},
		Registry: &registry,
	}
	down := true
	query := presets.MustProtectFunc("db", policy, func(context.Context) error {
		if down {
			return errNoConnection
		}
		return nil
	})

	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- registry.CheckHealth(ctx) }()

	show := func() {
		t := <-transitions
		fmt.Printf("%v to %v: %s\n", t.From, t.To, t.Reason())
	}
	_ = query(ctx)
	show()
	show() // waits for the third check
	down = false
	_ = query(ctx)
	show()

	stop()
	fmt.Println(<-stopped)
	// Output:
	// closed to open: consecutive failures (1)
	// open to half-open: a health check passed
	// half-open to closed: the probes passed
	// <nil>
}

// A file in place of code. A file that is not valid changes nothing.
func ExampleWatch() {
	dir, err := os.MkdirTemp("", "presets")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "breakers.yaml")
	write := func(text string) {
		// By a rename: no reader sees half of it.
		if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
			fmt.Println(err)
		}
	}
	write("policies: {search: {preset: aggressive}}")
	fleet, err := presets.Load(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	registry, err := presets.NewRegistry(fleet)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("at first:", registry.Policy("search").FailureThreshold)

	ctx, stop := context.WithCancel(context.Background())
	faults := make(chan error, 1)
	var watching sync.WaitGroup
	watching.Go(func() {
		presets.Watch(ctx, path, registry, func(err error) { faults <- err })
	})

	write("policies: {search: {preset: aggressiv}}")
	if fault, ok := errors.AsType[*presets.FileError](<-faults); ok {
		fmt.Println("a fault in line", fault.Line, "in", fault.Field)
	}
	fmt.Println("still:", registry.Policy("search").FailureThreshold)

	write("policies: {search: {preset: aggressive, failure_threshold: 20}}")
	for registry.Policy("search").FailureThreshold == 10 {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("now:", registry.Policy("search").FailureThreshold)

	stop()
	watching.Wait()
	// Output:
	// at first: 10
	// a fault in line 1 in policies.search.preset
	// still: 10
	// now: 20
}

// A section that belongs to another part of the program is read as strictly.
func ExampleFleet_Section() {
	fleet, err := presets.Decode(strings.NewReader(`
policies:
  payments: {preset: external_api}
export:
  address: localhost:9464
  every: 15s
  lables: [eu]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	settings := struct {
		Address string        `json:"address"`
		Every   time.Duration `json:"every"`
		Labels  []string      `json:"labels"`
	}{Every: time.Minute} // what the section does not give stays
	found, err := fleet.Section("export", &settings)
	fmt.Println(found, settings.Address, settings.Every)
	fmt.Println(err)
	// Output:
	// true localhost:9464 15s
	// line 7:3: export.lables is not a known field; did you mean "labels"?
}

// A program that is restarted, or has crashed, goes on to leave alone what it had left
// alone before.
func ExampleRegistry_KeepState() {
	dir, err := os.MkdirTemp("", "state")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	program := func() error {
		var registry presets.Registry
		charge := presets.MustProtectFunc("payments", presets.Policy{
			Config: core.Config{FailureThreshold: 1}, Registry: &registry,
		}, func(context.Context) error { return errNoConnection })
		if err := registry.KeepState(filepath.Join(dir, "breakers.state")); err != nil {
			return err
		}
		err := charge(context.Background())
		return errors.Join(err, registry.FlushState()) // at an end that is in order
	}
	fmt.Println(program())
	fmt.Println("refused:", errors.Is(program(), core.ErrOpen))
	// Output:
	// connection refused
	// refused: true
}
