package presets

import (
	"encoding"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// Encode writes f as a document that [Decode] reads back as f: each policy by
// its preset and what differs from that, or from the defaults. A Timeout or Attempts of
// zero over one that is not is written as what it stands for. Func fields and
// Registry are not written. A Fleet that is not valid is an error, [Fleet.Validate]'s,
// as is one that is too long for a file, and nothing is written; any other error is
// the writer's.
func Encode(w io.Writer, f *Fleet) error {
	switch {
	case f == nil:
		return errNilFleet
	case w == nil:
		return errNilWriter
	}
	if err := f.Validate(); err != nil {
		return err
	}
	root := object()
	if limits := differences(reflect.ValueOf(f.Registry), reflect.ValueOf(Limits{})); limits != nil {
		put(root, "registry", limits)
	}
	if f.StateFile != "" {
		put(root, "state_file", scalar(stringTag, f.StateFile))
	}
	if defaults := policyNode(f.Defaults, Moderate()); defaults != nil {
		put(root, "defaults", defaults)
	}
	if f.Policies != nil {
		policies := object()
		for _, name := range slices.Sorted(maps.Keys(f.Policies)) {
			p := policyNode(f.Policies[name], f.Defaults)
			if p == nil {
				p = object()
			}
			put(policies, name, p)
		}
		put(root, "policies", policies)
	}
	for _, name := range sections() {
		if n := f.sections[name]; n != nil {
			put(root, name, bare(n))
		}
	}
	data, err := yaml.Dump(root)
	if err != nil {
		return fmt.Errorf("presets: %w", err)
	}
	if len(data) > maxFile {
		return errTooLong
	}
	if err := readable(data, ""); err != nil {
		return errTooLong
	}
	_, err = w.Write(data)
	return err
}

var (
	errNilFleet  = errors.New("presets: nil Fleet")
	errNilWriter = errors.New("presets: nil Writer")
	errTooLong   = fmt.Errorf("presets: the fleet does not fit into a file, of %d bytes and %d values; describe many names by a pattern", maxFile, maxMarks)
)

// policyNode returns what a file says of p where base holds below, or nil if it
// need say nothing. It mirrors [decoder.policy].
func policyNode(p, base Policy) *yaml.Node {
	preset := ""
	if p.Preset != base.Preset {
		if preset = p.Preset; preset == "" {
			preset, base = noPreset, Policy{}
		} else if s, ok := find(preset); ok {
			base = s.on(base)
		}
	}
	// A file cannot say these zeros, but what they stand for.
	sayDefault(&p.Timeout, base.Timeout, defaultTimeout)
	sayDefault(&p.FailureThreshold, base.FailureThreshold, defaultFailureThreshold)
	sayDefault(&p.FailureRateThreshold, base.FailureRateThreshold, defaultFailureRate)
	sayDefault(&p.SuccessThreshold, base.SuccessThreshold, defaultSuccessThreshold)
	sayDefault(&p.HalfOpenMaxCalls, base.HalfOpenMaxCalls, defaultHalfOpenMaxCalls)
	if p.Retry.Enabled && p.Retry.Attempts == 0 && base.Retry.Attempts != 0 {
		p.Retry.Attempts = defaultAttempts
	}
	n := differences(reflect.ValueOf(p), reflect.ValueOf(base))
	if preset == "" {
		return n
	}
	all := object()
	put(all, "preset", scalar(stringTag, preset))
	if n != nil {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value != "preset" {
				put(all, n.Content[i].Value, n.Content[i+1])
			}
		}
	}
	return all
}

// sayDefault puts the default in place of a zero that stands above another value.
func sayDefault[T comparable](v *T, base, means T) {
	var zero T
	if *v == zero && base != zero {
		*v = means
	}
}

// differences returns the fields of the struct v that are not as in base, or nil
// if there are none.
func differences(v, base reflect.Value) *yaml.Node {
	n := object()
	for _, f := range fieldsOf(v.Type()) {
		here, below := v.FieldByIndex(f.at), base.FieldByIndex(f.at)
		if reflect.DeepEqual(here.Interface(), below.Interface()) {
			continue
		}
		if node := fieldNode(here, below); node != nil {
			put(n, f.key, node)
		}
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

// fieldNode returns the node of a field that differs.
func fieldNode(v, base reflect.Value) *yaml.Node {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return scalar(nullTag, "null")
	case v.Kind() == reflect.Pointer:
		below := reflect.New(v.Type().Elem()).Elem()
		if !base.IsNil() {
			below = base.Elem()
		}
		if n := differences(v.Elem(), below); n != nil {
			return n
		}
		return object() // there, with nothing of its own
	case v.Type() == reflect.TypeFor[Retry]():
		retry, _ := reflect.TypeAssert[Retry](v)
		n := object()
		switch {
		case retry.Enabled:
			return differences(reflect.ValueOf(retry.enabled()), base)
		case differences(v, reflect.Zero(v.Type())) == nil:
			put(n, "strategy", scalar(stringTag, StrategyNone.String())) // which clears the rest
		default: // which leaves what the preset says
			put(n, "enabled", scalar("!!bool", "false"))
		}
		return n
	case v.Kind() == reflect.Struct: // given as a whole
		if n := differences(v, reflect.Zero(v.Type())); n != nil {
			return n
		}
		return object()
	}
	return leaf(v)
}

func leaf(v reflect.Value) *yaml.Node {
	switch x := v.Interface().(type) {
	case time.Duration:
		return scalar(stringTag, x.String())
	case encoding.TextMarshaler:
		text, _ := x.MarshalText() // ours never fail
		return scalar(stringTag, string(text))
	case string:
		return scalar(stringTag, x)
	case bool:
		return scalar("!!bool", strconv.FormatBool(x))
	case int:
		return scalar("!!int", strconv.Itoa(x))
	}
	n := new(yaml.Node)
	if err := n.Dump(v.Interface()); err != nil {
		panic("presets: " + err.Error()) // a float, of which all are known
	}
	return n
}

func object() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"} }

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func put(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, scalar(stringTag, key), value)
}

// bare returns n without comments, style and place.
func bare(n *yaml.Node) *yaml.Node {
	c := &yaml.Node{Kind: n.Kind, Tag: n.ShortTag(), Value: n.Value}
	for _, inner := range n.Content {
		c.Content = append(c.Content, bare(inner))
	}
	return c
}
