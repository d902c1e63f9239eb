package grafana

import "strings"

type panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitempty"`
	GridPos         gridPos          `json:"gridPos"`
	Datasource      *datasource      `json:"datasource,omitempty"`
	Targets         []target         `json:"targets,omitempty"`
	FieldConfig     *fieldConfig     `json:"fieldConfig,omitempty"`
	Options         object           `json:"options,omitempty"`
	Transformations []transformation `json:"transformations,omitempty"`
	Repeat          string           `json:"repeat,omitempty"`    // of a row
	Collapsed       bool             `json:"collapsed,omitempty"` // of a row
	Panels          []panel          `json:"panels,omitempty"`    // of a collapsed row
}

type gridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type target struct {
	RefID        string      `json:"refId"`
	Datasource   *datasource `json:"datasource"`
	Expr         string      `json:"expr"`
	LegendFormat string      `json:"legendFormat,omitempty"`
	Format       string      `json:"format"`
	Instant      bool        `json:"instant"`
	Range        bool        `json:"range"`
	Exemplar     bool        `json:"exemplar,omitempty"`
	EditorMode   string      `json:"editorMode"`
}

type transformation struct {
	ID      string `json:"id"`
	Options object `json:"options"`
}

type fieldConfig struct {
	Defaults  field      `json:"defaults"`
	Overrides []override `json:"overrides"`
}

type field struct {
	Unit       string      `json:"unit,omitempty"`
	Min        *float64    `json:"min,omitempty"`
	Max        *float64    `json:"max,omitempty"`
	Decimals   *int        `json:"decimals,omitempty"`
	NoValue    string      `json:"noValue,omitempty"`
	Color      object      `json:"color,omitempty"`
	Thresholds *thresholds `json:"thresholds,omitempty"`
	Mappings   []mapping   `json:"mappings,omitempty"`
	Custom     object      `json:"custom,omitempty"`
}

type thresholds struct {
	Mode  string `json:"mode"`
	Steps []step `json:"steps"`
}

// step colours values from Value on; the first step has none.
type step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

type mapping struct {
	Type    string            `json:"type"`
	Options map[string]mapped `json:"options"`
}

type mapped struct {
	Text  string `json:"text"`
	Color string `json:"color"`
	Index int    `json:"index"`
}

type override struct {
	Matcher    matcher    `json:"matcher"`
	Properties []property `json:"properties"`
}

type matcher struct {
	ID      string `json:"id"`
	Options string `json:"options"`
}

type property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

// The selectors of every query: of a breaker's metrics, those of the names of agents,
// and of hand-offs, by who handed over. In queries it is written $b, $a
// and $from.
const (
	selected       = `job=~"$job",circuit_breaker_name=~"$breaker"`
	selectedAgents = `job=~"$job",gen_ai_agent_name=~"$agent"`
	selectedSource = `job=~"$job",circuit_breaker_agent_source=~"$agent"`
)

// shows is one line, or set of lines, of a panel: a legend and a query.
type shows struct{ legend, expr string }

// asks fills in the targets of p.
func (p panel) asks(all ...shows) panel {
	p.Datasource = prometheus()
	fill := strings.NewReplacer("$b", selected, "$a", selectedAgents, "$from", selectedSource)
	for i, q := range all {
		p.Targets = append(p.Targets, target{
			RefID: string(rune('A' + i)), Datasource: prometheus(), EditorMode: "code",
			Expr: fill.Replace(q.expr), LegendFormat: q.legend,
			Format: "time_series", Range: true,
		})
	}
	return p
}

// now makes the targets ask for the last value alone.
func (p panel) now(format string) panel {
	for i := range p.Targets {
		t := &p.Targets[i]
		t.Instant, t.Range, t.Format = true, false, format
	}
	return p
}

func (p panel) size(w, h int) panel {
	p.GridPos.W, p.GridPos.H = w, h
	return p
}

// paint gives the lines that a regular expression matches a colour.
func (p panel) paint(colours ...paint) panel {
	for _, c := range colours {
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{
			matcher{"byRegexp", "/^" + c.name + "$/"},
			[]property{{"color", object{"mode": "fixed", "fixedColor": c.colour}}},
		})
	}
	return p
}

type paint struct{ name, colour string }

// stateColours and resultColours are the same wherever states and results are
// drawn: open is red.
func stateColours() []paint {
	return []paint{{"closed", "green"}, {"half_open", "yellow"}, {"open", "red"}, {"forced_open", "purple"}, {"disabled", "blue"}}
}

// agentColours: red is an agent that waits for a person.
func agentColours() []paint {
	return []paint{{"running", "green"}, {"recovering", "blue"}, {"paused", "yellow"}, {"escalated", "red"}, {"stopped", "text"}}
}

func stepColours() []paint {
	return []paint{{"progress", "green"}, {"no_progress", "orange"}, {"error", "red"}}
}

func resultColours() []paint {
	return []paint{{"success.*", "green"}, {"failure.*", "red"}, {"ignored", "blue"}, {"rejected", "orange"}}
}
