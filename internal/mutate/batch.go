package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"path/filepath"
	"slices"
	"strings"
)

// variable is the environment variable that switches a mutant on, by its number.
const variable = "SWITCHGEAR_MUTANT"

// chooser is the file that a package gets besides.
const chooser = `package %s

import (
	mutantOS "os"
	mutantNumbers "strconv"
)

var mutant__, _ = mutantNumbers.Atoi(mutantOS.Getenv("` + variable + `"))
`

// batch returns the files of the package in which each mutant that stands in a
// function is in a copy of that function, and the function calls the copy if the
// mutant is switched on. So many mutants need one build only. Those that stand
// elsewhere are not in it; the others get their numbers, from 1.
func (p *pkg) batch(sample []*mutant) map[string][]byte {
	sources := make(map[string][]byte)
	for i, source := range p.source {
		var edits []edit
		var copies strings.Builder
		in := make(map[*ast.FuncDecl][]*mutant)
		var functions []*ast.FuncDecl
		for n, m := range sample {
			if m.file != i || m.function == nil || !p.copyable(m) {
				continue
			}
			m.number = n + 1
			if in[m.function] == nil {
				functions = append(functions, m.function)
			}
			in[m.function] = append(in[m.function], m)
		}
		for _, f := range functions {
			arguments, named := p.arguments(f)
			edits = append(edits, named...)
			var cases strings.Builder
			for _, m := range in[f] {
				name := fmt.Sprintf("mutant%d__%s", m.number, f.Name.Name)
				call := strings.Replace(arguments, "*", name, 1)
				if f.Type.Results == nil {
					fmt.Fprintf(&cases, "case %d: %s; return; ", m.number, call)
				} else {
					fmt.Fprintf(&cases, "case %d: return %s; ", m.number, call)
				}
				from, to := p.offset(f.Pos()), p.offset(f.End())
				copied := []edit{{p.offset(f.Name.Pos()), p.offset(f.Name.End()), name}, {m.from, m.to, m.text}}
				copies.WriteString("\n" + apply(source[:to], copied)[from:] + "\n")
			}
			brace := p.offset(f.Body.Lbrace) + 1
			edits = append(edits, edit{brace, brace, " switch mutant__ { " + cases.String() + "}; "})
		}
		if len(functions) > 0 {
			sources[p.names[i]] = []byte(apply(source, edits) + copies.String())
		}
	}
	sources[filepath.Join(p.dir, "mutant__.go")] = fmt.Appendf(nil, chooser, p.files[0].Name.Name)
	return sources
}

// copyable reports whether a copy of the function of m does what the function
// does.
func (p *pkg) copyable(m *mutant) bool {
	f := m.function
	if f.Body == nil || m.from <= p.offset(f.Body.Lbrace) || f.Recv == nil && (f.Name.Name == "init" || f.Name.Name == "main") || f.Name.Name == "_" {
		return false
	}
	if f.Doc != nil && slices.ContainsFunc(f.Doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:") }) {
		return false
	}
	if f.Type.TypeParams != nil {
		for _, field := range f.Type.TypeParams.List {
			if slices.ContainsFunc(field.Names, func(n *ast.Ident) bool { return n.Name == "_" }) {
				return false
			}
		}
	}
	recovers := false // which only the function that is deferred can
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == "recover" {
			recovers = true
		}
		_, inner := n.(*ast.FuncLit)
		return !inner
	})
	return !recovers
}

// arguments returns how a copy of f is called from f, with * for its name, and
// what names the parameters of f that have none.
func (p *pkg) arguments(f *ast.FuncDecl) (call string, named []edit) {
	var names []string
	name := func(field *ast.Field) {
		if len(field.Names) == 0 {
			n := fmt.Sprintf("mutantArg%d__", len(names))
			names = append(names, n)
			at := p.offset(field.Type.Pos())
			named = append(named, edit{at, at, n + " "})
		}
		for _, id := range field.Names {
			n := id.Name
			if n == "_" {
				n = fmt.Sprintf("mutantArg%d__", len(names))
				named = append(named, edit{p.offset(id.Pos()), p.offset(id.End()), n})
			}
			names = append(names, n)
		}
		if _, variadic := field.Type.(*ast.Ellipsis); variadic {
			names[len(names)-1] += "..."
		}
	}
	call = "*"
	if f.Recv != nil {
		name(f.Recv.List[0])
		call = names[0] + ".*"
	}
	if t := f.Type.TypeParams; t != nil {
		var types []string
		for _, field := range t.List {
			for _, id := range field.Names {
				types = append(types, id.Name)
			}
		}
		call += "[" + strings.Join(types, ", ") + "]"
	}
	receivers := len(names)
	for _, field := range f.Type.Params.List {
		name(field)
	}
	return call + "(" + strings.Join(names[receivers:], ", ") + ")", named
}

// edit replaces the bytes between two offsets.
type edit struct {
	from, to int
	text     string
}

func apply(source []byte, edits []edit) string {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var out strings.Builder
	at := 0
	for _, e := range edits {
		out.Write(source[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(source[at:])
	return out.String()
}
