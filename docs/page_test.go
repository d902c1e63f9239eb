package docs_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/blackbox4/switchgear/presets"
	"github.com/blackbox4/switchgear/ralph"
)

const page = "migrate-from-python.md"

// fence is a block of code of the page.
type fence struct {
	name string // of the Example in the comment above, if there is one
	text string
}

// fences returns the blocks of a language.
func fences(language string) []fence {
	text, err := os.ReadFile(page)
	if err != nil {
		panic(err)
	}
	var all []fence
	for _, m := range regexp.MustCompile("(?ms)^(?:<!-- (Example\\w*) -->\n)?```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if m[2] == language {
			all = append(all, fence{m[1], m[3]})
		}
	}
	return all
}

// shown returns what each Example gives to onPage, as the page has to have it.
func shown(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, file, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			example, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(example.Name.Name, "Example") {
				continue
			}
			ast.Inspect(example, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != "onPage" {
					return true
				}
				body := call.Args[0].(*ast.FuncLit).Body
				all[example.Name.Name] = dedent(string(src[set.Position(body.Lbrace).Offset+1 : set.Position(body.Rbrace).Offset]))
				return false
			})
		}
	}
	return all
}

// dedent returns the body of a function in an Example without its indentation, what is
// not on the page, and the return at its end.
func dedent(body string) string {
	body, _, _ = strings.Cut(body, "\n\t\t// Not on the page.\n")
	body = strings.TrimSuffix(strings.TrimRight(body, "\n\t"), "\n\t\treturn nil")
	return strings.ReplaceAll(strings.TrimPrefix(body, "\n\t\t"), "\n\t\t", "\n") + "\n"
}

// TestGoIsCompiled: each block of Go on the page is the body of an Example, which the go
// command compiles and runs; and no Example is missing on the page.
func TestGoIsCompiled(t *testing.T) {
	examples, seen := shown(t), map[string]bool{}
	if len(examples) < 10 {
		t.Fatalf("only %d examples", len(examples))
	}
	for _, block := range fences("go") {
		want, ok := examples[block.name]
		switch {
		case !ok:
			t.Errorf("no Example %q for:\n%s", block.name, block.text)
		case block.text != want:
			t.Errorf("%s on the page:\n%s\nis in the test:\n%s", block.name, block.text, want)
		}
		seen[block.name] = true
	}
	for name := range examples {
		if !seen[name] {
			t.Errorf("%s is not on the page", name)
		}
	}
}

// TestYAMLIsRead: each file on the page is understood, the section for agents included.
func TestYAMLIsRead(t *testing.T) {
	files := fences("yaml")
	if len(files) == 0 {
		t.Fatal("no file on the page")
	}
	for _, file := range files {
		fleet, err := presets.Decode(strings.NewReader(file.text))
		if err != nil {
			t.Fatal(err)
		}
		var cfg ralph.Config
		if _, err := fleet.Section("ralph", &cfg); err != nil {
			t.Error(err)
		}
		if _, err := presets.NewRegistry(fleet); err != nil {
			t.Error(err)
		}
	}
}

// prose returns the page without its blocks of code.
func prose(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile("(?ms)^```\\w+\n.*?^```$").ReplaceAllString(string(text), "")
}

// TestLinks: what the page links to is there.
func TestLinks(t *testing.T) {
	text := prose(t)
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchor := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(m[1]), "")
		headings["#"+strings.ReplaceAll(anchor, " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(m[1], "#") {
			if !headings[m[1]] {
				t.Errorf("no heading for %s", m[1])
			}
		} else if _, err := os.Stat(m[1]); errors.Is(err, os.ErrNotExist) && !strings.HasPrefix(m[1], "https://") {
			t.Errorf("%s: %v", m[1], err)
		}
	}
}
