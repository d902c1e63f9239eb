package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"
	"time"
)

// key names a benchmark.
type key struct{ scenario, subject string }

func (k key) String() string { return k.scenario + "/" + k.subject }

// sample is one measurement.
type sample struct {
	ns     float64
	allocs float64
	bytes  int64
}

// measurements are the samples of each benchmark by pass; ns is NaN for one that
// was left out, or that failed.
type measurements map[key][]sample

// plan is how to measure.
type plan struct {
	passes int
	length time.Duration // of a sample
	wait   float64       // share of a sample's time that it may wait for a core

	instances int // whose heap is weighed, at most
	updates   updates
}

// failure is a row that did not do what it is about.
type failure struct {
	row    key
	passes []int // in which it failed, from 1
	err    error // of the first of them
}

func (f failure) Error() string {
	return fmt.Sprintf("%v failed in pass %v: %v", f.row, f.passes, f.err)
}

// failures are the rows that failed, in the order in which they did.
type failures []failure

func (f *failures) add(row key, pass int, err error) {
	if i := slices.IndexFunc(*f, func(g failure) bool { return g.row == row }); i >= 0 {
		(*f)[i].passes = append((*f)[i].passes, pass)
		return
	}
	*f = append(*f, failure{row, []int{pass}, err})
}

// err returns them as one error, or nil.
func (f *failures) err() error {
	all := make([]error, len(*f))
	for i, failed := range *f {
		all[i] = failed
	}
	return errors.Join(all...)
}

// measure goes round the benchmarks pass by pass. A row that fails keeps the
// samples of its other passes, and all rows theirs.
func measure(benches []bench, p plan, progress io.Writer) (measurements, failures, error) {
	restore, err := sampleLength(p.length)
	if err != nil {
		return nil, nil, err
	}
	defer restore()
	m := make(measurements, len(benches))
	var failed failures
	for pass := range p.passes {
		fmt.Fprintf(progress, "pass %d of %d, %d benchmarks\n", pass+1, p.passes, len(benches))
		for _, b := range benches {
			wait := p.wait
			if b.twoSided {
				wait = math.Inf(1)
			}
			s, err := once(b, wait)
			if err != nil {
				failed.add(b.key(), pass+1, err)
				fmt.Fprintf(progress, "FAILED in pass %d: %v: %v\n", pass+1, b.key(), err)
			}
			m[b.key()] = append(m[b.key()], s)
		}
	}
	fmt.Fprintf(progress, "%d of %d samples left out\n", m.leftOut(), p.passes*len(benches))
	return m, failed, nil
}

// once takes a sample. One that is not good is taken again, a few times, and
// then left out.
func once(b bench, wait float64) (sample, error) {
	const tries = 4
	for range tries {
		var fault error
		r := testing.Benchmark(func(tb *testing.B) {
			if fault = recovered(func() error { return b.run(tb) }); fault != nil {
				tb.FailNow()
			}
		})
		if fault == nil && r.N == 0 {
			fault = errors.New("it ended without a result")
		}
		switch {
		case fault != nil && !b.overruns:
			return sample{ns: math.NaN()}, fault
		case fault == nil && r.Extra[waitedMetric] <= wait:
			return sample{float64(r.T.Nanoseconds()) / float64(r.N), float64(r.MemAllocs) / float64(r.N), r.AllocedBytesPerOp()}, nil
		}
	}
	return sample{ns: math.NaN()}, nil
}

// sampleLength sets how long [testing.Benchmark] runs, which only a flag of the
// testing package can. Inside go test the flag is there and is the user's.
func sampleLength(length time.Duration) (restore func(), err error) {
	const name = "test.benchtime"
	if flag.Lookup(name) == nil {
		testing.Init()
	}
	before := flag.Lookup(name).Value.String()
	if err := flag.Set(name, length.String()); err != nil {
		return nil, err
	}
	return func() { _ = flag.Set(name, before) }, nil // it was valid before
}

// spread is the median and the middle half of some values.
type spread struct{ low, median, high float64 }

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	at := func(share float64) float64 {
		pos := share * float64(len(v)-1)
		i := int(pos)
		if i+1 == len(v) {
			return v[i]
		}
		return v[i] + (pos-float64(i))*(v[i+1]-v[i])
	}
	return spread{at(0.25), at(0.5), at(0.75)}
}

// valid returns the samples of a benchmark that were not left out.
func (m measurements) valid(k key) []sample {
	return slices.DeleteFunc(slices.Clone(m[k]), func(s sample) bool { return math.IsNaN(s.ns) })
}

// ns returns the times of a benchmark; none if it was not run.
func (m measurements) ns(k key) []float64 {
	var v []float64
	for _, s := range m.valid(k) {
		v = append(v, s.ns)
	}
	return v
}

// leftOut returns how many samples were left out.
func (m measurements) leftOut() int {
	n := 0
	for k, samples := range m {
		n += len(samples) - len(m.valid(k))
	}
	return n
}

// allocs returns the median allocations and bytes of one operation.
func (m measurements) allocs(k key) (allocs, bytes int64) {
	var a, b []int64
	for _, s := range m.valid(k) {
		a, b = append(a, int64(s.allocs)), append(b, s.bytes)
	}
	slices.Sort(a)
	slices.Sort(b)
	return a[len(a)/2], b[len(b)/2]
}

// paired combines two benchmarks inside each pass.
func (m measurements) paired(a, b key, f func(a, b float64) float64) []float64 {
	var v []float64
	for i := range min(len(m[a]), len(m[b])) {
		if x := f(m[a][i].ns, m[b][i].ns); !math.IsNaN(x) {
			v = append(v, x)
		}
	}
	return v
}
