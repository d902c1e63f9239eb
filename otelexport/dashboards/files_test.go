package dashboards_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/otelexport/dashboards"
	"github.com/blackbox4/switchgear/otelexport/dashboards/internal/grafana"
)

var update = flag.Bool("update", false, "write breakers.json anew")

// The shipped files are the generator's.
func TestGolden(t *testing.T) {
	want, err := grafana.Dashboard()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("breakers.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("breakers.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("breakers.json is not what internal/grafana makes; go test ./otelexport/dashboards -update writes it")
	}
}

func TestFiles(t *testing.T) {
	var names []string
	for _, pattern := range []string{"*.json", "*.yml"} {
		onDisk, err := fs.Glob(os.DirFS("."), pattern)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, onDisk...)
	}
	if len(names) != 4 {
		t.Errorf("files to ship are %q, not four", names)
	}
	for _, name := range names {
		if _, err := fs.Stat(dashboards.Files(), name); err != nil {
			t.Error(err)
		}
	}
}

// panel is as much of Grafana's model as the tests look at. It is read from
// the file, so that they see what Grafana sees.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	Repeat      string
	Collapsed   bool
	GridPos     struct{ X, Y, W, H int }
	Datasource  struct{ Type, UID string }
	Targets     []struct {
		RefID      string
		Expr       string
		Datasource struct{ Type, UID string }
	}
	FieldConfig struct {
		Defaults struct {
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
			Mappings []struct {
				Options map[string]struct{ Text, Color string }
			}
		}
		Overrides []struct {
			Matcher    struct{ ID, Options string }
			Properties []struct {
				ID    string
				Value struct{ Mode, FixedColor string }
			}
		}
	}
	Panels []panel
}

// read returns the dashboard's rows and panels, in order.
func read(t *testing.T) (all []panel, variables map[string]string) {
	t.Helper()
	data, err := fs.ReadFile(dashboards.Files(), "breakers.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels     []panel
		Templating struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		all = append(all, p)
		all = append(all, p.Panels...)
	}
	variables = make(map[string]string)
	for _, v := range d.Templating.List {
		variables[v.Name] = v.Definition
	}
	return all, variables
}

func TestIDsAreUnique(t *testing.T) {
	all, _ := read(t)
	seen := make(map[int]string)
	for _, p := range all {
		if p.ID <= 0 {
			t.Errorf("panel %q has id %d", p.Title, p.ID)
		}
		if other, taken := seen[p.ID]; taken {
			t.Errorf("panels %q and %q have id %d", other, p.Title, p.ID)
		}
		seen[p.ID] = p.Title
	}
}

func TestTitlesAreUnique(t *testing.T) { // or links and the walk through are ambiguous
	all, _ := read(t)
	seen := make(map[string]bool)
	for _, p := range all {
		if seen[p.Title] {
			t.Errorf("two panels are named %q", p.Title)
		}
		seen[p.Title] = true
	}
}

