package e2e

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/blackbox4/switchgear/otelexport/dashboards"
)

// query is one query of what dashboards ships.
type query struct {
	where  string // the panel, with the number of the query, or the rule
	expr   string
	legend string // of a panel, or what an alert says
	record string // the metric that a rule makes
}

func shipped(t *testing.T, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(dashboards.Files(), name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

type panel struct {
	Title   string
	Targets []struct{ RefID, Expr, LegendFormat string }
	Panels  []panel
}

// panels returns the queries of the dashboard, with its variables in them.
func panels(t *testing.T) []query {
	t.Helper()
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(shipped(t, "breakers.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	var out []query
	var walk func([]panel)
	walk = func(all []panel) {
		for _, p := range all {
			for _, q := range p.Targets {
				out = append(out, query{where: p.Title + " " + q.RefID, expr: q.Expr, legend: q.LegendFormat})
			}
			walk(p.Panels)
		}
	}
	walk(dashboard.Panels)
	if len(out) < 30 {
		t.Fatalf("the dashboard has but %d queries", len(out))
	}
	return out
}

// variables returns what the variables of the dashboard select, by label.
func variables(t *testing.T) map[string]string {
	t.Helper()
	var dashboard struct {
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	if err := json.Unmarshal(shipped(t, "breakers.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	values := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, v := range dashboard.Templating.List {
		if v.Type != "query" {
			continue
		}
		m := values.FindStringSubmatch(v.Definition)
		if m == nil {
			t.Fatalf("variable %s is %q, which is not label_values(selector, label)", v.Name, v.Definition)
		}
		out[m[2]] = m[1]
	}
	if len(out) != 3 {
		t.Fatalf("the dashboard has variables for %q", sorted(out))
	}
	return out
}

// ruleFiles are the files of rules, in the order in which they build on one
// another.
var ruleFiles = []string{"rules.yml", "alerts.yml", "compat.rules.yml"}

type ruleFile struct {
	Groups []struct {
		Name  string `yaml:"name"`
		Rules []rule `yaml:"rules"`
	} `yaml:"groups"`
}

type rule struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

func readRules(t *testing.T, file string) ruleFile {
	t.Helper()
	var f ruleFile
	if err := yaml.Unmarshal(shipped(t, file), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// rules returns the queries of the rules and alerts.
func rules(t *testing.T) []query {
	t.Helper()
	var out []query
	for _, file := range ruleFiles {
		for _, g := range readRules(t, file).Groups {
			for _, r := range g.Rules {
				q := query{where: r.Record + r.Alert, expr: r.Expr, record: r.Record}
				for _, a := range sorted(r.Annotations) {
					q.legend += r.Annotations[a] + " "
				}
				out = append(out, q)
			}
		}
	}
	if len(out) < 10 {
		t.Fatalf("there are but %d rules", len(out))
	}
	return out
}

// chosen fills in the variables as Grafana would, one name for breakers and agents,
// and takes rates over a time.
func chosen(expr, job, name, over string) string {
	return strings.NewReplacer("$__rate_interval", over, "$__range", "10m", "$job", job, "$breaker", name, "$agent", name).Replace(expr)
}
