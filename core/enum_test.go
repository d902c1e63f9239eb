package core_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
	"go.yaml.in/yaml/v4"
)

// enums are the types with a MarshalText, and how many constants each has.
var enums = map[string]struct {
	of  func(n uint8) encoding.TextMarshaler
	ptr func() encoding.TextUnmarshaler
	n   uint8
}{
	"State":    {func(n uint8) encoding.TextMarshaler { return core.State(n) }, func() encoding.TextUnmarshaler { return new(core.State) }, 3},
	"Outcome":  {func(n uint8) encoding.TextMarshaler { return core.Outcome(n) }, func() encoding.TextUnmarshaler { return new(core.Outcome) }, 4},
	"Override": {func(n uint8) encoding.TextMarshaler { return core.Override(n) }, func() encoding.TextUnmarshaler { return new(core.Override) }, 4},
	"Cause":    {func(n uint8) encoding.TextMarshaler { return core.Cause(n) }, func() encoding.TextUnmarshaler { return new(core.Cause) }, uint8(core.CauseLimitReached) + 1},
	"Priority": {func(n uint8) encoding.TextMarshaler { return core.Priority(n) }, func() encoding.TextUnmarshaler { return new(core.Priority) }, 2},
}

func yamlMarshal(v any) ([]byte, error) { return yaml.Marshal(v) }

func yamlUnmarshal(b []byte, v any) error { return yaml.Unmarshal(b, v) }

// Every value of an enum reads back what it wrote, as text, JSON and YAML, also
// one that is none of the constants; each constant has a name of its own.
func TestEnumsReadBackWhatTheyWrote(t *testing.T) {
	for kind, enum := range enums {
		seen := map[string]bool{}
		for n := range uint8(255) {
			v := enum.of(n)
			text, err := v.MarshalText()
			if err != nil || string(text) != fmt.Sprint(v) || seen[string(text)] {
				t.Fatalf("%s %d: %q, %v", kind, n, text, err)
			}
			seen[string(text)] = true
			if named := !strings.Contains(string(text), "("); named != (n < enum.n && (kind != "Outcome" || n > 0)) {
				t.Errorf("%s %d is %q", kind, n, text)
			}
			for form, codec := range map[string][2]any{
				"text": {func(v any) ([]byte, error) { return v.(encoding.TextMarshaler).MarshalText() }, func(b []byte, v any) error { return v.(encoding.TextUnmarshaler).UnmarshalText(b) }},
				"JSON": {json.Marshal, json.Unmarshal},
				"YAML": {yamlMarshal, yamlUnmarshal},
			} {
				written, err := codec[0].(func(any) ([]byte, error))(v)
				if err != nil {
					t.Fatal(err)
				}
				back := enum.ptr()
				if err := codec[1].(func([]byte, any) error)(written, back); err != nil {
					t.Errorf("%s %s of %q: %v", kind, form, written, err)
				}
				if got := reflect.ValueOf(back).Elem().Uint(); got != uint64(n) {
					t.Errorf("%s %d through %s is %d", kind, n, form, got)
				}
			}
		}
		for _, bad := range []string{"", "Open ", "OPEN?", kind + "(1)x", kind + "(300)", kind + "(0)x", kind + "(1", "(1)"} {
			v := enum.ptr()
			var fault *core.ConfigError
			if err := v.UnmarshalText([]byte(bad)); !errors.As(err, &fault) || fault.Field != kind || !strings.Contains(fault.Allowed, `, `) {
				t.Errorf("%s from %q: %v", kind, bad, err)
			}
			if got := reflect.ValueOf(v).Elem().Uint(); got != 0 {
				t.Errorf("%s from %q is %d", kind, bad, got)
			}
		}
	}
}

// An enum that is added is looked at, too.
func TestEveryEnumIsTested(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Name.Name != "MarshalText" {
				continue
			}
			if kind := fmt.Sprint(fn.Recv.List[0].Type); enums[kind].of == nil {
				t.Errorf("%s: %s marshals to text and is not in enums", file, kind)
			}
		}
	}
}