// The grid has 24 columns, and no two panels share a cell of it.
func TestGrid(t *testing.T) {
	all, _ := read(t)
	taken := make(map[[2]int]string)
	for _, p := range all {
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W <= 0 || g.H <= 0 || g.X+g.W > 24 {
			t.Errorf("panel %q is at %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, overlap := taken[[2]int{x, y}]; overlap {
					t.Fatalf("panels %q and %q overlap at column %d, line %d", other, p.Title, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

func TestVariables(t *testing.T) {
	all, variables := read(t)
	used := make(map[string]bool)
	uses := regexp.MustCompile(`\$\{?(\w+)\}?`)
	note := func(where, text string) {
		for _, m := range uses.FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "__") { // Grafana's own
				continue
			}
			if _, known := variables[m[1]]; !known {
				t.Errorf("%s uses $%s, which the dashboard does not have", where, m[1])
			}
			used[m[1]] = true
		}
	}
	for name, definition := range variables {
		note("variable "+name, definition)
	}
	for _, p := range all {
		if p.Type == "row" {
			note("row "+p.Title, p.Title+" $"+p.Repeat)
			continue
		}
		for _, q := range p.Targets {
			note(p.Title, q.Expr+" "+q.Datasource.UID)
			for _, v := range goesBy(q.Expr) {
				if !strings.Contains(q.Expr, v) {
					t.Errorf("%s does not go by %s: %s", p.Title, v, q.Expr)
				}
			}
		}
	}
	for name := range variables {
		if !used[name] {
			t.Errorf("nothing uses $%s", name)
		}
	}
}

// goesBy are the variables that a query must go by.
func goesBy(expr string) []string {
	switch {
	case strings.Contains(expr, "circuit_breaker_export_skipped"), strings.Contains(expr, "circuit_breaker_unguarded_calls"), strings.Contains(expr, "circuit_breaker_agent_status"): // which have no names
		return []string{"$job"}
	case strings.Contains(expr, "agent_"):
		return []string{"$job", "$agent"}
	}
	return []string{"$job", "$breaker"}
}

func TestPanels(t *testing.T) {
	all, _ := read(t)
	for _, p := range all {
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.Title == "" {
			t.Errorf("panel %d (%q) has no title or does not say what it tells", p.ID, p.Title)
		}
		if len(p.Targets) == 0 {
			t.Errorf("%s asks for nothing", p.Title)
		}
		refs := make(map[string]bool)
		for _, q := range p.Targets {
			if q.Datasource != p.Datasource || q.Datasource.UID != "${datasource}" || q.Datasource.Type != "prometheus" {
				t.Errorf("%s asks %+v", p.Title, q.Datasource)
			}
			if refs[q.RefID] {
				t.Errorf("%s has two queries %s", p.Title, q.RefID)
			}
			refs[q.RefID] = true
		}
	}
}

// Open is red and closed is green, wherever states are drawn, and so are agents
// that are escalated, and running.
func TestOpenIsRed(t *testing.T) {
	want := map[string]string{"open": "red", "closed": "green", "escalated": "red", "running": "green"}
	all, _ := read(t)
	drawn := make(map[string]int)
	for _, p := range all {
		got := make(map[string]string)
		for _, m := range p.FieldConfig.Defaults.Mappings {
			for _, o := range m.Options {
				got[o.Text] = o.Color
			}
		}
		for _, o := range p.FieldConfig.Overrides {
			got[strings.Trim(o.Matcher.Options, "/^$")] = o.Properties[0].Value.FixedColor
		}
		for state, colour := range got {
			if c, stated := want[state]; stated {
				drawn[p.Title]++
				if colour != c {
					t.Errorf("%s draws %s in %s", p.Title, state, colour)
				}
			}
		}
	}
	for _, title := range []string{"State", "Replicas by state", "Share of time by state", "Agents by state"} {
		if drawn[title] != 2 {
			t.Errorf("%s does not colour the states", title)
		}
	}
	for _, p := range all {
		if p.Title != "Open" {
			continue
		}
		steps := p.FieldConfig.Defaults.Thresholds.Steps
		if len(steps) != 2 || steps[0].Color != "green" || steps[0].Value != nil || steps[1].Color != "red" || *steps[1].Value != 1 {
			t.Errorf("Open goes by %+v, not green, and red from 1", steps)
		}
	}
}

// A fleet may have thousands of breakers: their rows load when they are opened.
func TestRepeatedRowsAreFolded(t *testing.T) {
	all, _ := read(t)
	for _, p := range all {
		if p.Repeat != "" && (!p.Collapsed || len(p.Panels) == 0) {
			t.Errorf("row %q repeats and is not folded", p.Title)
		}
	}
}

// The walk through leaves out no panel, no rule and no alert.
func TestReadme(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	all, _ := read(t)
	for _, p := range all {
		if p.Type != "row" && !strings.Contains(readme, "**"+p.Title+"**") {
			t.Errorf("README.md says nothing about %q", p.Title)
		}
	}
	named := regexp.MustCompile(`(?m)^\s*- (?:record|alert): (\S+)$`)
	for _, file := range []string{"rules.yml", "alerts.yml", "compat.rules.yml"} {
		rules, err := fs.ReadFile(dashboards.Files(), file)
		if err != nil {
			t.Fatal(err)
		}
		found := named.FindAllSubmatch(rules, -1)
		if len(found) == 0 {
			t.Errorf("%s has no rule", file)
		}
		for _, m := range found {
			if !strings.Contains(readme, "`"+string(m[1])+"`") {
				t.Errorf("README.md says nothing about %s of %s", m[1], file)
			}
		}
	}
}

// The files as a program would hand them to Grafana and Prometheus.
func ExampleFiles() {
	entries, err := fs.ReadDir(dashboards.Files(), ".")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range entries {
		fmt.Println(e.Name())
	}
	// os.CopyFS(directory, dashboards.Files()) writes them all.

	// Output:
	// alerts.yml
	// breakers.json
	// compat.rules.yml
	// rules.yml
}
