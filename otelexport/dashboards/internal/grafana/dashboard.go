// Package grafana makes the Grafana dashboard that package dashboards ships. It
// writes Grafana's classic JSON model with structs of its own, that know no more
// of it than is used here.
package grafana

import (
	"bytes"
	"encoding/json"
)

// Dashboard returns the dashboard as JSON: a row for the fleet, one for agents, and
// one that repeats for each breaker. It always returns the same bytes.
func Dashboard() ([]byte, error) {
	d := dashboard{
		UID:         "switchgear-breakers",
		Title:       "Circuit breakers",
		Description: "Breakers and agents of Switchgear, as its OpenTelemetry export tells of them. It needs rules.yml.",
		Tags:        []string{"switchgear", "circuit-breaker"},
		// A version that Grafana 10 reads and later ones migrate from.
		SchemaVersion: 39,
		Editable:      true,
		GraphTooltip:  1, // one crosshair for all panels
		Refresh:       "30s",
		Time:          timeRange{From: "now-1h", To: "now"},
		Templating: templating{List: []variable{
			{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus"},
			query("job", "Job", `label_values({__name__=~"circuit_breaker_(agent_)?status"}, job)`),
			query("breaker", "Breaker", `label_values(circuit_breaker_status{job=~"$job"}, circuit_breaker_name)`),
			query("agent", "Agent", `label_values(circuit_breaker_agent_steps_total{job=~"$job"}, gen_ai_agent_name)`),
		}},
		Panels: layOut(fleetRow(), agentsRow(), breakerRow()),
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return out.Bytes(), err
}

type dashboard struct {
	UID           string     `json:"uid"`
	Title         string     `json:"title"`
	Description   string     `json:"description"`
	Tags          []string   `json:"tags"`
	SchemaVersion int        `json:"schemaVersion"`
	Editable      bool       `json:"editable"`
	GraphTooltip  int        `json:"graphTooltip"`
	Refresh       string     `json:"refresh"`
	Time          timeRange  `json:"time"`
	Templating    templating `json:"templating"`
	Panels        []panel    `json:"panels"`
}

type timeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type templating struct {
	List []variable `json:"list"`
}

type variable struct {
	Name       string      `json:"name"`
	Label      string      `json:"label"`
	Type       string      `json:"type"`
	Datasource *datasource `json:"datasource,omitempty"`
	Query      any         `json:"query"`
	Definition string      `json:"definition,omitempty"`
	Refresh    int         `json:"refresh,omitempty"`
	Sort       int         `json:"sort,omitempty"`
	Multi      bool        `json:"multi,omitempty"`
	IncludeAll bool        `json:"includeAll,omitempty"`
	Current    any         `json:"current,omitempty"`
}

// query is a variable that offers the values of a label, all of them at first.
func query(name, label, definition string) variable {
	return variable{
		Name: name, Label: label, Type: "query", Datasource: prometheus(),
		Query:      object{"query": definition, "refId": name},
		Definition: definition,
		Refresh:    2, // when the time range changes
		Sort:       1, // by name
		Multi:      true, IncludeAll: true,
		Current: object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
	}
}

type object = map[string]any

type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

func prometheus() *datasource { return &datasource{Type: "prometheus", UID: "${datasource}"} }

// row is a heading with panels below it.
type row struct {
	title  string
	repeat string // by which variable
	// folded rows load nothing until they are opened.
	folded bool
	panels []panel
}

const gridWidth = 24

// layOut numbers the panels and places them from left to right, line by line.
func layOut(rows ...row) []panel {
	var out []panel
	id, y := 0, 0
	for _, r := range rows {
		id++
		head := panel{ID: id, Type: "row", Title: r.title, GridPos: gridPos{H: 1, W: gridWidth, Y: y}, Repeat: r.repeat, Collapsed: r.folded}
		y++
		x, height := 0, 0
		placed := make([]panel, len(r.panels))
		for i, p := range r.panels {
			if x+p.GridPos.W > gridWidth {
				x, y, height = 0, y+height, 0
			}
			id++
			p.ID, p.GridPos.X, p.GridPos.Y = id, x, y
			x, height = x+p.GridPos.W, max(height, p.GridPos.H)
			placed[i] = p
		}
		y += height
		if r.folded { // Grafana keeps them inside the heading
			head.Panels = placed
			out = append(out, head)
		} else {
			out = append(append(out, head), placed...)
		}
	}
	return out
}
