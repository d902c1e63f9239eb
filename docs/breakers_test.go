package docs_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

func Example_call() {
	down := true
	externalAPICall := func(ctx context.Context) (string, error) {
		if down {
			return "", errDown
		}
		return externalAPICall(ctx)
	}
	onPage(func() error {
		breaker, err := presets.Moderate().With(func(p *presets.Policy) {
			p.FailureThreshold = 5
			p.Timeout = 60 * time.Second
		}).Breaker("external-api")
		if err != nil {
			return err
		}

		fetch := func(ctx context.Context) (string, error) {
			result, err := core.Do(ctx, breaker, externalAPICall)
			if errors.Is(err, core.ErrOpen) {
				fmt.Println("Circuit is open - using fallback")
				return cachedResult(), nil
			}
			return result, err
		}
		// Not on the page.
		down = false
		fmt.Println(fetch(ctx))
		down = true
		for range 6 {
			fmt.Println(fetch(ctx))
		}
		return nil
	})
	// Output:
	// data <nil>
	//  the service is down
	//  the service is down
	//  the service is down
	//  the service is down
	//  the service is down
	// Circuit is open - using fallback
	// from the cache <nil>
}

func Example_decorator() {
	onPage(func() error {
		policy := presets.Moderate().With(func(p *presets.Policy) { p.FailureThreshold = 5 })
		callExternalAPI := presets.MustProtectCall("external-api", policy, externalAPICall)

		result, err := callExternalAPI(ctx)
		// Not on the page.
		fmt.Println(result, err)
		breaker, err := presets.Default().Breakers().Get("external-api")
		good(err)
		fmt.Println(breaker.State())
		return nil
	})
	// Output:
	// data <nil>
	// closed
}

func Example_thresholds() {
	onPage(func() error {
		// For critical systems: use conservative.
		payments, err := presets.Conservative().With(func(p *presets.Policy) {
			p.FailureThreshold = 2      // trip quickly
			p.Timeout = 3 * time.Minute // longer recovery
		}).Breaker("payment-gateway")
		if err != nil {
			return err
		}

		// For non-critical ones: use aggressive.
		cache, err := presets.Aggressive().With(func(p *presets.Policy) {
			p.FailureThreshold = 10      // trip slowly
			p.Timeout = 30 * time.Second // quick recovery
		}).Breaker("cache-service")
		if err != nil {
			return err
		}
		// Not on the page.
		fmt.Println(payments.Config().FailureThreshold, payments.Config().Timeout)
		fmt.Println(cache.Config().FailureThreshold, cache.Config().Timeout)
		return nil
	})
	// Output:
	// 2 3m0s
	// 10 30s
}

func Example_fallback() {
	policy := presets.Moderate().With(func(p *presets.Policy) { p.Registry = new(presets.Registry) })
	breaker, err := policy.Breaker("risky")
	good(err)
	for range 5 {
		breaker.Record(ctx, core.Failure, errDown, 0)
	}
	onPage(func() error {
		result, err := core.Do(ctx, breaker, riskyOperation)
		if errors.Is(err, core.ErrOpen) {
			result, err = cachedResult(), nil
		}
		// Not on the page.
		fmt.Println(result, err)
		return nil
	})
	// Output: from the cache <nil>
}

func Example_retry() {
	onPage(func() error {
		policy := presets.Conservative().WithRetry().With(func(p *presets.Policy) {
			p.FailureThreshold = 3
			p.Timeout = 120 * time.Second
		})
		critical := presets.MustProtectCall("critical-service", policy, callCriticalService)

		result, err := critical(ctx)
		// Not on the page.
		fmt.Println(result, err)
		fmt.Println(policy.Retry.Enabled, policy.Retry.Attempts, policy.Retry.InitialDelay)
		return nil
	})
	// Output:
	// done <nil>
	// true 2 2s
}

func Example_named() {
	onPage(func() error {
		policy, err := presets.Named("conservative") // get_preset
		if err != nil {
			return err // it lists the names that there are
		}
		fmt.Println(policy.FailureThreshold, policy.Timeout)
		fmt.Println(presets.Names()) // list_presets
		return nil
	})
	// Output:
	// 3 2m0s
	// [conservative moderate aggressive critical_service non_critical_service external_api database agent_execution file_operations]
}

func Example_file() {
	dir, err := os.MkdirTemp("", "docs")
	good(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "breakers.yaml")
	good(os.WriteFile(path, []byte(fences("yaml")[0].text), 0o600))
	onPage(func() error {
		fleet, err := presets.Load(path)
		if err != nil {
			return err // each fault with its line, value and remedy
		}
		registry, err := presets.NewRegistry(fleet)
		if err != nil {
			return err
		}
		policy := presets.Moderate().With(func(p *presets.Policy) { p.Registry = registry })
		critical := presets.MustProtectCall("critical-service", policy, callCriticalService) // as the file says
		// Not on the page.
		fmt.Println(critical(ctx))
		breaker, err := registry.Breakers().Get("critical-service")
		good(err)
		c, r := breaker.Config(), registry.Policy("critical-service").Retry
		fmt.Println(c.FailureThreshold, c.Timeout, c.Window.Calls, r.Enabled, r.Attempts)
		return nil
	})
	// Output:
	// done <nil>
	// 3 2m0s 50 true 2
}

func Example_record() {
	breaker, err := presets.Moderate().Breaker("external-api")
	good(err)
	onPage(func() error {
		breaker.Record(ctx, core.Success, nil, 120*time.Millisecond)
		breaker.Record(ctx, core.Failure, errors.New("HTTP 503"), 80*time.Millisecond)

		if breaker.State() != core.Closed {
			breaker.Reset()
		}
		// Not on the page.
		fmt.Println(breaker.Explain())
		return nil
	})
	// Output: closed: 1 of 5 consecutive failures; failure rate 50 % of 50 %, but only 2 of 20 calls
}

func Example_restart() {
	dir, err := os.MkdirTemp("", "docs")
	good(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "breakers.state")
	before := new(presets.Registry)
	good(before.KeepState(path))
	down, err := before.Breakers().Get("external-api")
	good(err)
	for range 5 {
		down.Record(ctx, core.Failure, errDown, 0)
	}
	good(before.FlushState())

	onPage(func() error {
		registry := new(presets.Registry)
		if err := registry.KeepState(path); err != nil {
			return err
		}
		defer registry.FlushState() // when the program ends in order
		// Not on the page.
		breaker, err := registry.Breakers().Get("external-api")
		good(err)
		fmt.Println(breaker.State())
		return nil
	})
	// Output: open
}
