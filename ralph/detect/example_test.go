package detect_test

import (
	"fmt"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// An agent runs the tests, changes nothing, and runs them again.
func Example() {
	detector, err := detect.New(detect.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}
	run := detector.NewRun()
	for i := range 5 {
		findings, err := run.Observe(detect.Step{
			Tool:   "bash",
			Args:   `{"command": "go test ./..."}`,
			Output: fmt.Sprintf("FAIL example.com/shop/cart 0.0%ds", i),
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, f := range findings {
			fmt.Printf("step %d: %v, %v, severity %v\n%s\n", i+1, f.Rule, f.Level, f.Severity, f.Message)
		}
	}
	// Output:
	// step 3: repeat, nudge, severity low
	// You have called bash 3 times in a row with the same arguments and the same result. Another call will not change it: use the result you have, try something else, or say what is missing.
	// step 5: repeat, trip, severity high
	// You have called bash 5 times in a row with the same arguments and the same result. Another call will not change it: use the result you have, try something else, or say what is missing.
}

// Two agents give each other the same work.
func ExampleGraph() {
	detector, err := detect.New(detect.Rules{})
	if err != nil {
		fmt.Println(err)
		return
	}
	graph := detector.NewGraph()
	for i := range 6 {
		from, to := "billing", "support"
		if i%2 == 1 {
			from, to = to, from
		}
		findings, err := graph.Handoff(detect.Handoff{From: from, To: to, Payload: "The customer wants a refund, please handle this"})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, f := range findings {
			if f.Rule == detect.RuleHandoffCycle {
				fmt.Printf("hand-off %d: %v, %v times, %v\n", i+1, f.Level, f.Count, f.Agents)
			}
		}
	}
	// Output:
	// hand-off 4: nudge, 2 times, [billing support]
	// hand-off 6: trip, 3 times, [billing support]
}

// Two agents share a budget.
func ExampleBudget() {
	team, err := detect.NewBudget(detect.Budgets{Cost: 2}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range []string{"ann", "bob"} {
		own, err := detect.NewBudget(detect.Budgets{}, team)
		if err != nil {
			fmt.Println(err)
			return
		}
		call, err := own.Reserve(detect.Use{Cost: 1.5}, start())
		if err != nil {
			fmt.Println(name, "has to wait:", err)
			continue
		}
		if _, err := call.Settle(detect.Use{Cost: 1.25}, start()); err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%s has used %.2f\n", name, own.Used().Cost)
	}
	// Output:
	// ann has used 1.25
	// bob has to wait: detect: budget exhausted: cost: The task has cost 1.25. Finish with what you have, and say what is left.
}
