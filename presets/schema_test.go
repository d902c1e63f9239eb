package presets_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v4"

	"github.com/blackbox4/switchgear/core"
	"github.com/blackbox4/switchgear/presets"
)

var update = flag.Bool("update", false, "write schema.json anew")

const schemaFile = "schema.json"

// bounds are what Validate allows of a field by itself. TestSchemaBounds holds
// them against it.
type bounds struct {
	least, most float64 // of a number, if they differ
	orZero      bool    // zero is allowed besides
	orNegative  bool    // zero and less are
	below       bool    // most itself is not allowed
	positive    bool    // a duration below zero is not allowed
}

func schemaBounds() map[string]bounds {
	return map[string]bounds{
		"Limits.Max":                  {least: 0, most: 1_000_000},
		"Config.FailureThreshold":     {most: 1000, orNegative: true},
		"Config.FailureRateThreshold": {most: 1, orNegative: true},
		"Config.SlowRateThreshold":    {most: 1, orNegative: true},
		"Config.Timeout":              {positive: true},
		"Config.MaxTimeout":           {positive: true},
		"Config.TimeoutFactor":        {least: 1, most: 100, orNegative: true},
		"Config.Jitter":               {most: 1, below: true, orNegative: true},
		"Config.HalfOpenMaxCalls":     {most: 10_000},
		"Config.SuccessThreshold":     {most: 10_000},
		"Config.ProbeTimeout":         {positive: true},
		"Window.Calls":                {most: 10_000},
		"Window.For":                  {positive: true},
		"Config.RecentCalls":          {most: 10_000, orNegative: true},
		"HealthLimits.SuccessRate":    {most: 1, orNegative: true},
		"HealthLimits.ErrorRate":      {most: 1, orNegative: true},
		"HealthLimits.Over":           {positive: true},
		"Retry.Attempts":              {most: 100},
		"Retry.InitialDelay":          {positive: true},
		"Retry.MaxDelay":              {positive: true},
		"Retry.Multiplier":            {least: 1, most: 100, orZero: true},
		"Retry.JitterFactor":          {most: 1, orNegative: true},
	}
}

// schemaWriter makes a schema of the Go types.
type schemaWriter struct {
	docs map[string]string // of fields, by "Config.Timeout"
	keys map[string]string // names in a file, by Go name
	defs map[string]*jsonschema.Schema
}

func ref(name string) *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/" + name} }

// nothing is a schema that no value has.
func nothing() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }

