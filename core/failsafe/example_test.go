package failsafe_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/core/failsafe"
)

// A breaker and the vitals of the machine stand in front of the same calls.
func Example() {
	vitals, err := failsafe.New(failsafe.Config{Memory: 85, DiskPaths: []string{"."}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go vitals.Run(ctx)

	gate := core.All(core.MustNew("billing", core.Config{}), vitals)
	receipt, err := core.Do(ctx, gate, func(context.Context) (string, error) { return "paid", nil })
	if refusal, ok := errors.AsType[*failsafe.Error](err); ok {
		fmt.Println("not on this machine:", refusal.Conditions[0].Message, "- again in", refusal.RetryAfter())
		return
	}
	fmt.Println(receipt, err)
	// Output:
	// paid <nil>
}

// What a breaker has counted in the last minute, as conditions.
func ExampleErrorLimits() {
	breaker := core.MustNew("billing", core.Config{History: time.Minute})
	for range 5 {
		_ = breaker.Do(context.Background(), func(context.Context) error { return errors.New("no route to host") })
	}
	for _, c := range (failsafe.ErrorLimits{}).Conditions(breaker.Snapshot()) {
		fmt.Println(c.Type, c.Severity, "-", c.Message)
	}
	// Output:
	// consecutive_errors high - 5 calls in a row of "billing" failed, and 5 are too many
}

// A check is made at once, without vitals that run.
func ExampleDetector() {
	detector := failsafe.Detector{Confidence: 0.5}
	conditions, err := detector.CheckConfidence(0.08)
	if err != nil {
		fmt.Println(err)
	}
	for _, c := range conditions {
		fmt.Println(c.Type, c.Severity, "-", c.Message)
	}
	if _, err := detector.CheckResources(context.Background()); err != nil { // CPU, memory, disk
		fmt.Println(err)
	}
	// Output:
	// confidence high - a confidence of 0.08, and below 0.5 is too little
}
