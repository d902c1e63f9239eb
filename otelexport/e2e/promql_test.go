package e2e

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// check parses an expression and reports the first thing that it asks for and
// that no exporter has: a metric, a label, or a value that a label never has. It
// returns the labels of the result.
func check(expr string, known map[string]labels) (labels, error) {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	return result(e, known)
}

// result returns the labels of what e evaluates to.
func result(e parser.Expr, known map[string]labels) (labels, error) {
	switch e := e.(type) {
	case *parser.NumberLiteral, *parser.StringLiteral:
		return nil, nil
	case *parser.ParenExpr:
		return result(e.Expr, known)
	case *parser.UnaryExpr:
		return result(e.Expr, known)
	case *parser.MatrixSelector:
		return result(e.VectorSelector, known)
	case *parser.VectorSelector:
		return selected(e, known)
	case *parser.AggregateExpr:
		return aggregated(e, known)
	case *parser.BinaryExpr:
		return combined(e, known)
	case *parser.Call:
		return called(e, known)
	}
	return nil, fmt.Errorf("%s is a %T, which this test does not know", e, e)
}

func selected(e *parser.VectorSelector, known map[string]labels) (labels, error) {
	has, ok := known[e.Name]
	if e.Name == "" { // several, by a regular expression, each of which must do
		return several(e, known)
	}
	if !ok {
		return nil, fmt.Errorf("no exporter has %q", e.Name)
	}
	for _, m := range e.LabelMatchers {
		if m.Name == "__name__" {
			continue
		}
		values, ok := has[m.Name]
		if !ok {
			return nil, fmt.Errorf("%s has no label %s", e.Name, m.Name)
		}
		if values == nil {
			continue
		}
		if !slices.ContainsFunc(values, m.Matches) {
			return nil, fmt.Errorf("%s of %s is never as in %s", m.Name, e.Name, m)
		}
		for name := range strings.SplitSeq(m.Value, "|") { // open|forced_open: each must be a value
			if plain := regexp.MustCompile(`^\w+$`); plain.MatchString(name) && !slices.Contains(values, name) {
				return nil, fmt.Errorf("%s of %s is never %q", m.Name, e.Name, name)
			}
		}
	}
	return has, nil
}

// several returns the labels that all the metrics have that e selects by name.
func several(e *parser.VectorSelector, known map[string]labels) (labels, error) {
	var common labels
	for _, name := range sorted(known) {
		if slices.ContainsFunc(e.LabelMatchers, func(m *promlabels.Matcher) bool { return m.Name == "__name__" && !m.Matches(name) }) {
			continue
		}
		one := *e
		one.Name = name
		has, err := selected(&one, known)
		if err != nil {
			return nil, err
		}
		if common == nil {
			common = maps.Clone(has)
		}
		maps.DeleteFunc(common, func(label string, _ []string) bool { _, ok := has[label]; return !ok })
	}
	if common == nil {
		return nil, fmt.Errorf("no exporter has what %s selects", e)
	}
	return common, nil
}

func aggregated(e *parser.AggregateExpr, known map[string]labels) (labels, error) {
	of, err := result(e.Expr, known)
	if err != nil {
		return nil, err
	}
	out := make(labels)
	for _, name := range e.Grouping {
		if _, ok := of[name]; !ok {
			return nil, fmt.Errorf("%s groups by %s, and there are only %q", e, name, sorted(of))
		}
		out[name] = of[name]
	}
	switch {
	case e.Op == parser.TOPK || e.Op == parser.BOTTOMK: // picks, and keeps all labels
		return of, nil
	case e.Without:
		out = maps.Clone(of)
		for _, name := range e.Grouping {
			delete(out, name)
		}
	}
	return out, nil
}

func combined(e *parser.BinaryExpr, known map[string]labels) (labels, error) {
	left, err := result(e.LHS, known)
	if err != nil {
		return nil, err
	}
	right, err := result(e.RHS, known)
	if err != nil {
		return nil, err
	}
	m := e.VectorMatching
	if m == nil { // a scalar on one side
		if left == nil {
			left = right
		}
		return left, nil
	}
	for _, name := range m.MatchingLabels {
		if !has(left, name) || !has(right, name) {
			return nil, fmt.Errorf("%s matches on %s, and there are only %q and %q", e, name, sorted(left), sorted(right))
		}
	}
	for _, name := range m.Include {
		if !has(right, name) {
			return nil, fmt.Errorf("%s adds %s, and there are only %q", e, name, sorted(right))
		}
	}
	switch {
	case e.Op == parser.LOR:
		out := maps.Clone(left)
		maps.Copy(out, right)
		return out, nil
	case e.Op == parser.LAND || e.Op == parser.LUNLESS:
		return left, nil
	case m.Card == parser.CardManyToOne:
		out := maps.Clone(left)
		for _, name := range m.Include {
			out[name] = right[name]
		}
		return out, nil
	case !m.On && len(m.MatchingLabels) == 0:
		if !slices.Equal(sorted(left), sorted(right)) {
			return nil, fmt.Errorf("%s never match: one side has %q, the other %q", e, sorted(left), sorted(right))
		}
		return left, nil
	}
	return nil, fmt.Errorf("%s matches in a way that this test does not know", e)
}

func has(l labels, name string) bool {
	_, ok := l[name]
	return ok
}

func called(e *parser.Call, known map[string]labels) (labels, error) {
	out := make(labels)
	for _, arg := range e.Args {
		l, err := result(arg, known)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, l)
	}
	if e.Func.Name == "histogram_quantile" {
		if !has(out, "le") {
			return nil, fmt.Errorf("%s has no buckets", e)
		}
		delete(out, "le")
	}
	return out, nil
}

// mentioned are the labels that a legend or an alert's text puts in.
func mentioned(legend string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`).FindAllStringSubmatch(legend, -1) {
		out = append(out, m[1])
	}
	return out
}