func makeSchema(t *testing.T) []byte {
	t.Helper()
	w := schemaWriter{docs: make(map[string]string), keys: make(map[string]string), defs: make(map[string]*jsonschema.Schema)}
	w.read(t, ".", "Fleet", "Policy", "Retry", "Limits")
	w.read(t, filepath.Join("..", "core"), "Config", "Window", "HealthLimits")
	for _, typ := range []reflect.Type{reflect.TypeFor[presets.Policy](), reflect.TypeFor[presets.Retry](), reflect.TypeFor[core.HealthLimits](), reflect.TypeFor[core.Window](), reflect.TypeFor[presets.Limits]()} {
		for _, f := range schemaFields(typ) {
			w.keys[f.field.Name] = f.key
		}
	}
	for _, section := range []string{"Registry", "Defaults", "Policies"} {
		w.keys[section] = strings.ToLower(section)
	}
	w.keys["StateFile"] = "state_file"
	for s := presets.StrategyNone; s <= presets.StrategyRandom; s++ {
		w.keys["Strategy"+strings.ToUpper(s.String()[:1])+s.String()[1:]] = s.String()
	}
	for name, text := range w.docs {
		w.docs[name] = w.forFiles(text)
	}
	// The words of a file that differ from Go's.
	w.docs["Policy.Preset"] = "The preset whose fields are laid on the defaults; none starts from the zero policy instead."

	const number = `(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+`
	w.defs["duration"] = duration(`^[-+]?(0|` + number + `)$`)
	w.defs["positive_duration"] = duration(`^\+?(0|` + number + `)$`)
	w.defs["preset"] = &jsonschema.Schema{
		Description: "a preset, or none to start from nothing", Enum: anys(append(presets.Names(), "none")),
	}
	w.defs["strategy"] = &jsonschema.Schema{
		Description: "how the waits between attempts grow; the four names after random are other names", Enum: anys(strategies()),
	}
	w.defs["registry"] = w.object(reflect.TypeFor[presets.Limits](), "the size of the registry")
	w.defs["window"] = w.object(reflect.TypeFor[core.Window](), "the last so many calls, or those of the last so much time")
	w.defs["health"] = w.object(reflect.TypeFor[core.HealthLimits](), "what is healthy")
	w.defs["retry"] = w.object(reflect.TypeFor[presets.Retry](), "when a call that failed is made again")
	w.defs["policy"] = w.object(reflect.TypeFor[presets.Policy](), "how one dependency is protected")

	root := &jsonschema.Schema{
		Schema:      "https://json-schema.org/draft/2020-12/schema",
		Title:       "Switchgear configuration",
		Description: "Circuit breakers by name and by pattern. Durations are text with a unit, such as 500ms, 60s or 1h30m; a number is only understood by the name with _ms, in milliseconds.",
		Type:        "object",
		Properties: map[string]*jsonschema.Schema{
			"registry": described(ref("registry"), w.docs["Fleet.Registry"]),
			"state_file": {
				Description: w.docs["Fleet.StateFile"], Type: "string", Pattern: `^[^\x00-\x1f\x7f-\x9f]*$`,
			},
			"defaults": described(ref("policy"), w.docs["Fleet.Defaults"]+" It starts from the moderate preset."),
			"policies": {
				Description:          w.docs["Fleet.Policies"] + " A policy starts from the defaults, on which its preset is laid, on which its own fields are.",
				Type:                 "object",
				PropertyNames:        breakerName(),
				AdditionalProperties: ref("policy"),
			},
			"ralph":    {Type: "object", Description: "belongs to another package"},
			"failsafe": {Type: "object", Description: "belongs to another package"},
			"export":   {Type: "object", Description: "belongs to another package"},
		},
		PropertyOrder:        []string{"registry", "state_file", "defaults", "policies", "ralph", "failsafe", "export"},
		AdditionalProperties: nothing(),
		Defs:                 w.defs,
	}
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer // without escapes for HTML, which it is not
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(json.RawMessage(text)); err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, plain.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	return indented.Bytes()
}

func anys(words []string) []any {
	all := make([]any, len(words))
	for i, word := range words {
		all[i] = word
	}
	return all
}

// strategies are all names that UnmarshalText reads.
func strategies() []string {
	var names []string
	for s := presets.StrategyNone; s <= presets.StrategyRandom; s++ {
		names = append(names, s.String())
	}
	return append(names, "fixed_delay", "linear_backoff", "exponential_backoff", "random_jitter")
}

// duration is text, or the number 0, which needs no unit.
func duration(pattern string) *jsonschema.Schema {
	return &jsonschema.Schema{
		Description: "500ms, 60s, 1h30m",
		AnyOf:       []*jsonschema.Schema{{Type: "string", Pattern: pattern}, {Const: new(any(0))}},
	}
}

// breakerName is a name or a pattern. A schema counts characters where Validate
// counts bytes, so it lets some through.
func breakerName() *jsonschema.Schema {
	return &jsonschema.Schema{
		Description: "a name of 1 to 256 bytes, or a pattern in which each * stands for any text",
		Pattern:     `^[^\x00-\x1f\x7f-\x9f]+$`,
		Not:         &jsonschema.Schema{Pattern: `\*\*`},
		AnyOf:       []*jsonschema.Schema{{MaxLength: new(256)}, {Pattern: `\*`}},
	}
}

func described(s *jsonschema.Schema, text string) *jsonschema.Schema {
	s.Description = text
	return s
}

type schemaField struct {
	key   string
	owner string // the type that it is declared in
	field reflect.StructField
}

