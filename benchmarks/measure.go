package main

import (
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
// was left out.
type measurements map[key][]sample

// plan is how to measure.
type plan struct {
	passes int
	length time.Duration // of a sample
	wait   float64       // share of a sample's time that it may wait for a core
}

// measure goes round the benchmarks pass by pass.
func measure(benches []bench, p plan, progress io.Writer) (measurements, error) {
	restore, err := sampleLength(p.length)
	if err != nil {
		return nil, err
	}
	defer restore()
	m := make(measurements, len(benches))
	for pass := range p.passes {
		fmt.Fprintf(progress, "pass %d of %d, %d benchmarks\n", pass+1, p.passes, len(benches))
		for _, b := range benches {
			wait := p.wait
			if b.twoSided {
				wait = math.Inf(1)
			}
			s, err := once(b, wait)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", b.key(), err)
			}
			m[b.key()] = append(m[b.key()], s)
		}
	}
	fmt.Fprintf(progress, "%d of %d samples left out\n", m.leftOut(), p.passes*len(benches))
	return m, nil
}

// once takes a sample. One that is not good is taken again, a few times, and
// then left out.
func once(b bench, wait float64) (sample, error) {
	const tries = 4
	for range tries {
		var fault error
		r := testing.Benchmark(func(tb *testing.B) {
			if fault = b.run(tb); fault != nil {
				tb.FailNow()
			}
		})
		switch {
		case fault != nil && !b.overruns:
			return sample{}, fault
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
