package grafana

// The kinds of panel, each with a title and what it tells.

func newPanel(kind, title, tells string, options object, defaults field) panel {
	return panel{
		Type: kind, Title: title, Description: tells, Options: options,
		FieldConfig: &fieldConfig{Defaults: defaults, Overrides: []override{}},
	}
}

// number is one large figure, green until the first limit.
func number(title, tells string, limits ...step) panel {
	return newPanel("stat", title, tells, object{
		"colorMode": "background", "graphMode": "none", "textMode": "auto", "justifyMode": "auto", "orientation": "auto",
		"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}, field{Decimals: new(0), Thresholds: from("green", limits...), Color: byLimit()})
}

// lines is a time series.
func lines(title, tells, unit string) panel {
	return newPanel("timeseries", title, tells, object{
		"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}, field{Unit: unit, Min: new(0.0), Color: object{"mode": "palette-classic"}, Custom: object{
		"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false,
		"stacking": object{"mode": "none", "group": "A"},
	}})
}

// stacked puts the lines on top of one another.
func (p panel) stacked() panel {
	p.FieldConfig.Defaults.Custom["stacking"] = object{"mode": "normal", "group": "A"}
	p.FieldConfig.Defaults.Custom["fillOpacity"] = 70
	return p
}

// columns draws events, of which most steps have none.
func (p panel) columns() panel {
	p.FieldConfig.Defaults.Custom["drawStyle"] = "bars"
	return p.stacked()
}

// share is a time series of shares.
func share(title, tells string) panel {
	p := lines(title, tells, "percentunit")
	p.FieldConfig.Defaults.Max = new(1.0)
	return p
}

// ranking is a bar for each of a few shares.
func ranking(title, tells string, limits ...step) panel {
	return newPanel("bargauge", title, tells, object{
		"displayMode": "basic", "orientation": "horizontal", "showUnfilled": true, "valueMode": "color", "namePlacement": "auto",
		"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
	}, field{Unit: "percentunit", Min: new(0.0), Max: new(1.0), NoValue: "none", Thresholds: from("green", limits...), Color: byLimit()})
}

// table is a line for each series, without the time.
func table(title, tells, empty string, names object) panel {
	p := newPanel("table", title, tells, object{"showHeader": true, "cellHeight": "sm"}, field{NoValue: empty})
	p.Transformations = []transformation{{"organize", object{"excludeByName": object{"Time": true}, "renameByName": names}}}
	return p
}

// matrix is a bar for each value of one label, divided by those of another.
func matrix(title, tells, rows, columns string) panel {
	p := newPanel("barchart", title, tells, object{
		"orientation": "horizontal", "stacking": "normal", "showValue": "auto", "barWidth": 0.8, "groupWidth": 0.7,
		"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": object{"mode": "multi", "sort": "none"},
	}, field{Min: new(0.0), Decimals: new(0), Color: object{"mode": "palette-classic"}, Custom: object{"fillOpacity": 80, "lineWidth": 0}})
	p.Transformations = []transformation{{"groupingToMatrix", object{"columnField": columns, "rowField": rows, "valueField": "Value"}}}
	return p
}

// timeline is a band for each series, its values being states by number.
func timeline(title, tells string, states []paint) panel {
	texts := make(map[string]mapped, len(states))
	for i, s := range states {
		texts[string(rune('0'+i))] = mapped{Text: s.name, Color: s.colour, Index: i}
	}
	return newPanel("state-timeline", title, tells, object{
		"mergeValues": true, "showValue": "auto", "alignValue": "left", "rowHeight": 0.9,
		"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true},
		"tooltip": object{"mode": "single", "sort": "none"},
	}, field{
		Color: object{"mode": "thresholds"}, Thresholds: from("text"),
		Mappings: []mapping{{"value", texts}}, Custom: object{"fillOpacity": 80, "lineWidth": 0},
	})
}

// heatmap draws the buckets of a histogram.
func heatmap(title, tells, unit string) panel {
	p := newPanel("heatmap", title, tells, object{
		"calculate": false, "cellGap": 1, "showValue": "never",
		"color":        object{"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "scale": "exponential", "exponent": 0.5, "steps": 64, "reverse": false},
		"exemplars":    object{"color": "rgba(255,0,255,0.7)"},
		"filterValues": object{"le": 1e-9},
		"legend":       object{"show": true},
		"rowsFrame":    object{"layout": "auto"},
		"tooltip":      object{"mode": "single", "showColorScale": false, "yHistogram": false},
		"yAxis":        object{"axisPlacement": "left", "reverse": false, "unit": unit},
	}, field{})
	return p
}

// from is a colour, and others from a value on.
func from(colour string, limits ...step) *thresholds {
	return &thresholds{Mode: "absolute", Steps: append([]step{{Color: colour}}, limits...)}
}

func at(value float64, colour string) step { return step{Color: colour, Value: &value} }

func byLimit() object { return object{"mode": "thresholds"} }