func schemaFields(t reflect.Type) []schemaField {
	var all []schemaField
	for _, f := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || key == "" || key == "-" {
			continue
		}
		owner := t
		for _, i := range f.Index[:len(f.Index)-1] {
			owner = owner.Field(i).Type
		}
		all = append(all, schemaField{key, owner.Name(), f})
	}
	return all
}

// object describes a struct: its fields, those in milliseconds, and those of the
// original system.
func (w schemaWriter) object(t reflect.Type, text string) *jsonschema.Schema {
	s := &jsonschema.Schema{
		Description: text, Type: "object", Properties: make(map[string]*jsonschema.Schema), AdditionalProperties: nothing(),
		DependentSchemas: make(map[string]*jsonschema.Schema),
	}
	for _, f := range schemaFields(t) {
		w.property(s, f.key, f)
	}
	bare := &jsonschema.Schema{Type: "boolean"}
	add := func(key, text string, property *jsonschema.Schema) {
		s.Properties[key] = described(property.CloneSchemas(), text)
		s.PropertyOrder = append(s.PropertyOrder, key)
	}
	switch t {
	case reflect.TypeFor[presets.Retry]():
		add("jitter", "false is no jitter_factor.", bare)
	case reflect.TypeFor[presets.Policy]():
		for _, ms := range []string{"", "_ms"} {
			add("open_for"+ms, "Another name of timeout"+ms+".", s.Properties["timeout"+ms])
			exclude(s, "open_for"+ms, "timeout")
			exclude(s, "open_for"+ms, "timeout_ms")
		}
		exclude(s, "open_for", "open_for_ms")
		add("sliding_window_size", "Another name of calls in window.", w.defs["window"].Properties["calls"])
		exclude(s, "sliding_window_size", "window")
		add("enable_health_checks", "false is no health_check_interval.", bare)
		for _, f := range schemaFields(reflect.TypeFor[presets.Retry]()) {
			w.property(s, "retry_"+f.key, f)
			for _, key := range []string{f.key, f.key + "_ms"} {
				if s.Properties["retry_"+key] != nil {
					s.Properties["retry_"+key].Description = "Another name of " + key + " in retry."
					excludeWithin(s, "retry_"+key, f.key, f.key+"_ms")
				}
			}
		}
		excludeWithin(s, "retry_jitter", "jitter")
		add("retry_jitter", "Another name of jitter in retry: false is no jitter_factor.", bare)
	}
	if len(s.DependentSchemas) == 0 {
		s.DependentSchemas = nil
	}
	return s
}

// property adds a field, and for a duration the one in milliseconds.
func (w schemaWriter) property(s *jsonschema.Schema, key string, f schemaField) {
	limits := schemaBounds()[f.owner+"."+f.field.Name]
	text := w.docs[f.owner+"."+f.field.Name]
	add := func(key, text string, property *jsonschema.Schema) {
		s.Properties[key] = described(property, text)
		s.PropertyOrder = append(s.PropertyOrder, key)
	}
	switch f.field.Type {
	case reflect.TypeFor[time.Duration]():
		name, ms := "duration", &jsonschema.Schema{Type: "integer", Minimum: new(-9223372036854.0), Maximum: new(9223372036854.0)}
		if limits.positive {
			name, ms.Minimum = "positive_duration", new(0.0)
		}
		add(key, text, ref(name))
		add(key+"_ms", "The same as "+key+", in milliseconds.", ms)
		exclude(s, key+"_ms", key)
	case reflect.TypeFor[core.Window]():
		add(key, text, ref("window"))
	case reflect.TypeFor[presets.Retry]():
		add(key, text+" true is enabled: true, false is enabled: false, none is strategy: none.", &jsonschema.Schema{AnyOf: []*jsonschema.Schema{ref("retry"), {Type: "boolean"}, {Const: new(any("none"))}}})
	case reflect.TypeFor[*core.HealthLimits]():
		add(key, strings.Replace(text, "Nil means", "null means", 1), &jsonschema.Schema{AnyOf: []*jsonschema.Schema{ref("health"), {Type: "null"}}})
	case reflect.TypeFor[presets.Strategy]():
		add(key, text, ref("strategy"))
	case reflect.TypeFor[bool]():
		add(key, text, &jsonschema.Schema{Type: "boolean"})
	case reflect.TypeFor[string]():
		add(key, text, ref("preset"))
	case reflect.TypeFor[int]():
		add(key, text, limits.number("integer"))
	case reflect.TypeFor[float64]():
		add(key, text, limits.number("number"))
	default:
		panic("no schema for " + f.field.Type.String())
	}
}

