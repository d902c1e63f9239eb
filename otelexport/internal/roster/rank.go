package roster

import (
	"cmp"
	"strings"

	"github.com/blackbox4/switchgear/core"
)

// rank says who is exported first where there is no room for all.
type rank struct {
	level           int // 2 for a breaker that is not closed, 1 for one that is overridden
	failures, calls int // in its window
}

// rankOf is the least for a breaker that cannot be read; the exporter will tell.
func rankOf(sick *sick, b *core.Breaker) (r rank) {
	s, ok := sick.snapshot(b)
	switch {
	case !ok:
		return rank{}
	case s.State != core.Closed:
		r.level = 2
	case s.Override != core.NoOverride:
		r.level = 1
	}
	r.failures, r.calls = s.Window.Failures, s.Window.Calls
	return r
}

// byRank sorts the highest rank first, and by name what is equal.
func byRank(a, b candidate) int {
	return cmp.Or(
		cmp.Compare(b.rank.level, a.rank.level),
		cmp.Compare(b.rank.failures, a.rank.failures),
		cmp.Compare(b.rank.calls, a.rank.calls),
		strings.Compare(a.name, b.name))
}
