package presets

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/blackbox4/switchgear/core"
)

// Fleet is what one file says: the policies of many breakers, by name and by
// pattern, and the size of their registry. [Load] and [Decode] read it,
// [Encode] writes it, [NewRegistry] and [Registry.Apply] put it to work.
//
// The zero Fleet gives every name the zero [Policy]. A Fleet is plain data and
// not safe for use while it is changed.
type Fleet struct {
	// Registry is the size of the registry.
	Registry Limits
	// StateFile is where the breakers that are not closed are kept, so that breaks
	// survive a restart: [Registry.KeepState] with it is called when the Registry is
	// first used, and what it returns is logged. Empty means that nothing is kept.
	StateFile string
	// Defaults is the policy of a name that nothing else describes.
	Defaults Policy
	// Policies holds the others, by a name or a pattern. In a pattern each *
	// stands for any text, also none. The very name comes first, then the pattern
	// with the most bytes that are not *, then the one with fewer *, then the one
	// first in byte order; so the order of the file means nothing.
	Policies map[string]Policy

	file     string
	sections map[string]*yaml.Node // of other packages
}

// Limits is the size of a registry; see [core.Registry].
type Limits struct {
	// Max is how many breakers there are at most. Zero means 10,000; at most
	// 1,000,000.
	Max int `json:"max,omitzero"`
	// Idle is after how long a breaker that is not used is evicted. Zero
	// means 1 h, negative means never.
	Idle time.Duration `json:"idle,omitzero"`
}

// withDefaults returns l with its defaults filled in.
func (l Limits) withDefaults() Limits {
	if l.Max <= 0 {
		l.Max = defaultMax
	}
	if l.Idle == 0 {
		l.Idle = defaultIdle
	}
	return l
}

func (l Limits) faults() []error {
	if l.Max < 0 || l.Max > maxMax {
		return []error{&core.ConfigError{Field: "Registry.Max", Value: l.Max, Allowed: "1 to 1000000; 0 for 10000"}}
	}
	return nil
}

// Policy returns the policy of a name. It is the caller's. Of a nil Fleet it is
// [Moderate].
func (f *Fleet) Policy(name string) Policy {
	p, _ := f.lookup(name)
	return p.clone()
}

// lookup returns the policy of a name, and whether it is not the default one.
func (f *Fleet) lookup(name string) (Policy, bool) {
	if f == nil {
		return Moderate(), false
	}
	if p, ok := f.Policies[name]; ok {
		return p, true
	}
	best, weight, stars := "", -1, 0
	for pattern := range f.Policies {
		if !isPattern(pattern) || !matches(pattern, name) {
			continue
		}
		s := strings.Count(pattern, "*")
		w := len(pattern) - s
		if cmp.Or(cmp.Compare(weight, w), cmp.Compare(s, stars), cmp.Compare(pattern, best)) < 0 {
			best, weight, stars = pattern, w, s
		}
	}
	if weight < 0 {
		return f.Defaults, false
	}
	return f.Policies[best], true
}

// Validate reports every fault of f at once, joined; each wraps a
// [*core.ConfigError]. A pattern that is never looked at is a fault. A nil Fleet
// is valid.
func (f *Fleet) Validate() error {
	if f == nil {
		return nil
	}
	faults := f.Registry.faults()
	if strings.ContainsFunc(f.StateFile, unicode.IsControl) || !utf8.ValidString(f.StateFile) {
		faults = append(faults, &core.ConfigError{Field: "StateFile", Value: f.StateFile, Allowed: "the name of a file, in UTF-8 without control characters; empty for none"})
	}
	if err := f.Defaults.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("presets: defaults: %w", err))
	}
	for _, name := range slices.Sorted(maps.Keys(f.Policies)) {
		if err := f.checkName(name); err != nil {
			faults = append(faults, err)
		}
		if err := f.Policies[name].Validate(); err != nil {
			faults = append(faults, fmt.Errorf("presets: the policy of %q: %w", name, err))
		}
	}
	return errors.Join(faults...)
}

// checkName refuses what no breaker could be named.
func (f *Fleet) checkName(name string) error {
	if !isPattern(name) {
		_, err := core.New(name, core.Config{})
		return err
	}
	fault := func(allowed string) error {
		return &core.ConfigError{Field: "pattern", Value: name, Allowed: allowed}
	}
	if bare := strings.ReplaceAll(name, "*", ""); bare != "" {
		if _, err := core.New(bare, core.Config{}); err != nil {
			return fault("one that some name matches: 1 to 256 bytes of UTF-8 without control characters, besides *")
		}
	}
	if plain := simplest(name); plain != name {
		if _, ok := f.Policies[plain]; ok {
			return fault(fmt.Sprintf("one that matches other names than %q does", plain))
		}
		return fault(fmt.Sprintf("single *; write %q", plain))
	}
	return nil
}

func (f *Fleet) clone() *Fleet {
	c := *f
	c.Defaults = f.Defaults.clone()
	c.Policies = make(map[string]Policy, len(f.Policies))
	for name, p := range f.Policies {
		c.Policies[name] = p.clone()
	}
	return &c
}

func isPattern(name string) bool { return strings.Contains(name, "*") }

// simplest returns the pattern with one * in place of several in a row.
func simplest(pattern string) string {
	for strings.Contains(pattern, "**") {
		pattern = strings.ReplaceAll(pattern, "**", "*")
	}
	return pattern
}

// matches reports whether name is the pattern's text, with each * any text. The
// leftmost place for each part will do, so it takes no more than the product of
// the lengths.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	last := parts[len(parts)-1]
	name, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, name, ok = strings.Cut(name, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(name, last)
}
