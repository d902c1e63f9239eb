package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// module writes a module of one package into a directory of its own, and makes
// that the working directory.
func module(t *testing.T, code, test string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"go.mod":      "module example.com/m\n\ngo 1.26\n",
		"p/p.go":      "package p\n\n" + code,
		"p/p_test.go": "package p\n\nimport \"testing\"\n\n" + test,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func printed(t *testing.T, o options) (string, bool) {
	t.Helper()
	var out strings.Builder
	o.jobs = max(o.jobs, 1)
	enough, err := measure(t.Context(), &out, o, []string{"./p"})
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), enough
}

func TestEachKindOfMutantIsMade(t *testing.T) {
	module(t, `import "strings"

func F(a, b int, s string, e error) (n int, t string, ok bool, p *strings.Builder, err error) {
	if a < b && s != "x" {
		n = a + b
	}
	for i := 0; i <= 3; i++ {
		n -= i
	}
	switch {
	case a == 4:
		return n, s + "y", true, nil, e
	default:
		print(s)
	}
	return n, "", s == "z", new(strings.Builder), nil
}

type T struct{ A int }

func G(t T) T { return t }
`, "func TestF(*testing.T) {}\n")
	got, _ := printed(t, options{list: true, seed: 3})
	for _, want := range []string{
		`if a < b && s != "x" { → if a <= b && s != "x" {`,
		`if a < b && s != "x" { → if a < b || s != "x" {`,
		`if a < b && s != "x" { → if a < b && s == "x" {`,
		`if a < b && s != "x" { → if !(a < b && s != "x") {`,
		`n = a + b → n = a - b`,
		"n = a + b → \n",
		`for i := 0; i <= 3; i++ { → for i := 0; i < 3; i++ {`,
		`for i := 0; i <= 3; i++ { → for i := 0; i <= 4; i++ {`,
		`for i := 0; i <= 3; i++ { → for i := 0; i <= 2; i++ {`,
		`for i := 0; i <= 3; i++ { → for i := 1; i <= 3; i++ {`,
		`n -= i → n += i`,
		`case a == 4: → case a != 4:`,
		`case a == 4: return n, s + "y", true, nil, e → `,
		"default: print(s) → \n",
		`return n, s + "y", true, nil, e → return n, s + "y", !(true), nil, e`,
		`return n, s + "y", true, nil, e → return n, s + "y", true, nil, nil`,
		`return n, s + "y", true, nil, e → return n, "", true, nil, e`,
		`return n, s + "y", true, nil, e → return 0, s + "y", true, nil, e`,
		`return n, "", s == "z", new(strings.Builder), nil → return n, "", s == "z", nil, nil`,
		"print(s) → \n",
		`func G(t T) T { return t } → func G(t T) T { return *new(T) }`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no mutant %s", want)
		}
	}
	for _, wrong := range []string{`s - "y"`, "i := -1; i <= 3; i--"} {
		if strings.Contains(got, wrong) {
			t.Errorf("there is a mutant %s", wrong)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

func TestTheSampleDependsOnTheSeed(t *testing.T) {
	module(t, "func F(a, b int) int {\n\tif a < b {\n\t\treturn 2*a + 3*b\n\t}\n\treturn 4*a - 5*b\n}\n", "func TestF(*testing.T) {}\n")
	sample := func(seed uint64) string {
		got, _ := printed(t, options{list: true, seed: seed, n: 5})
		if n := strings.Count(got, "\n"); n != 5 {
			t.Errorf("%d mutants, want 5", n)
		}
		return got
	}
	if first, again := sample(1), sample(1); first != again {
		t.Error("the same seed draws another sample")
	}
	if sample(1) == sample(2) {
		t.Error("another seed draws the same sample")
	}
}

// A mutant that a test notices is killed, one that none does is printed, one
// that does not end is killed by time; the rate is over all of them.
func TestSurvivorsArePrinted(t *testing.T) {
	module(t, "func Big(n int) bool { return n > 9 }\n\nfunc Wait() {\n\tfor ready := false; !ready; {\n\t\tready = true\n\t}\n}\n",
		"func TestBig(t *testing.T) {\n\tWait()\n\tif Big(3) || !Big(30) {\n\t\tt.Fatal()\n\t}\n}\n")
	o := options{timeout: 10 * time.Second, jobs: 2, min: 90}
	got, enough := printed(t, o)
	for _, want := range []string{
		"p/p.go:3: func Big(n int) bool { return n > 9 } → func Big(n int) bool { return n >= 9 }\n",
		"p/p.go:3: func Big(n int) bool { return n > 9 } → func Big(n int) bool { return n > 10 }\n",
		"p/p.go:3: func Big(n int) bool { return n > 9 } → func Big(n int) bool { return n > 8 }\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not printed: %s", want)
		}
	}
	// Killed by time: ready = false in the loop, and without the assignment. The
	// negated loop and the loop with ready = true at once are not noticed.
	if !regexp.MustCompile(`example\.com/m/p: 2 of 7 mutants killed \(28\.6 %\), 2 of them by timeout of 10s; seed 0, drawn from 7`).MatchString(got) || enough {
		t.Errorf("printed %q, enough: %t", got, enough)
	}
	t.Run("but for those that are known", func(t *testing.T) {
		text := "# equivalent\np/p.go: func Big(n int) bool { return n > 9 } → func Big(n int) bool { return n >= 9 }  # 9 is never asked for\n"
		if err := os.WriteFile("known", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		o.known, o.list = "known", true
		if got, _ := printed(t, o); strings.Contains(got, "n >= 9") || strings.Count(got, "\n") != 6 {
			t.Errorf("drawn: %s", got)
		}
		if err := os.WriteFile("known", []byte("p/p.go: a → b\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readKnown("known"); err == nil || !strings.Contains(err.Error(), "known:1") {
			t.Errorf("without a reason: %v, want an error with the line", err)
		}
	})
}

func TestTestsThatFailWithoutAMutantAreAnError(t *testing.T) {
	module(t, "func F() int { return 1 }\n", "func TestF(t *testing.T) { t.Fatal(\"wrong\") }\n")
	_, err := measure(context.Background(), os.Stderr, options{jobs: 1}, []string{"./p"})
	if err == nil || !strings.Contains(err.Error(), "fail without a mutant") || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("%v, want what the tests say", err)
	}
}
