package detect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/blackbox4/switchgear/ralph/detect"
)

// typical is a step like most: a command, and some twenty lines.
func typical(i int) detect.Step {
	return detect.Step{
		Tool: "bash",
		Args: fmt.Sprintf(`{"command":"cd /workspace/repo && grep -rn 'func %s' --include=*.go . | head -20","timeout":120,"description":"Find it"}`, word(i)),
		Output: fmt.Sprintf("./core/%s.go:%d:func (b *Breaker) Allow(ctx context.Context) (Permit, error) {\n", word(i), i) +
			strings.Repeat("./core/registry.go:118:// Allow admits a call or refuses it, and takes no lock for it.\n", 5),
		Tokens: 1200, Cost: 0.0125,
	}
}

func BenchmarkObserve(b *testing.B) {
	steps := make([]detect.Step, 64)
	size := 0
	for i := range steps {
		steps[i] = typical(i)
		size += len(steps[i].Args) + len(steps[i].Output)
	}
	b.Logf("%d bytes a step", size/len(steps))
	kinds := map[string]func(i int) detect.Step{
		"typical": func(i int) detect.Step { return steps[i%64] },
		"repeat":  func(int) detect.Step { return steps[0] },
		"reply":   func(i int) detect.Step { return detect.Step{Output: steps[i%64].Output[:250]} },
		"10 MB":   nil,
	}
	huge := detect.Step{Tool: "cat", Args: "big", Output: strings.Repeat("0123456789 some text ", 500_000)}
	kinds["10 MB"] = func(int) detect.Step { return huge }
	for _, name := range []string{"typical", "repeat", "reply", "10 MB"} {
		b.Run(name, func(b *testing.B) {
			d, err := detect.New(detect.Rules{Budgets: detect.Budgets{Wall: -1}, Calls: off()})
			if err != nil {
				b.Fatal(err)
			}
			run, now := d.NewRun(), time.Now()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s := kinds[name](i)
				s.At = now
				if _, err := run.Observe(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHandoff(b *testing.B) {
	d, err := detect.New(detect.Rules{})
	if err != nil {
		b.Fatal(err)
	}
	g, now := d.NewGraph(), time.Now()
	text := make([]string, 64)
	for i := range text {
		text[i] = report(i) + ", " + report(i+64) + ", " + report(i+128) + ", " + report(i+192)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := g.Handoff(detect.Handoff{At: now, From: "boss", To: "worker", Payload: text[i%64]}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProgress(b *testing.B) {
	d, err := detect.New(detect.Rules{})
	if err != nil {
		b.Fatal(err)
	}
	run, now := d.NewRun(), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		run.Progress("the same fingerprint as before", now)
	}
}
