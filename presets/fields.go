package presets

import (
	"cmp"
	"encoding"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v4"
)

// positions are where the fields of a struct were given, by Go name,
// "Window.Calls".
type positions map[string]*yaml.Node

// onlyFieldSet reports whether of the fields of a struct only this one was given.
func (p positions) onlyFieldSet(name string) bool {
	for other := range p {
		if other != name && other != parent(name) && parent(other) == parent(name) {
			return false
		}
	}
	return p[name] != nil
}

// firstIn returns the first place in the document of what was given of a struct, or
// nil.
func (p positions) firstIn(name string) *yaml.Node {
	var first *yaml.Node
	for other, n := range p {
		in := strings.HasPrefix(other, name) && len(other) > len(name) && strings.ContainsRune("./", rune(other[len(name)]))
		if in && (first == nil || cmp.Or(cmp.Compare(n.Line, first.Line), cmp.Compare(n.Column, first.Column)) < 0) {
			first = n
		}
	}
	return first
}

// scope is where in the document, and in the Go value, a struct stands.
type scope struct {
	path, name string
	prefix     string // of keys that stand a level higher than they belong
	places     positions
}

func (s scope) to(key, name string) scope {
	return scope{path: join(s.path, key), name: join(s.name, name), places: s.places}
}

// field is a struct field that a file can give.
type field struct {
	key  string // in the file
	aka  string // another name that it may have there, by a tag aka; empty for none
	name string // in Go
	typ  reflect.Type
	at   []int
}

// fieldsOf lists the fields of a struct by their JSON names, those of embedded
// structs among them. The slice is shared.
func fieldsOf(t reflect.Type) []field {
	if known, ok := knownFields.Load(t); ok {
		return known.([]field)
	}
	var all []field
	for _, f := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || key == "" || key == "-" {
			continue
		}
		all = append(all, field{key: key, aka: f.Tag.Get("aka"), name: f.Name, typ: f.Type, at: f.Index})
	}
	knownFields.Store(t, all)
	return all
}

//nolint:gochecknoglobals // reflection is slow, and there are few types
var knownFields sync.Map // reflect.Type to []field

func fieldNamed(t reflect.Type, key string) (field, bool) {
	all := fieldsOf(t)
	i := slices.IndexFunc(all, func(f field) bool { return key != "" && (f.key == key || f.aka == key) })
	if i < 0 {
		return field{}, false
	}
	return all[i], true
}

// fileName returns the name in a file of the Go field "Window.Calls" of t.
func fileName(t reflect.Type, name string) string {
	first, rest, _ := strings.Cut(name, ".")
	f, ok := t.FieldByName(first)
	if !ok {
		return name
	}
	key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if key == "" {
		key = strings.ToLower(first)
	}
	if rest == "" {
		return key
	}
	inner := f.Type
	if inner.Kind() == reflect.Pointer {
		inner = inner.Elem()
	}
	if inner.Kind() != reflect.Struct {
		return name
	}
	return key + "." + fileName(inner, rest)
}

// fileWords returns the text of an error about a field of t with the names that other
// fields have in a file.
func fileWords(t reflect.Type, field, text string) string {
	return goName.ReplaceAllStringFunc(text, func(name string) string {
		if name == "Retry.Enabled" {
			return "retry_enabled"
		}
		if in := fileName(t, name); in != name {
			return in
		}
		for in := field; in != ""; in = parent(in) { // of the struct that the field is in, or is
			full := fileName(t, in+"."+name)
			if word := full[strings.LastIndexByte(full, '.')+1:]; word != name {
				return word
			}
		}
		return name
	})
}

var goName = regexp.MustCompile(`\b[A-Z][a-z]+[A-Za-z]*(\.[A-Z][A-Za-z]+)*\b`)

