package ralph_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/blackbox4/switchgear/ralph"
	"github.com/blackbox4/switchgear/ralph/detect"
)

// An agent asks the same again and again. It is told so, and when it does not
// listen, it is stopped and a person is called.
func Example() {
	supervisor, err := ralph.New(ralph.Config{
		OnEvent: func(e ralph.Event) { fmt.Println(">>", e.Kind, e.Cause.Rule, e.Cause.Count) },
	})
	if err != nil {
		panic(err)
	}
	defer supervisor.Close(context.Background())
	agent, err := supervisor.Monitor("ticket-4711", ralph.Options{Name: "researcher"})
	if err != nil {
		panic(err)
	}

	ctx := context.Background()
	for { // the loop that drives the agent
		err := agent.Execute(ctx, func(ctx context.Context) error {
			if text, ok := agent.Nudge(); ok {
				fmt.Println("to the model:", text)
			}
			if err := agent.AllowModelCall(ctx); err != nil {
				return err
			}
			// Here the model is called; it wants to search.
			_, err := agent.Observe(detect.Step{Tool: "search", Args: `{"q":"atlantis"}`, Output: "nothing found", Tokens: 350})
			return err
		})
		if errors.Is(err, ralph.ErrFailsafeTriggered) {
			fmt.Println("stopped")
			break
		}
	}
	// Output:
	// >> nudged repeat 3
	// to the model: You have called search 3 times in a row with the same arguments and the same result. Another call will not change it: use the result you have, try something else, or say what is missing.
	// >> escalated repeat 5
	// stopped
}

// A call that is refused can be answered in the name of the tool, so that the model
// knows what to do instead.
func ExamplePausedError_ToolResult() {
	supervisor, err := ralph.New(ralph.Config{})
	if err != nil {
		panic(err)
	}
	defer supervisor.Close(context.Background())
	agent, err := supervisor.Monitor("run-1", ralph.Options{Budget: detect.Budgets{Tokens: 1000}})
	if err != nil {
		panic(err)
	}
	if _, err := agent.Observe(detect.Step{Tool: "read", Output: "a long text", Tokens: 1200}); err != nil {
		panic(err)
	}
	var refusal *ralph.PausedError
	if err := agent.AllowTool(context.Background(), "read", `{"page":2}`); errors.As(err, &refusal) {
		fmt.Println(refusal.ToolResult())
	}
	// Output:
	// This call was not made. 1200 tokens are used. Finish with what you have, and say what is left. The budget of this task is used up. Do not call any more tools; answer now with what you have, and say what is missing.
}

// What agents of a tree use is shared, and hand-offs that go round in a circle are
// found by what is handed over.
func ExampleSupervisor_Handoff() {
	supervisor, err := ralph.New(ralph.Config{})
	if err != nil {
		panic(err)
	}
	defer supervisor.Close(context.Background())
	for _, id := range []string{"sales", "support"} {
		if _, err := supervisor.Monitor(id, ralph.Options{Name: id}); err != nil {
			panic(err)
		}
	}
	from, to := "sales", "support"
	for hop := 1; ; hop++ {
		finding, err := supervisor.Handoff(from, to, "The customer wants a refund. This is yours.")
		if err != nil {
			fmt.Printf("refused at hand-off %d: %v, %v\n", hop, finding.Rule, finding.Agents)
			return
		}
		from, to = to, from
	}
	// Output:
	// refused at hand-off 6: handoff_cycle, [sales support]
}