func (b bounds) number(kind string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: kind}
	if b.least == b.most {
		return s
	}
	s.Maximum = new(b.most)
	if b.below {
		s.Maximum, s.ExclusiveMaximum = nil, s.Maximum
	}
	switch {
	case b.orNegative && b.least > 0:
		return &jsonschema.Schema{Type: kind, AnyOf: []*jsonschema.Schema{{Maximum: new(0.0)}, {Minimum: new(b.least), Maximum: new(b.most)}}}
	case b.orZero:
		return &jsonschema.Schema{Type: kind, AnyOf: []*jsonschema.Schema{{Const: new(any(0))}, {Minimum: new(b.least), Maximum: new(b.most)}}}
	case !b.orNegative:
		s.Minimum = new(b.least)
	}
	return s
}

// exclude says that a field by another name is a field given twice.
func exclude(s *jsonschema.Schema, key, other string) {
	dependent(s, key).Properties[other] = nothing()
}

// excludeWithin says so of fields of a retry.
func excludeWithin(s *jsonschema.Schema, key string, inner ...string) {
	within := &jsonschema.Schema{Properties: make(map[string]*jsonschema.Schema)}
	for _, other := range inner {
		within.Properties[other] = nothing()
	}
	dependent(s, key).Properties["retry"] = within
}

func dependent(s *jsonschema.Schema, key string) *jsonschema.Schema {
	if s.DependentSchemas[key] == nil {
		s.DependentSchemas[key] = &jsonschema.Schema{Properties: make(map[string]*jsonschema.Schema)}
	}
	return s.DependentSchemas[key]
}

// read takes the comments of the fields of some types from the sources.
func (w schemaWriter) read(t *testing.T, dir string, types ...string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !slices.Contains(types, spec.Name.Name) {
				return true
			}
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range fields.Fields.List {
					for _, name := range field.Names {
						w.docs[spec.Name.Name+"."+name.Name] = strings.TrimSpace(strings.ReplaceAll(field.Doc.Text(), "\n", " "))
					}
				}
			}
			return true
		})
	}
}

var (
	docLink = regexp.MustCompile(`\[\*?((?:[a-z]+\.)?[A-Z][A-Za-z]*(?:\.[A-Z][A-Za-z]*)*)\]`)
	goNames = regexp.MustCompile(`[A-Z][A-Za-z]*(?:\.[A-Z][A-Za-z]*)*`)
)

// forFiles names fields as a file does: the comment of a Go field speaks of
// others by their Go names.
func (w schemaWriter) forFiles(text string) string {
	text = docLink.ReplaceAllString(text, "$1")
	return goNames.ReplaceAllStringFunc(text, func(name string) string {
		parts := strings.Split(strings.TrimPrefix(name, "Config."), ".")
		for i, part := range parts {
			key, ok := w.keys[part]
			if !ok {
				return name
			}
			parts[i] = key
		}
		return strings.Join(parts, ".")
	})
}

// The schema that is committed is that of the code.
func TestSchemaIsUpToDate(t *testing.T) {
	want := makeSchema(t)
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the types say; go test ./presets -run TestSchemaIsUpToDate -update writes it anew", schemaFile)
	}
}

