package keycache

import (
	"strings"
	"testing"
)

type pair struct{ a, b string }

func TestACacheReturnsOnlyWhatItWasToldOf(t *testing.T) {
	var c Cache[pair]
	if _, ok := c.Get(1, pair{}); ok {
		t.Error("the zero cache knows a key")
	}
	c.Put(1, pair{"a", "b"}, "a/b")
	c.Put(2, pair{"c", "d"}, strings.Repeat("k", MaxKey+1))
	if key, ok := c.Get(1, pair{"a", "b"}); !ok || key != "a/b" {
		t.Errorf("Get = %q, %t; want a/b", key, ok)
	}
	for hash, from := range map[uint64]pair{1: {"ab", ""}, 1 + slots: {"a", "x"}, 2: {"c", "d"}} {
		if key, ok := c.Get(hash, from); ok {
			t.Errorf("Get(%d, %v) = %q, want nothing", hash, from, key)
		}
	}
	c.Put(1+slots, pair{"e", "f"}, "e/f") // in the same place
	if _, ok := c.Get(1, pair{"a", "b"}); ok {
		t.Error("a key whose place was taken is still there")
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	var c Cache[pair]
	c.Put(1, pair{"a", "b"}, "a/b")
	if n := testing.AllocsPerRun(100, func() { c.Get(1, pair{"a", "b"}) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
