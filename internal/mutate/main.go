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
// The source stays as it is: mutants are given to go test -overlay. Those that
// stand in functions are built together, each in a copy of its function, and an
// environment variable switches one on; others are built alone. The tests of the
// package, and of no other, run with -short. A mutant is killed if they fail or take longer than
// -timeout; how many did is printed, since a machine under load can make a
// survivor look killed.
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
	"math"
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

// sampler draws mutants that compile.
type sampler struct {
	*pkg

	known map[string]bool
	rest  []*mutant // in the order in which they are drawn
	total int
}

func (p *pkg) sampler(seed uint64, known map[string]bool) *sampler {
	all := p.mutants()
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return &sampler{p, known, all, len(all)}
}

// draw returns the next n, or fewer if there are no more.
func (s *sampler) draw(n int) []*mutant {
	var drawn []*mutant
	for len(drawn) < n && len(s.rest) > 0 {
		m := s.rest[0]
		s.rest = s.rest[1:]
		if !s.known[m.key()] && s.compiles(m) {
			drawn = append(drawn, m)
		}
	}
	return drawn
}

// measure runs a sample of the mutants of p and returns the percentage killed.
func (p *pkg) measure(ctx context.Context, w io.Writer, o options, known map[string]bool) (float64, error) {
	if o.n == 0 {
		o.n = math.MaxInt
	}
	from := p.sampler(o.seed, known)
	sample := from.draw(o.n)
	if o.list {
		for _, m := range sample {
			fmt.Fprintln(w, m)
		}
		return 100, nil
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	together, err := p.build(ctx, o, dir, p.batch(sample))
	if err != nil {
		return 0, err
	}
	if !together.built {
		return 0, fmt.Errorf("the tests do not compile, or not with mutants:\n%s", together.output)
	}
	began := time.Now()
	if v, out, err := together.run(ctx, o, 0); err != nil || v != survived {
		return 0, errors.Join(err, fmt.Errorf("the tests %s without a mutant:\n%s", cmp.Or(map[verdict]string{timedOut: "take too long"}[v], "fail"), out))
	}
	if o.timeout == 0 {
		o.timeout = 10*time.Second + 3*time.Since(began)
	}
	results, err := p.runAll(ctx, w, o, dir, together, sample, from)
	if err != nil {
		return 0, err
	}
	dead := results[killed] + results[timedOut]
	ran := dead + results[survived]
	if ran == 0 {
		return 100, nil
	}
	rate := 100 * float64(dead) / float64(ran)
	fmt.Fprintf(w, "%s: %d of %d mutants killed (%.1f %%), %d of them by timeout of %v; seed %d, drawn from %d\n",
		p.path, dead, ran, rate, results[timedOut], o.timeout.Round(time.Second), o.seed, from.total)
	return rate, nil
}

// runAll runs a sample and counts what became of it.
func (p *pkg) runAll(ctx context.Context, w io.Writer, o options, dir string, together binary, sample []*mutant, from *sampler) (results [notBuilt + 1]int, fault error) {
	var mu sync.Mutex
	next := func() *mutant {
		mu.Lock()
		defer mu.Unlock()
		if len(sample) == 0 || fault != nil {
			return nil
		}
		m := sample[0]
		sample = sample[1:]
		return m
	}
	one := func(m *mutant) {
		began := time.Now()
		v, err := p.judge(ctx, o, dir, together, m)
		mu.Lock()
		defer mu.Unlock()
		fault = cmp.Or(fault, err)
		results[v]++
		switch {
		case o.verbose:
			fmt.Fprintf(w, "%-9s %5.1fs  %s\n", v, time.Since(began).Seconds(), m)
		case v == survived && err == nil:
			fmt.Fprintln(w, m)
		}
		if v == notBuilt {
			sample = append(sample, from.draw(1)...)
		}
	}
	var workers sync.WaitGroup
	for range o.jobs {
		workers.Go(func() {
			for m := next(); m != nil; m = next() {
				one(m)
			}
		})
	}
	workers.Wait()
	return results, fault
}

// judge runs the tests with one mutant, of the batch if it is in it.
func (p *pkg) judge(ctx context.Context, o options, dir string, together binary, m *mutant) (verdict, error) {
	if m.number > 0 {
		v, _, err := together.run(ctx, o, m.number)
		return v, err
	}
	alone, err := p.build(ctx, o, dir, map[string][]byte{p.names[m.file]: p.apply(m)})
	if err != nil {
		return killed, err
	}
	defer os.Remove(alone.path)
	if !alone.built {
		return notBuilt, nil
	}
	v, _, err := alone.run(ctx, o, 0)
	return v, err
}
