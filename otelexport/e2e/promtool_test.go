package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v4"

	"github.com/blackbox4/switchgear/otelexport/dashboards"
)

const unitTests = "../dashboards/testdata"

// output runs a script that prints one line.
func output(t *testing.T, script string, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Prometheus and the collector, which -short does without")
	}
	cmd := exec.CommandContext(t.Context(), "bash", append([]string{script}, args...)...)
	cmd.Stderr = os.Stderr
	line, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return strings.TrimSpace(string(line))
}

// laidOut returns a directory with the rules and their tests as in dashboards.
func laidOut(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, dashboards.Files()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS(unitTests)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// promtool runs the unit tests of a file of rules in dir, or those that mention a
// rule.
func promtool(t *testing.T, bin, dir, file, rule string) (out string, err error) {
	t.Helper()
	tests := filepath.Join(dir, "testdata", strings.TrimSuffix(file, ".rules.yml"))
	tests = strings.TrimSuffix(tests, ".yml") + ".test.yml"
	if rule != "" {
		only(t, tests, rule)
	}
	both, err := exec.CommandContext(t.Context(), filepath.Join(bin, "promtool"), "test", "rules", tests).CombinedOutput()
	return string(both), err
}

// only leaves in a file the unit tests that mention a rule: the others would pass,
// and take their time.
func only(t *testing.T, file, rule string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// As text: to YAML, the values 0x20 are a number.
	parts := strings.Split(string(data), "\n  - ")
	kept := slices.DeleteFunc(parts[1:], func(test string) bool { return !strings.Contains(test, rule) })
	if len(kept) == 0 {
		t.Fatalf("no unit test in %s mentions %s", file, rule)
	}
	data = []byte(strings.Join(append(parts[:1], kept...), "\n  - "))
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// The rules and alerts do what their unit tests say, and these notice when one
// of them is changed: each changed rule must make them fail.
func TestRules(t *testing.T) {
	t.Parallel()
	bin := output(t, "prometheus")
	dir := laidOut(t)
	for _, file := range ruleFiles {
		if out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "promtool"), "check", "rules", filepath.Join(dir, file)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
		if out, err := promtool(t, bin, dir, file, ""); err != nil {
			t.Fatalf("%s: %v\n%s", file, err, out)
		}
	}
	for _, file := range ruleFiles {
		for _, m := range mutants(t, readRules(t, file)) {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				dir := laidOut(t)
				if err := os.WriteFile(filepath.Join(dir, file), m.rules, 0o644); err != nil {
					t.Fatal(err)
				}
				out, err := promtool(t, bin, dir, file, m.rule)
				if err == nil {
					t.Error("no unit test notices")
				}
				if strings.Contains(out, "parse error") {
					t.Errorf("the change is not even a rule:\n%s", out)
				}
			})
		}
	}
}

type mutant struct {
	name, rule string
	rules      []byte
}

// mutants returns a file with one change made, for each change that can be.
func mutants(t *testing.T, f ruleFile) []mutant {
	t.Helper()
	var out []mutant
	add := func(r *rule, what string) {
		data, err := yaml.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, mutant{r.Record + r.Alert + ": " + what, r.Record + r.Alert, data})
	}
	for _, g := range f.Groups {
		for i := range g.Rules {
			r := &g.Rules[i]
			was := *r
			for n := 0; ; n++ {
				var what string
				if r.Expr, what = changed(t, was.Expr, n); what == "" {
					break
				}
				add(r, what)
			}
			*r = was
			if r.For != "" {
				r.For = ""
				add(r, "at once")
				*r = was
			}
		}
	}
	return out
}

// changed returns an expression with its nth change made, and what it was; there
// is none beyond the last.
func changed(t *testing.T, expr string, n int) (result, what string) {
	t.Helper()
	root, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatal(err)
	}
	point := func(name string, change func()) {
		if n == 0 {
			change()
			what = name
		}
		n--
	}
	parser.Inspect(root, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.VectorSelector:
			for i, m := range e.LabelMatchers {
				if m.Name != "__name__" {
					point(fmt.Sprintf("%s without %s", e.Name, m), func() {
						e.LabelMatchers = append(e.LabelMatchers[:i:i], e.LabelMatchers[i+1:]...)
					})
				}
			}
		case *parser.AggregateExpr:
			for i, name := range e.Grouping {
				point(fmt.Sprintf("%v not by %s", e.Op, name), func() {
					e.Grouping = append(e.Grouping[:i:i], e.Grouping[i+1:]...)
				})
			}
		case *parser.BinaryExpr:
			if other, ok := opposite[e.Op]; ok {
				point(fmt.Sprintf("%v for %v", other, e.Op), func() { e.Op = other })
			}
			if number, ok := e.RHS.(*parser.NumberLiteral); ok && e.Op.IsComparisonOperator() && number.Val > 1 {
				point(fmt.Sprintf("%g for %g", number.Val-1, number.Val), func() { number.Val-- })
				point(fmt.Sprintf("%g for %g", number.Val+3, number.Val), func() { number.Val += 3 })
			}
		}
		return nil
	})
	return root.String(), what
}

// opposite is another operator for each; where there are equal numbers, < and <=
// differ.
var opposite = map[parser.ItemType]parser.ItemType{
	parser.GTR:  parser.GTE,
	parser.GTE:  parser.GTR,
	parser.LSS:  parser.LTE,
	parser.EQLC: parser.NEQ,
	parser.LAND: parser.LUNLESS,
	parser.DIV:  parser.MUL,
	parser.MUL:  parser.DIV,
	parser.SUB:  parser.ADD,
}
