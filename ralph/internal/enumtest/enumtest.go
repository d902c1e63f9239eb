// Package enumtest checks that the enums of a package read back what they wrote.
package enumtest

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/core"
)

// enum is what an enum's values can do.
type enum interface {
	~uint8
	comparable
	fmt.Stringer
	encoding.TextMarshaler
}

// Format writes and reads values, as the functions of a package such as encoding/json do.
type Format struct {
	Name      string
	Marshal   func(any) ([]byte, error)
	Unmarshal func([]byte, any) error
}

// RoundTrip checks every constant from first to last, as a value and as the key of a
// map, in JSON and another format, and what is said of a text that is none.
func RoundTrip[T enum, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, another Format, first, last T) {
	t.Helper()
	seen := make(map[string]bool)
	for v := int(first); v <= int(last); v++ {
		want := T(v)
		if name := want.String(); name == "" || seen[name] || strings.Contains(name, "(") {
			t.Errorf("%T(%d) is called %q", want, v, name)
		}
		seen[want.String()] = true
		for _, format := range []Format{{"JSON", json.Marshal, json.Unmarshal}, another} {
			type all struct {
				Value T
				List  []T
				Keys  map[T]int
			}
			text, err := format.Marshal(all{want, []T{want, first}, map[T]int{want: 7}})
			if err != nil {
				t.Errorf("%v in %s: %v", want, format.Name, err)
				continue
			}
			got := all{Value: last}
			if err := format.Unmarshal(text, &got); err != nil || got.Value != want || len(got.List) != 2 || got.List[0] != want || got.List[1] != first || got.Keys[want] != 7 {
				t.Errorf("%v in %s is\n%s\nand back %+v, %v", want, format.Name, text, got, err)
			}
			if !strings.Contains(string(text), want.String()) {
				t.Errorf("%v in %s is not its name: %s", want, format.Name, text)
			}
		}
	}
	for n := int(last) + 1; n < 256; n++ { // without a name
		text, err := T(n).MarshalText()
		v := new(T)
		if err := errors.Join(err, P(v).UnmarshalText(text)); err != nil || *v != T(n) {
			t.Errorf("%T(%d) is written as %q, and read as %v, %v", *v, n, text, *v, err)
		}
	}
	for _, none := range []string{"", "xyzzy", strings.ToUpper(last.String()), last.String() + "x", fmt.Sprintf("%d", last), fmt.Sprintf("State(%d)", first)} {
		v := P(new(T))
		*v = last
		err := v.UnmarshalText([]byte(none))
		if _, ok := errors.AsType[*core.ConfigError](err); !ok || *v != last || !strings.Contains(err.Error(), fmt.Sprintf("%q", none)) || !strings.Contains(err.Error(), "allowed: "+first.String()) || !strings.Contains(err.Error(), last.String()) {
			t.Errorf("%q is taken for %v, or the error does not say what is allowed: %v", none, *v, err)
		}
	}
	near := last.String() + "x"
	if err := P(new(T)).UnmarshalText([]byte(near)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("did you mean %q?", last.String())) {
		t.Errorf("%q: %v, want %v to be proposed", near, err, last)
	}
}

// Exported finds the exported enums in the package that dir holds: types of integers
// with constants. It reports those which cannot be written or read as text, and
// returns of each how many constants it has.
func Exported(t *testing.T, dir string) map[string]int {
	t.Helper()
	set := token.NewFileSet()
	packages, err := parser.ParseDir(set, dir, func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, parser.SkipObjectResolution) //nolint:staticcheck // types are not needed
	if err != nil {
		t.Fatal(err)
	}
	integers, methods, constants := make(map[string]bool), make(map[string]bool), make(map[string]int)
	for _, p := range packages {
		for _, file := range p.Files {
			for _, d := range file.Decls {
				switch d := d.(type) {
				case *ast.FuncDecl:
					if d.Recv != nil {
						methods[receiver(d)+"."+d.Name.Name] = true
					}
				case *ast.GenDecl:
					declared(d, integers, constants)
				}
			}
		}
	}
	found := make(map[string]int)
	for name := range integers {
		if !ast.IsExported(name) || constants[name] == 0 {
			continue
		}
		found[name] = constants[name]
		for _, method := range []string{"String", "MarshalText", "UnmarshalText"} {
			if !methods[name+"."+method] {
				t.Errorf("the enum %s has no %s", name, method)
			}
		}
	}
	return found
}

func receiver(d *ast.FuncDecl) string {
	kind := d.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// declared notes types of integers and counts exported constants by their type; one
// without a type of its own has that of the one before.
func declared(d *ast.GenDecl, integers map[string]bool, constants map[string]int) {
	kind := ""
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if base, ok := spec.Type.(*ast.Ident); ok && (strings.HasPrefix(base.Name, "int") || strings.HasPrefix(base.Name, "uint") || base.Name == "byte") {
				integers[spec.Name.Name] = true
			}
		case *ast.ValueSpec:
			if d.Tok != token.CONST {
				continue
			}
			if name, ok := spec.Type.(*ast.Ident); ok {
				kind = name.Name
			} else if spec.Type != nil || len(spec.Values) > 0 {
				kind = ""
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					constants[kind]++
				}
			}
		}
	}
}
