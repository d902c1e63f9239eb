//go:build perturb

package core

import (
	"math/rand/v2"
	"runtime"
)

// perturb yields at one in three of its points.
func perturb() {
	if rand.IntN(3) == 0 {
		runtime.Gosched()
	}
}
