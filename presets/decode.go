package presets

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/blackbox4/switchgear/core"
)

// Decode reads a Fleet from one YAML document, which JSON is too:
//
//	registry: {max: 5000, idle: 30m}
//	state_file: breakers.state   # open breakers survive a restart; see [Registry.KeepState]
//	defaults:
//	  preset: moderate
//	  durations: true
//	policies:
//	  payments:
//	    preset: external_api
//	    failure_threshold: 3
//	    retry: {enabled: true, attempts: 2}
//	  "billing-*": {preset: database, timeout: 45s}
//
// A policy starts from defaults, on which its preset is laid, on which its own
// fields are; defaults starts from moderate. The preset "none" starts from the
// zero [Policy] instead. A window that is given replaces the whole one below it.
//
// Fields are named as in the JSON tags of [core.Config], [Policy] and [Retry]. A
// duration is "60s", or timeout_ms: 60000 for timeout. The fields of the
// original system are understood as well: sliding_window_size,
// enable_health_checks, and retry_enabled, retry_strategy, retry_attempts and so
// on in place of a retry of its own, with jitter: false for no jitter_factor.
//
// A preset says how a call that failed is made again, the file whether:
// retry_enabled: true, or retry: true, does; so does that of the defaults for all
// below, but those whose preset has no retry. A policy that says how and not whether
// is an error.
//
// Everything that is not understood is an error: unknown fields, values of
// another type or out of range, names given twice, patterns that are never
// looked at, an empty document or a second one, anchors, aliases and odd tags. All are reported, joined,
// up to twenty, each a [*FileError] with its line. A document is at most 1 MiB
// long and has at most 20,000 values.
//
// The sections ralph, failsafe and export belong to other packages, which read
// them by [Fleet.Section].
func Decode(r io.Reader) (*Fleet, error) {
	if r == nil {
		return nil, errNilReader
	}
	data, err := readAll(r, "")
	if err != nil {
		return nil, err
	}
	return parse(data, "")
}

var errNilReader = errors.New("presets: nil Reader")

const (
	// maxMarks bounds the number of nodes. It is counted before the parser makes
	// them, which for some documents takes 3 KiB each.
	maxMarks   = 20_000
	nodeMarks  = ",:[{&*!\"'#"
	maxFaults  = 20
	maxDepth   = 100
	noPreset   = "none"
	nullTag    = "!!null"
	stringTag  = "!!str"
	maxShown   = 64
	msSuffix   = "_ms"
	retryStart = "retry_"
)

// sections are the top-level fields that belong to other packages.
func sections() []string { return []string{"ralph", "failsafe", "export"} }

func parse(data []byte, file string) (*Fleet, error) {
	if err := readable(data, file); err != nil {
		return nil, err
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, &FileError{File: file, Problem: err.Error(), Err: err}
	}
	var doc yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &FileError{File: file, Problem: "the file is empty; {} stands for nothing but defaults"}
	case err != nil:
		return nil, syntaxError(file, err)
	}
	var second yaml.Node
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, &FileError{File: file, Line: second.Line, Column: second.Column, Problem: "a second document begins; there must be one"}
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(file, err)
	}
	d := &decoder{file: file}
	f := &Fleet{Defaults: Moderate(), file: file}
	if len(doc.Content) == 1 && d.plain(doc.Content[0], 0) {
		d.fleet(f, doc.Content[0])
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// readable refuses what the parser would choke on, or explain badly.
func readable(data []byte, file string) error {
	marks, line, column := 0, 1, 1
	for rest := data; len(rest) > 0; column++ {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return &FileError{File: file, Line: line, Column: column, Problem: fmt.Sprintf("here is a byte, %#x, that is not UTF-8", rest[0])}
		case unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t':
			return &FileError{File: file, Line: line, Column: column, Problem: fmt.Sprintf("here is a control character, %#x", r)}
		case r == '\n':
			line, column = line+1, 0
		case strings.ContainsRune(nodeMarks, r), r == '-' || r == '?':
			// The last two only before a blank; elsewhere they are text.
			if r != '-' && r != '?' || len(rest) == 1 || strings.IndexByte(" \t\r\n", rest[1]) >= 0 {
				marks++
			}
		}
		rest = rest[size:]
	}
	if marks > maxMarks {
		return &FileError{File: file, Problem: fmt.Sprintf("the file has more than %d values, to judge by its punctuation; describe many names by a pattern", maxMarks)}
	}
	return nil
}

