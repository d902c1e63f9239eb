// Command mutate measures what the tests of a package notice: it draws a random
// sample of small faults (mutants), plants one after the other, runs the tests of
// the package, and prints those that the tests let pass.
//
//	go run ./internal/mutate -n 60 -seed 1 ./presets
//
// For a package of another module, build it and run it there:
//
//	go build -o /tmp/mutate ./internal/mutate && cd otelexport/setup && /tmp/mutate .
//
// A mutant is one of: a condition negated; a comparison that includes its border
// or no longer does; == and != exchanged, && and ||, + and -, * and /, and so on;
// a statement removed; a result replaced by its zero value; an integer one more or
// less; a bool the other way; a case dropped. The sample depends only on the seed and
// the source. Mutants that do not compile are not counted, and another is drawn.
//
// The source stays as it is: a mutant is given to go test -overlay, which runs
// -short, without vet and without its cache. A mutant is killed if the tests fail or
// take longer than -timeout; how many did is printed, since a machine under load
// can make a survivor look killed.
//
// Each survivor is a line "file:line: old → new". One that no test can tell from
// the original (it is equivalent) can be put into the file that -known names, as
// that line without its line number, followed by "  # reason"; it is then not drawn.
// With -min the exit status is 1 if a smaller share, in percent, was killed.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"
)

type options struct {
	n, jobs int
	seed    uint64
	timeout time.Duration
	min     float64
	tags    string
	run     string
	known   string
	list    bool
	verbose bool
}

func main() {
	var o options
	flag.IntVar(&o.n, "n", 60, "how many mutants of each package are run; 0 for all")
	flag.Uint64Var(&o.seed, "seed", 1, "what the sample is drawn by")
	flag.DurationVar(&o.timeout, "timeout", 0, "how long the tests of a mutant may take; 0 for 10s and three times what they take without")
	flag.IntVar(&o.jobs, "j", 1, "how many mutants run at once")
	flag.Float64Var(&o.min, "min", 0, "the percentage that must be killed")
	flag.StringVar(&o.tags, "tags", "", "build tags")
	flag.StringVar(&o.run, "run", "", "the tests to run, as for go test; empty for all")
	flag.StringVar(&o.known, "known", "", "file of survivors that are equivalent")
	flag.BoolVar(&o.list, "list", false, "print the mutants of the sample and run none")
	flag.BoolVar(&o.verbose, "v", false, "print every mutant with what became of it")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	enough, err := measure(ctx, os.Stdout, o, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
	}
	if err != nil || !enough {
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// measure runs the mutants of every package and reports whether enough of each
// package's were killed.
func measure(ctx context.Context, w io.Writer, o options, patterns []string) (enough bool, err error) {
	if o.n < 0 || o.jobs < 1 || o.timeout < 0 {
		return false, errors.New("-n and -timeout must not be negative, -j must be at least 1")
	}
	known, err := readKnown(o.known)
	if err != nil {
		return false, err
	}
	packages, err := load(ctx, o.tags, patterns)
	if err != nil {
		return false, err
	}
	enough = true
	for _, p := range packages {
		rate, err := p.measure(ctx, w, o, known)
		if err != nil {
			return false, fmt.Errorf("%s: %w", p.path, err)
		}
		enough = enough && rate >= o.min
	}
	return enough, nil
}

// readKnown returns the survivors that are known to be equivalent, without their
// reasons.
func readKnown(file string) (map[string]bool, error) {
	known := make(map[string]bool)
	if file == "" {
		return known, nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(data), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		mutant, reason, ok := strings.Cut(line, "  # ")
		if !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s:%d: no reason; want \"file: old → new  # reason\"", file, i+1)
		}
		known[strings.TrimSpace(mutant)] = true
	}
	return known, nil
}

// what became of a mutant.
type verdict int

const (
	survived verdict = iota
	killed
	timedOut
	notBuilt
)

func (v verdict) String() string {
	return [...]string{"survived", "killed", "timed out", "not built"}[v]
}

// measure runs a sample of the mutants of p and returns the percentage killed.
func (p *pkg) measure(ctx context.Context, w io.Writer, o options, known map[string]bool) (float64, error) {
	all := p.mutants()
	total := len(all)
	random := rand.New(rand.NewPCG(o.seed, 0))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var mu sync.Mutex
	count, last := 0, 0
	// next returns a mutant that compiles, or nil once there are enough.
	next := func() *mutant {
		mu.Lock()
		defer mu.Unlock()
		for (o.n == 0 || count < o.n) && last < len(all) && ctx.Err() == nil {
			m := all[last]
			last++
			if !known[m.key()] && p.compiles(m) {
				count++
				return m
			}
		}
		return nil
	}
	if o.list {
		for m := next(); m != nil; m = next() {
			fmt.Fprintln(w, m)
		}
		return 100, nil
	}
	began := time.Now()
	if v, out, err := p.test(ctx, nil, o); err != nil || v != survived {
		return 0, errors.Join(err, fmt.Errorf("the tests %s without a mutant:\n%s", cmp.Or(map[verdict]string{timedOut: "take too long"}[v], "fail"), out))
	}
	if o.timeout == 0 {
		o.timeout = 10*time.Second + 3*time.Since(began)
	}
	var results [notBuilt + 1]int
	var fault error
	var workers sync.WaitGroup
	for range o.jobs {
		workers.Go(func() {
			for m := next(); m != nil; m = next() {
				began := time.Now()
				v, _, err := p.test(ctx, m, o)
				mu.Lock()
				switch fault = cmp.Or(fault, err); {
				case err != nil:
					count, last = 0, len(all)
				case v == notBuilt:
					count--
				case v == survived && !o.verbose:
					fmt.Fprintln(w, m)
				}
				results[v]++
				if o.verbose {
					fmt.Fprintf(w, "%-9s %5.1fs  %s\n", v, time.Since(began).Seconds(), m)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if err := cmp.Or(fault, ctx.Err()); err != nil {
		return 0, err
	}
	dead := results[killed] + results[timedOut]
	ran := dead + results[survived]
	if ran == 0 {
		return 100, nil
	}
	rate := 100 * float64(dead) / float64(ran)
	fmt.Fprintf(w, "%s: %d of %d mutants killed (%.1f %%), %d of them by timeout of %v; seed %d, sample of %d\n",
		p.path, dead, ran, rate, results[timedOut], o.timeout.Round(time.Second), o.seed, total)
	return rate, nil
}
