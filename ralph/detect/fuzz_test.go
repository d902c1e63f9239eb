package detect

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

// FuzzCallKey checks that white space and the order of keys in JSON do not matter,
// by what encoding/json makes of it, and that no text is too strange.
func FuzzCallKey(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `[]`, `{"b":1,"a":[1,2,{"x":null}]}`, `{"a":"123e4567-e89b-12d3-a456-426614174000","b":"x"}`, `"\\\""`, `{"a":"\u00e9\n"}`,
		`{"t":"2024-05-15T15:00:00Z","p":"/tmp/x/y","d":"1h2m","h":"localhost:80","x":"0x1F deadbeef1"}`, "\xff", `{"a":1,"a":2}`, `[1e5,-0.5,true]`,
		strings.Repeat("[", 70), "12:34:56 /tmp/ 0x 1.5s 2024-01-01",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key := keyOf("t", s)
		if key != keyOf("t", s) {
			t.Fatal("not the same twice")
		}
		var v any
		dec := json.NewDecoder(strings.NewReader(s))
		dec.UseNumber()
		if dec.Decode(&v) != nil || dec.More() || len(s) > maxJSON/8 || !plain(v, 0) || strings.Contains(s, `\`) || repeatsKey(s) {
			return // it is text, or the same written otherwise
		}
		if _, err := dec.Token(); err == nil {
			return
		}
		indented, err := json.MarshalIndent(v, " ", "\t")
		if err != nil || strings.Contains(string(indented), `\`) {
			return
		}
		if keyOf("t", string(indented)) != key {
			t.Errorf("%q and %q differ", s, indented)
		}
	})
}

// plain reports whether v is not too deep and has no text that JSON writes in more
// than one way.
func plain(v any, depth int) bool {
	switch v := v.(type) {
	case string:
		return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) })
	case []any:
		for _, e := range v {
			if !plain(e, depth+1) {
				return false
			}
		}
	case map[string]any:
		for k, e := range v {
			if !plain(k, depth) || !plain(e, depth+1) {
				return false
			}
		}
	}
	return depth < maxDepth
}

// repeatsKey reports whether an object has a key twice, of which encoding/json keeps
// one: there are then more colons than keys.
func repeatsKey(s string) bool {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return true
	}
	return strings.Count(s, `":`)+strings.Count(s, `" `) > members(v)
}

func members(v any) (n int) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += members(e)
		}
	case map[string]any:
		for _, e := range v {
			n += 1 + members(e)
		}
	}
	return n
}

// FuzzMask checks that what is masked is so wherever it stands, that words around it
// count, and that comparing reads the same thing always.
func FuzzMask(f *testing.F) {
	for _, s := range []string{"", "a", "x/tmp/", "2024-", "12", "deadbeef", "0x", "1h", ":80", "\xe8", "http://h", "localhost"} {
		f.Add(s, s+"b")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, m := range []masking{verbatim, ids, numbers} {
			h := func(s string) uint64 { t := text{h: seed}; t.add(s, m); return t.h }
			if a == b && h(a) != h(b) {
				t.Fatal("equal texts differ")
			}
			if m == verbatim && a != b && h(a) == h(b) && max(len(a), len(b)) <= maxText {
				t.Fatalf("%q and %q are equal", a, b)
			}
			if m == verbatim {
				continue
			}
			for _, id := range [][2]string{
				{"123e4567-e89b-12d3-a456-426614174000", "ffffffff-0000-4111-8222-333333333333"},
				{"deadbeef01", "0c0ffee"},
				{"2024-05-15T15:00:00Z", "1999-12-31T23:59:59Z"},
				{"0x1f", "0xfe"},
			} {
				if x, y := a+" "+id[0]+" "+b, a+" "+id[1]+" "+b; len(x) <= maxText && h(x) != h(y) {
					t.Fatalf("%q and %q differ", x, y)
				}
			}
			if x, y := a+" left "+b, a+" right "+b; len(x) < maxText && h(x) == h(y) {
				t.Fatalf("%q and %q are equal", x, y)
			}
		}
		g, k := gistOf(a), gistOf(b)
		if g.near(&k) != k.near(&g) {
			t.Fatal("near is not symmetric")
		}
		if x := gistOf(a); g.Words > 0 && !g.near(&x) {
			t.Fatal("a text is not near to itself")
		}
		similarOf(a)
	})
}

// FuzzSaved checks that no saved state, also one that is damaged and has the right
// checksum, makes anything panic later.
func FuzzSaved(f *testing.F) {
	d, err := New(Rules{})
	if err != nil {
		f.Fatal(err)
	}
	run, graph := d.NewRun(), d.NewGraph()
	budget, err := NewBudget(Budgets{Tokens: 10}, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"a", "b", "a", "b", "c"} {
		if _, err := run.Observe(Step{At: time.Unix(1e9, 0), Tool: s, Args: s, Output: s}); err != nil {
			f.Fatal(err)
		}
		if _, err := graph.Handoff(Handoff{At: time.Unix(1e9, 0), From: s, To: "x", Payload: "a b c d e f"}); err != nil {
			f.Fatal(err)
		}
		run.Progress(s, time.Time{})
	}
	for _, one := range []interface{ AppendBinary([]byte) ([]byte, error) }{run, graph, budget} {
		data, err := one.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[headSize:], data[0])
	}
	f.Fuzz(func(t *testing.T, rest []byte, kind byte) {
		data := seal(append(make([]byte, headSize), rest...), 0, kind)
		if run := d.NewRun(); run.UnmarshalBinary(data) == nil {
			for i := range 30 {
				if _, err := run.Observe(Step{At: time.Unix(1e9+int64(i), 0), Tool: "ab"[i%2 : i%2+1], Err: "x", Confidence: new(0.1)}); err != nil {
					t.Fatal(err)
				}
			}
			run.Check(time.Time{})
			run.Due()
			run.Progress("x", time.Time{})
			run.Nudged(RuleWindow)
			run.Resume(time.Unix(1e9, 0))
			if _, err := run.Iteration(Iteration{Failed: true}); err != nil {
				t.Fatal(err)
			}
		}
		if g := d.NewGraph(); g.UnmarshalBinary(data) == nil {
			for i := range 40 {
				if _, err := g.Handoff(Handoff{From: "ab"[i%2 : i%2+1], To: "ba"[i%2 : i%2+1], Payload: "a b c d"}); err != nil {
					t.Fatal(err)
				}
				g.Acted("a", uint64(i))
			}
			g.Progress("x")
		}
		if b, err := NewBudget(Budgets{Tokens: 10, Wall: 1, Idle: 1}, nil); err == nil && b.UnmarshalBinary(data) == nil {
			if _, err := b.Spend(Use{Tokens: math.MaxInt64, Cost: 1e9}, time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
			b.Check(time.Time{})
			b.Due()
		}
	})
}
