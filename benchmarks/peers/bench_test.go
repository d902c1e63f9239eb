package main

import "testing"

// Benchmark runs each benchmark under scenario/subject.
func Benchmark(b *testing.B) {
	for _, bench := range allBenches() {
		b.Run(bench.key().String(), func(b *testing.B) {
			b.ReportAllocs()
			switch err := bench.run(b); {
			case err != nil && bench.overruns:
				b.Skip(err)
			case err != nil:
				b.Fatal(err)
			}
		})
	}
}
