// Command peers puts Switchgear's engine, its RoundTripper and its gRPC
// interceptors side by side with other Go circuit breakers and prints tables.
//
//	go -C benchmarks/peers run .                       # the tables, in some minutes
//	go -C benchmarks/peers run . -out ../RESULTS.md    # and keep them
//	go -C benchmarks/peers run . -quick                # does it all run? (seconds; the numbers mean nothing)
//	go -C benchmarks/peers test -bench .               # the same benchmarks, for benchstat
//
// # How to read the numbers
//
// Times on a shared machine move by 20 % and more from minute to minute, so no
// time is worth much alone. The driver therefore goes round all benchmarks pass
// by pass, a short sample of each: what is compared was measured within
// seconds. Ratios and differences are taken inside a pass, and the median over
// the passes is what counts; beside it stands the middle half of the passes.
// Treat two cells closer than 1.3 times as equal, those that allocate closer
// than 1.6 times. Allocations are exact.
//
// Every call goes through one func value, for all breakers alike; the floor
// "bare call" is what that alone costs. Serial is one goroutine, parallel is
// [testing.B.RunParallel] with 16 goroutines a core: the time is the wall time
// over all calls, so what scales shows a fraction of its serial time. What two
// cores tell about contention does not hold for 64.
//
// A sample during which the process had to wait for a core says nothing, in
// parallel least of all: with one core of two there is no contention. Such
// samples are taken again and, if that does not help, left out. Only Linux
// tells; elsewhere see to it that the machine is idle.
//
// Compare like with like: "do", "execute" and "run" call a function and survive
// its panic; "permit" and "two-step" only ask and report, which is cheaper.
//
// Each benchmark checks itself: a closed breaker that opens or refuses and an
// open one that admits are rows that failed. The command writes what all the
// others have measured, says which rows failed and why, and fails. A target that
// is not met does not make it fail; times are for people to judge.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// run is the command: the report goes to out, progress to progress.
func run(args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(progress)
	var p plan
	flags.IntVar(&p.passes, "passes", 15, "how many `samples` to take of each benchmark")
	flags.DurationVar(&p.length, "time", 30*time.Millisecond, "length of a sample")
	flags.Float64Var(&p.wait, "wait", 0.08, "leave out samples that waited for a core for more than this `share` of the time")
	file := flags.String("out", "", "`file` to write the tables to as well")
	quick := flags.Bool("quick", false, "one pass of tiny samples: shows that everything runs, not how fast")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.passes < 1 || p.length <= 0 || flags.NArg() > 0 {
		return errors.New("-passes and -time must be positive, and there are no arguments but flags")
	}
	p.instances, p.updates = manyInstances, updates{breakers: 100_000, times: 5, patience: 10 * time.Second}
	if *quick {
		p = plan{passes: 1, length: time.Millisecond, wait: math.Inf(1), instances: fewInstances, updates: updates{breakers: 100, times: 1, patience: time.Second}}
	}
	return measureAndReport(allBenches(), p, command(p, *file, *quick), *file, out, progress)
}

// measureAndReport writes what was measured also if rows failed, and then
// returns which and why.
func measureAndReport(benches []bench, p plan, command, file string, out, progress io.Writer) error {
	began := time.Now()
	m, failed, err := measure(benches, p, progress)
	if err != nil {
		return err
	}
	heaps, fault := weighAll(p.instances, progress)
	if fault != nil {
		failed = append(failed, *fault)
	}
	text := report(measured{m, heaps, measureUpdates(p.updates, progress), failed}, p, command)
	fmt.Fprintf(progress, "done in %v\n", time.Since(began).Round(time.Second))
	_, err = io.WriteString(out, text)
	if file != "" {
		err = cmp.Or(err, os.WriteFile(file, []byte(text), 0o644))
	}
	return cmp.Or(err, failed.err())
}

// command is how to run this again. Where the file is stays out of it.
func command(p plan, file string, quick bool) string {
	c := "go -C benchmarks/peers run ."
	if quick {
		c += " -quick"
	} else {
		c += fmt.Sprintf(" -passes %d -time %v -wait %v", p.passes, p.length, p.wait)
	}
	if file != "" {
		c += " -out ../" + filepath.Base(file)
	}
	return c
}
