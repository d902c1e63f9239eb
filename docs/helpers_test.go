package docs_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/blackbox4/switchgear/core/failsafe"
)

// What the examples call: the reader's own functions, under the names that they have
// in the Python snippets.

var (
	ctx     = context.Background()
	errDown = errors.New("the service is down")
)

// onPage runs what an Example shows. The page has the body of f, up to the comment
// "Not on the page", without the return at its end.
func onPage(f func() error) {
	if err := f(); err != nil {
		fmt.Println("error:", err)
	}
}

// good is called by what has to succeed.
func good(err error) {
	if err != nil {
		panic(err)
	}
}

func externalAPICall(context.Context) (string, error)     { return "data", nil }
func riskyOperation(context.Context) (string, error)      { return "", errDown }
func callCriticalService(context.Context) (string, error) { return "done", nil }
func cachedResult() string                                { return "from the cache" }
func agentFunction(_ context.Context, topic string, depth int) (string, error) {
	return fmt.Sprintf("a report on %s, depth %d", topic, depth), nil
}
func alertTeam(text string) { fmt.Println("alert:", text) }
func escalateToHuman(conditions []failsafe.Condition) {
	fmt.Println("a person is called:", conditions[0].Message)
}