func syntaxError(file string, err error) error {
	e := &FileError{File: file, Problem: err.Error(), Err: err}
	var at *yaml.LoadError
	if all, ok := errors.AsType[*yaml.LoadErrors](err); ok && len(all.Errors) > 0 {
		at = all.Errors[0]
	} else if one, ok := errors.AsType[*yaml.LoadError](err); ok {
		at = one
	}
	if at != nil {
		e.Problem, e.Line, e.Column = strings.TrimPrefix(at.Message, "yaml: "), at.Mark.Line, at.Mark.Column
		if at.ContextMsg != "" {
			e.Problem += " (" + at.ContextMsg + ")"
		}
	}
	const enough = 200 // it may quote the document
	if len(e.Problem) > enough {
		e.Problem = strings.ToValidUTF8(e.Problem[:enough], "") + "…"
	}
	return e
}

// decoder collects the faults of one document.
type decoder struct {
	file   string
	quiet  bool                 // values are another package's, and may be secret
	others map[*yaml.Node]other // values given by another name than that of the field, and that
	faults []*FileError
	more   bool
}

// err returns the faults in the order of the document, joined.
func (d *decoder) err() error {
	slices.SortStableFunc(d.faults, func(a, b *FileError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	var all []error
	for _, fault := range d.faults {
		all = append(all, fault)
	}
	if d.more {
		all = append(all, &FileError{File: d.file, Problem: "there are more faults"})
	}
	return errors.Join(all...)
}

func (d *decoder) fault(n *yaml.Node, path, problem string) {
	d.faultBy(n, path, problem, nil)
}

func (d *decoder) faultBy(n *yaml.Node, path, problem string, err error) {
	if d.more = d.more || len(d.faults) == maxFaults; d.more {
		return
	}
	if path == "" {
		path = "the document"
	}
	d.faults = append(d.faults, &FileError{File: d.file, Line: n.Line, Column: n.Column, Field: path, Problem: problem, Err: err})
}

// plain reports whether the document has no anchors and aliases, and is not
// nested too deeply.
func (d *decoder) plain(n *yaml.Node, depth int) bool {
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		d.fault(n, "", "has an anchor or an alias, which are not read; put what is shared into defaults or a pattern")
		return false
	}
	if depth > maxDepth {
		d.fault(n, "", fmt.Sprintf("is nested deeper than %d levels", maxDepth))
		return false
	}
	for _, c := range n.Content {
		if !d.plain(c, depth+1) {
			return false
		}
	}
	return true
}

// mapping calls each for every field of n in turn, until there are more faults
// than are told.
func (d *decoder) mapping(n *yaml.Node, path string, each func(key string, k, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		d.fault(n, path, "must have fields, \"name: value\", and is "+d.shown(n))
		return
	}
	seen := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content) && !d.more; i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.ShortTag() != stringTag {
			d.fault(k, path, "has a field whose name is no text; put it in quotes")
			continue
		}
		if first := seen[k.Value]; first != nil {
			d.fault(k, join(path, k.Value), fmt.Sprintf("is given twice; the first is in line %d", first.Line))
			continue
		}
		seen[k.Value] = k
		each(k.Value, k, v)
	}
}

func join(path, key string) string {
	key = clip(key)
	if path == "" {
		return key
	}
	return path + "." + key
}