// fields reads the fields of the struct v from n. Fields that n does not give stay.
func (d *decoder) fields(v reflect.Value, n *yaml.Node, s scope) {
	var after []func() // what has the last word
	d.mapping(n, s.path, func(key string, k, value *yaml.Node) {
		if f, ok := fieldNamed(v.Type(), key); ok {
			if key == f.aka {
				d.calls(value, key, 1)
			}
			if d.claimField(k, value, s.to(key, f.name)) {
				d.value(v.FieldByIndex(f.at), value, s.to(key, f.name))
			}
			return
		}
		if bare, cut := strings.CutSuffix(key, msSuffix); cut {
			if f, ok := fieldNamed(v.Type(), bare); ok && f.typ == reflect.TypeFor[time.Duration]() {
				if bare == f.aka {
					d.calls(value, bare, 1)
				}
				if d.claimField(k, value, s.to(key, f.name)) {
					d.milliseconds(v.FieldByIndex(f.at), value, join(s.path, key))
				}
				return
			}
		}
		last, ok := d.original(v, key, k, value, s)
		if !ok {
			known := originalNames(v.Type())
			for _, f := range fieldsOf(v.Type()) {
				known = append(known, f.key)
				if f.aka != "" {
					known = append(known, f.aka)
				}
			}
			d.unknown(k, s.path, key, known)
		}
		switch {
		case last == nil:
		case strings.HasSuffix(key, "enabled"): // what is switched off has no jitter to switch off
			after = slices.Insert(after, 0, last)
		default:
			after = append(after, last)
		}
	})
	for _, last := range after {
		last()
	}
}

// other is a name that a field was given by in place of its own: key stands for the
// last levels of that.
type other struct {
	key    string
	levels int
}

// calls notes that a field was given by another name.
func (d *decoder) calls(value *yaml.Node, key string, levels int) {
	if d.others == nil {
		d.others = make(map[*yaml.Node]other)
	}
	d.others[value] = other{key, levels}
}

// in returns name, the full name of a field, with what it was given by.
func (o other) in(name string) string {
	for range o.levels {
		name = parent(name)
	}
	return join(name, o.key)
}

// claimField notes where a field was given; it reports false if it had been.
func (d *decoder) claimField(k, v *yaml.Node, s scope) bool {
	if s.places == nil {
		return true
	}
	if first := s.places[s.name]; first != nil {
		d.fault(k, s.path, fmt.Sprintf("is given twice; the first, by another name, is in line %d", first.Line))
		return false
	}
	s.places[s.name] = v
	return true
}

// value reads what a field holds, of whatever type.
func (d *decoder) value(v reflect.Value, n *yaml.Node, s scope) {
	if text, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		d.text(text, n, s)
		return
	}
	switch v.Kind() { //nolint:exhaustive // scalar refuses the others
	case reflect.Pointer:
		d.pointer(v, n, s)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Retry]() && d.retryWord(v, n, s) {
			return
		}
		if v.Type() != reflect.TypeFor[Retry]() { // which is laid on the one below; others replace it
			v.SetZero()
		}
		d.fields(v, n, s)
	case reflect.Slice:
		d.list(v, n, s)
	case reflect.Map:
		d.table(v, n, s)
	case reflect.Int64:
		if v.Type() == reflect.TypeFor[time.Duration]() {
			d.duration(v, n, s.path)
		} else {
			d.scalar(v, n, s.path)
		}
	default:
		d.scalar(v, n, s.path)
	}
}

// retryWord reads true, false or none for a retry: whether, and nothing of how. It
// reports false for anything else.
func (d *decoder) retryWord(v reflect.Value, n *yaml.Node, s scope) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	switch retry := v.Addr().Interface().(*Retry); {
	case n.ShortTag() == "!!bool":
		inner := s.to("enabled", "Enabled")
		if d.claimField(n, n, inner) {
			d.value(reflect.ValueOf(&retry.Enabled).Elem(), n, inner)
		}
		return true
	case n.ShortTag() == stringTag && n.Value == StrategyNone.String():
		inner := s.to("strategy", "Strategy")
		if d.claimField(n, n, inner) {
			retry.Strategy = StrategyNone
		}
		return true
	}
	return false
}

func (d *decoder) scalar(v reflect.Value, n *yaml.Node, path string) {
	var tags []string
	var what string
	switch v.Kind() { //nolint:exhaustive // no others stand in a file
	case reflect.Bool:
		tags, what = []string{"!!bool"}, "true or false"
	case reflect.Int, reflect.Int64:
		tags, what = []string{"!!int"}, "a whole number"
	case reflect.Float64:
		tags, what = []string{"!!int", "!!float"}, "a number"
	case reflect.String:
		tags, what = []string{stringTag}, "text"
	default:
		d.fault(n, path, "cannot be given in a file")
		return
	}
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.ShortTag()) || n.Load(v.Addr().Interface()) != nil {
		d.fault(n, path, "must be "+what+", and is "+d.shown(n))
	}
}

