package presets

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/blackbox4/switchgear/core"
)

// secretSection has what keys and tokens stand in.
const secretSection = "export"

// Section reads a section that belongs to another package, ralph, failsafe or
// export, into the struct that into points to, as strictly as [Decode] and with
// the same errors; its fields have their names by JSON tags, and a second one by the
// tag aka. What the section does not give stays as it is. It reports whether the file
// has the section.
//
// If into has a method Validate() error, as a *ralph.Config and a *failsafe.Config, what
// that says of the whole struct is told with the lines of the fields. Of the section
// export, values are not quoted in errors, for they may be secret, and nothing is
// validated.
func (f *Fleet) Section(name string, into any) (found bool, err error) {
	if !slices.Contains(sections(), name) {
		return false, &core.ConfigError{Field: "section", Value: name, Allowed: strings.Join(sections(), ", ")}
	}
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return false, errors.New("presets: a section is read into a pointer to a struct")
	}
	if f == nil || f.sections[name] == nil {
		return false, nil
	}
	d, given := &decoder{file: f.file, quiet: name == secretSection}, make(positions)
	d.fields(v.Elem(), f.sections[name], scope{path: name, places: given})
	if whole, ok := into.(interface{ Validate() error }); ok && !d.quiet && d.faults == nil {
		if err := whole.Validate(); err != nil {
			d.report(f.sections[name], name, given, v.Elem().Type(), configErrors(err))
		}
	}
	return true, d.err()
}
