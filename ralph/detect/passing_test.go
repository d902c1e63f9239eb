package detect_test

import (
	"fmt"
	"testing"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// A count of the attempts does not make it another work.
func TestPingPongThatCounts(t *testing.T) {
	for period := 2; period <= 4; period++ {
		g := gather(t, detect.Rules{Handoffs: off()})
		for i := range 5 * period {
			g.hand(word(i%period), word((i+1)%period), fmt.Sprintf("attempt %d: please take over this refund case from me", i))
		}
		g.want(detect.RuleHandoffCycle, fmt.Sprintf("%d nudge", 2*period), fmt.Sprintf("%d trip", 3*period))
	}
}

// Items that are numbered are other work, also if the answers have the same words.
func TestNumberedItemsAreAnswered(t *testing.T) {
	g := gather(t, detect.Rules{})
	for i := range 50 {
		g.hand("boss", "clerk", fmt.Sprintf("Please process the order with the number %d", i))
		g.hand("clerk", "boss", "Done, what is next?")
	}
	g.quiet()
}

// Whatever is said, so much is too much.
func TestHandoffsAreLimited(t *testing.T) {
	g := gather(t, detect.Rules{})
	for i := range 250 {
		g.hand(word(i%2), word((i+1)%2), report(i))
	}
	g.want(detect.RuleHops, "160 nudge", "200 trip")
	g.quiet(detect.RuleHops)
}
