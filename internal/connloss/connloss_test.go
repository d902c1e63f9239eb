package connloss

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

func equal(a, b int) bool { return a == b }

func TestALossIsCountedOnce(t *testing.T) {
	var l Conns[int]
	begun := l.Begin()
	for i, c := range []struct {
		key  string
		conn int
		text string
		want bool
	}{
		{"a", 1, "EOF", true},
		{"a", 1, "EOF", false},
		{"b", 1, "EOF", true}, // each breaker counts it
		{"a", 2, "EOF", true},
		{"a", 1, "reset", true},
		{"a", 2, "EOF", false},
	} {
		if got := l.First(begun, c.key, c.conn, equal, c.text); got != c.want {
			t.Errorf("%d: the first is %t, want %t", i, got, c.want)
		}
	}
	if !l.First(l.Begin(), "a", 1, equal, "EOF") {
		t.Error("a call that has begun after the loss is taken for one that ended with it")
	}
}

// Old losses are forgotten: memory is bounded.
func TestOldLossesAreForgotten(t *testing.T) {
	var l Conns[int]
	begun := l.Begin()
	for i := range len(l.last) + 1 {
		l.First(begun, "a", i, equal, "EOF")
	}
	if !l.First(begun, "a", 0, equal, "EOF") || l.First(begun, "a", 2, equal, "EOF") {
		t.Error("want the first loss to be forgotten, and the third to be known")
	}
}

func TestManyAtOnce(t *testing.T) {
	var l Conns[int]
	begun := l.Begin()
	var first atomic.Int64
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			if l.First(begun, fmt.Sprint(i%4), 1, equal, "EOF") {
				first.Add(1)
			}
		})
	}
	all.Wait()
	if got := first.Load(); got != 4 {
		t.Errorf("%d are the first, want one of each of 4 breakers", got)
	}
}
