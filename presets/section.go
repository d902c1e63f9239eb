package presets

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/blackbox4/switchgear/core"
)

// Section reads a section that belongs to another package, ralph, failsafe or
// export, into the struct that into points to, as strictly as [Decode] and with
// the same errors; its fields have their names by JSON tags. What the section
// does not give stays as it is. It reports whether the file has the section.
// Values are not quoted in errors: they may be secret.
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
	d := &decoder{file: f.file, quiet: true}
	d.fields(v.Elem(), f.sections[name], scope{path: name, places: make(places)})
	return true, d.err()
}