func (d *decoder) text(v encoding.TextUnmarshaler, n *yaml.Node, s scope) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != stringTag {
		d.fault(n, s.path, "must be text, and is "+d.shown(n))
		return
	}
	err := v.UnmarshalText([]byte(n.Value))
	if err == nil {
		return
	}
	text := err.Error()
	if d.quiet {
		text, err = "is not one of the values that are allowed", nil
	} else if _, ok := v.(*Strategy); ok {
		text = fmt.Sprintf("is %s, allowed: %s%s", d.shown(n), allowedStrategies, didYouMean(n.Value, slices.Concat(strategyNames.Of, slices.Sorted(maps.Keys(otherStrategyNames())))))
	}
	d.faultBy(n, s.path, text, err)
}

// pointer reads what may be absent, a struct onto the one that is there.
func (d *decoder) pointer(v reflect.Value, n *yaml.Node, s scope) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == nullTag {
		v.SetZero()
		return
	}
	fresh := reflect.New(v.Type().Elem())
	if !v.IsNil() {
		fresh.Elem().Set(v.Elem())
	}
	v.Set(fresh)
	if fresh.Elem().Kind() == reflect.Struct && !fresh.Type().Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		d.fields(fresh.Elem(), n, s) // without what value clears first
		return
	}
	d.value(fresh.Elem(), n, s)
}

func (d *decoder) list(v reflect.Value, n *yaml.Node, s scope) {
	if n.Kind != yaml.SequenceNode || n.ShortTag() != "!!seq" {
		d.fault(n, s.path, "must be a list, and is "+d.shown(n))
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(items.Index(i), item, scope{path: fmt.Sprintf("%s[%d]", s.path, i), places: make(positions)})
	}
	v.Set(items)
}

func (d *decoder) table(v reflect.Value, n *yaml.Node, s scope) {
	entries := reflect.MakeMap(v.Type())
	d.mapping(n, s.path, func(key string, _, value *yaml.Node) {
		entry := reflect.New(v.Type().Elem()).Elem()
		d.value(entry, value, scope{path: join(s.path, key), places: make(positions)})
		entries.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), entry)
	})
	v.Set(entries)
}

func (d *decoder) duration(v reflect.Value, n *yaml.Node, path string) {
	tag := n.ShortTag()
	if n.Kind == yaml.ScalarNode && (tag == stringTag || tag == "!!int" && n.Value == "0") {
		if parsed, err := time.ParseDuration(n.Value); err == nil {
			v.SetInt(int64(parsed))
			return
		}
	}
	if n.Kind == yaml.ScalarNode && !d.quiet && (tag == "!!int" || tag == "!!float") && strings.Trim(n.Value, "0123456789.") == "" {
		name := path[strings.LastIndexByte(path, '.')+1:]
		d.fault(n, path, fmt.Sprintf("has no unit: %s; write %ss, or %s: %s for milliseconds", clip(n.Value), clip(n.Value), name+msSuffix, clip(n.Value)))
		return
	}
	d.fault(n, path, `must be a duration such as 500ms, 60s or 1h30m, and is `+d.shown(n))
}

func (d *decoder) milliseconds(v reflect.Value, n *yaml.Node, path string) {
	var ms int64
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || n.Load(&ms) != nil || ms > math.MaxInt64/int64(time.Millisecond) || ms < math.MinInt64/int64(time.Millisecond) {
		problem := "must be a whole number of milliseconds, and is " + d.shown(n)
		if _, err := time.ParseDuration(n.Value); err == nil && !d.quiet && n.Kind == yaml.ScalarNode && n.ShortTag() == stringTag {
			name := strings.TrimSuffix(path[strings.LastIndexByte(path, '.')+1:], msSuffix)
			problem += fmt.Sprintf("; for a duration with a unit write %s: %s", name, clip(n.Value))
		}
		d.fault(n, path, problem)
		return
	}
	v.SetInt(ms * int64(time.Millisecond))
}