// clip makes a name or a number of the document fit for a log.
func clip(s string) string {
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// shown describes a value that is of another kind than wanted.
func (d *decoder) shown(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode && n.ShortTag() == "!!map":
		return "a set of fields"
	case n.Kind == yaml.SequenceNode && n.ShortTag() == "!!seq":
		return "a list"
	case n.Kind != yaml.ScalarNode:
		return "of the type " + clip(n.ShortTag())
	case n.ShortTag() == nullTag:
		return "empty"
	case d.quiet:
		return "something else"
	case n.ShortTag() == stringTag && strings.ContainsFunc(n.Value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return clip(n.Value)
	case n.ShortTag() == stringTag:
		return strconv.Quote(clip(n.Value))
	}
	switch tag := n.ShortTag(); tag {
	case "!!int", "!!float", "!!bool":
		return clip(n.Value)
	default:
		return "of the type " + clip(tag)
	}
}

func (d *decoder) fleet(f *Fleet, n *yaml.Node) {
	var defaults, policies *yaml.Node
	d.mapping(n, "", func(key string, k, v *yaml.Node) {
		switch {
		case key == "registry":
			places := make(positions)
			d.fields(reflect.ValueOf(&f.Registry).Elem(), v, scope{path: "registry", name: "Registry", places: places})
			d.report(v, "", places, reflect.TypeFor[Fleet](), f.Registry.faults())
		case key == "state_file":
			d.value(reflect.ValueOf(&f.StateFile).Elem(), v, scope{path: key})
			if strings.ContainsFunc(f.StateFile, unicode.IsControl) {
				d.fault(v, key, "must be the name of a file, without control characters")
			}
		case key == "defaults":
			defaults = v
		case key == "policies":
			policies = v
		case slices.Contains(sections(), key):
			if v.Kind != yaml.MappingNode {
				d.fault(v, key, "must have fields, \"name: value\", and is "+d.shown(v))
				return
			}
			if f.sections == nil {
				f.sections = make(map[string]*yaml.Node)
			}
			f.sections[key] = v
		default:
			known := append([]string{"registry", "state_file", "defaults", "policies"}, sections()...)
			d.unknown(k, "", key, known)
		}
	})
	if defaults != nil {
		f.Defaults = d.policy(defaults, "defaults", Moderate())
	}
	if policies == nil {
		return
	}
	f.Policies = make(map[string]Policy)
	keys := make(map[string]*yaml.Node)
	d.mapping(policies, "policies", func(name string, k, v *yaml.Node) {
		f.Policies[name] = d.policy(v, join("policies", name), f.Defaults)
		keys[name] = k
	})
	for _, name := range slices.SortedFunc(maps.Keys(keys), func(a, b string) int {
		return cmp.Or(keys[a].Line-keys[b].Line, keys[a].Column-keys[b].Column)
	}) {
		if err := f.checkName(name); err != nil {
			d.reportOne(keys[name], join("policies", name), err)
		}
	}
}

// policy reads a policy that starts from base.
func (d *decoder) policy(n *yaml.Node, path string, base Policy) Policy {
	p := base.clone()
	if preset := fieldOf(n, "preset"); preset != nil && preset.Value != noPreset {
		if s, ok := find(preset.Value); ok {
			p = s.on(p)
		}
	} else if preset != nil {
		p = Policy{}
	}
	places, sound := make(positions), len(d.faults)
	d.fields(reflect.ValueOf(&p).Elem(), n, scope{path: path, places: places})
	switch given := places["Preset"]; {
	case p.Preset == noPreset:
		p.Preset = ""
	case given != nil && p.Preset == "" && given.ShortTag() == stringTag:
		d.fault(given, join(path, "preset"), `is "", allowed: none, `+strings.Join(Names(), ", "))
	}
	d.zeros(&p, path, places)
	d.whether(&p, path, places, len(d.faults) == sound)
	if err := p.Validate(); err != nil {
		d.report(n, path, places, reflect.TypeFor[Policy](), configErrors(err))
	}
	return p
}

// fieldOf returns the value of a field of a mapping, or nil.
func fieldOf(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

func (d *decoder) unknown(k *yaml.Node, path, key string, known []string) {
	if len(d.faults) == maxFaults { // suggestions cost the most, and this one would not be seen
		d.more = true
		return
	}
	d.fault(k, join(path, key), "is not a known field"+didYouMean(key, known))
}

// report tells the faults of values that are of the right type, each with the
// place where the value was given, or else that of n.
func (d *decoder) report(n *yaml.Node, path string, where positions, t reflect.Type, faults []error) {
	for _, err := range faults {
		fault, ok := errors.AsType[*core.ConfigError](err)
		if !ok {
			d.faultBy(n, path, err.Error(), err)
			continue
		}
		at, named := n, fileName(t, fault.Field)
		for name := fault.Field; name != ""; name = parent(name) {
			if found := where[name]; found != nil {
				at = found
				break
			}
		}
		if by, ok := d.others[at]; ok && at == where[fault.Field] {
			named = by.in(named)
		}
		text := fileWords(t, fault.Field, problemOf(fault))
		if share, ok := fault.Value.(float64); ok && strings.HasSuffix(fault.Field, "RateThreshold") && share > 1 && share <= 100 {
			text += "; a share between 0 and 1: 0.5 is half"
		}
		d.faultBy(at, join(path, named), text, fault)
	}
}

func (d *decoder) reportOne(at *yaml.Node, path string, err error) {
	text := err.Error()
	if fault, ok := errors.AsType[*core.ConfigError](err); ok {
		text = problemOf(fault)
	}
	d.faultBy(at, path, text, err)
}

// problemOf is the text of a fault without the name of its field.
func problemOf(fault *core.ConfigError) string {
	return strings.TrimPrefix(fault.Error(), "switchgear: "+fault.Field+" ")
}

func parent(name string) string {
	return name[:max(strings.LastIndexByte(name, '.'), 0)]
}

// configErrors takes a joined error apart.
func configErrors(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, configErrors(e)...)
	}
	return all
}