// Every field is described, in the words of a file.
func TestSchemaDescribesEveryField(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var root jsonschema.Schema
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	objects := maps.Clone(root.Defs)
	objects["the document"] = &root
	fields := 0
	for name, object := range objects {
		for key, property := range object.Properties {
			fields++
			if len(property.Description) < 10 || strings.ContainsAny(property.Description, "[\n") && !strings.Contains(property.Description, "(0, 1]") {
				t.Errorf("%s: %s is described as %q", name, key, property.Description)
			}
		}
	}
	if fields < 60 {
		t.Errorf("%d fields are described, want all", fields)
	}
}

func loadSchema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// asJSON returns what an editor makes of a document: the values of JSON.
func asJSON(doc string) (any, error) {
	var v any
	if err := yaml.Load([]byte(doc), &v); err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var plain any
	err = json.Unmarshal(text, &plain)
	return plain, err
}

// An editor that goes by the schema has nothing against a good document, and
// marks every fault of a bad one that a schema can tell.
func TestSchemaAgreesWithDecode(t *testing.T) {
	schema := loadSchema(t)
	for _, row := range goodDocuments() {
		v, err := asJSON(row.doc)
		if err != nil {
			// JSON has no infinity.
			if !strings.Contains(row.doc, ".inf") {
				t.Errorf("%s: %v", row.name, err)
			}
			continue
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v\n%s", row.name, err, row.doc)
		}
	}
	told := 0
	for _, row := range badDocuments() {
		if !row.schema {
			continue
		}
		told++
		doc, _ := row.placed()
		v, err := asJSON(doc)
		if err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if schema.Validate(v) == nil {
			t.Errorf("%s: the schema has nothing against it\n%s", row.name, doc)
		}
	}
	if told < 100 {
		t.Errorf("the schema tells %d bad documents, want most of them", told)
	}
}

// The bounds of the schema are those of Validate: at each both agree, and so they
// do beyond it.
func TestSchemaBounds(t *testing.T) {
	schema := loadSchema(t)
	root := schema.Schema()
	places := map[string]string{
		"policy": "policies: {a: {%s: %v}}", "window": "policies: {a: {window: {%s: %v}}}",
		"health": "policies: {a: {health: {%s: %v}}}", "retry": "policies: {a: {retry_enabled: true, retry: {%s: %v}}}", "registry": "registry: {%s: %v}",
	}
	checked := 0
	for _, name := range slices.Sorted(maps.Keys(places)) {
		for _, key := range slices.Sorted(maps.Keys(root.Defs[name].Properties)) {
			values := []any{0, -1, 1, 2, 0.5, -0.5, 1.5, 99, 100, 101, 999, 1000, 1001, 9999, 10_000, 10_001, 1_000_000, 1_000_001, "0s", "1s", "-1s", "1", "", "x", true, false, "null"}
			property := root.Defs[name].Properties[key]
			if property.Type != "integer" && property.Type != "number" && !strings.Contains(property.Ref, "duration") {
				continue
			}
			for _, value := range values {
				doc := fmt.Sprintf(places[name], key, value)
				_, err := decode(doc)
				v, jsonErr := asJSON(doc)
				if jsonErr != nil {
					t.Fatal(jsonErr)
				}
				told := schema.Validate(v)
				checked++
				switch {
				case err == nil && told != nil:
					t.Errorf("%s: the schema says %v, and Decode nothing", doc, told)
				case err != nil && told == nil && !beyondSchema(err.Error()):
					t.Errorf("%s: Decode says %v, and the schema nothing", doc, err)
				}
			}
		}
	}
	if checked < 1000 {
		t.Errorf("%d values were tried, want more", checked)
	}
}

// beyondSchema reports whether a fault lies in how two values go together, or in
// the length of a duration.
func beyondSchema(problem string) bool {
	for _, part := range []string{"which would stand for", "at least 1ms", "which they are not; add retry_enabled", "only with a rate", "at most history", "at least timeout", "at least call_timeout", "at most call_timeout", "at least initial_delay", "max_delay is", "1m to 24h", "10ms to 24h", "at least 10ms", "at most window.calls", "positive when slow_rate_threshold", "max_timeout"} {
		if strings.Contains(problem, part) {
			return true
		}
	}
	return false
}
