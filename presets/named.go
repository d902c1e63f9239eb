package presets

import (
	"strings"

	"github.com/blackbox4/switchgear/core"
)

// Named returns the preset of a name, as in a file: "external_api" is
// [ExternalAPI]. The error for another name is a [*core.ConfigError] that lists
// the known ones.
func Named(name string) (Policy, error) {
	p, ok := find(name)
	if !ok {
		return Policy{}, &core.ConfigError{Field: "Preset", Value: name, Allowed: strings.Join(Names(), ", ") + didYouMean(name, Names())}
	}
	return p.on(Policy{}), nil
}

// Names returns the names of the presets. The slice is the caller's.
func Names() []string {
	var names []string
	for _, p := range table() {
		names = append(names, p.name)
	}
	return names
}
