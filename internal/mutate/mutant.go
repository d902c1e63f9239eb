package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// mutant is one small change of one file.
type mutant struct {
	file     int // of the package
	from, to int // the bytes that text replaces
	text     string
	name     string // of the file, in the module
	line     int
	old, new string        // the line, before and after
	function *ast.FuncDecl // that it stands in, if any
	number   int           // in a batch; 0 if it is in none
}

// key tells a mutant from all others, whatever line it is moved to.
func (m *mutant) key() string { return m.name + ": " + m.old + " → " + m.new }

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d: %s → %s", m.name, m.line, m.old, m.new)
}

// mutants returns every mutant of the package, in the order of its source.
func (p *pkg) mutants() []*mutant {
	var all []*mutant
	for i, f := range p.files {
		if ast.IsGenerated(f) {
			continue
		}
		v := &visitor{pkg: p, file: i, imports: importNames(f)}
		ast.Inspect(f, v.visit)
		all = append(all, v.found...)
	}
	return all
}

// visitor collects the mutants of one file.
type visitor struct {
	*pkg

	file    int
	imports map[string]string // of packages, by path
	results []*types.Tuple    // of the functions around the node, innermost last
	nodes   []ast.Node        // around it
	found   []*mutant
}

// replace adds the mutant in which text stands for what is between two places.
func (v *visitor) replace(from, to token.Pos, text string) {
	at := v.fset.Position(from)
	m := &mutant{
		file: v.file, from: at.Offset, to: v.offset(to), text: text,
		name: path.Join(v.short, filepath.Base(at.Filename)), line: at.Line,
	}
	if len(v.nodes) > 1 {
		m.function, _ = v.nodes[1].(*ast.FuncDecl)
	}
	s := v.source[v.file]
	begin := bytes.LastIndexByte(s[:m.from], '\n') + 1
	end := len(s)
	if i := bytes.IndexByte(s[m.to:], '\n'); i >= 0 {
		end = m.to + i
	}
	m.old = oneLine(string(s[begin:end]))
	m.new = oneLine(string(s[begin:m.from]) + text + string(s[m.to:end]))
	v.found = append(v.found, m)
}

func (v *visitor) text(n ast.Node) string {
	return string(v.source[v.file][v.offset(n.Pos()):v.offset(n.End())])
}

func (v *visitor) visit(n ast.Node) bool {
	if n == nil {
		switch v.nodes[len(v.nodes)-1].(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			v.results = v.results[:len(v.results)-1]
		}
		v.nodes = v.nodes[:len(v.nodes)-1]
		return true
	}
	switch n := n.(type) {
	case *ast.ImportSpec, *ast.Field: // types and tags; nothing in them runs
		return false
	case *ast.FuncDecl:
		v.results = append(v.results, v.info.Defs[n.Name].Type().(*types.Signature).Results())
	case *ast.FuncLit:
		v.results = append(v.results, v.info.TypeOf(n).(*types.Signature).Results())
	case *ast.IfStmt:
		v.negate(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			v.negate(n.Cond)
		}
	case *ast.CaseClause:
		v.caseOf(n, n.List)
	case *ast.CommClause:
		v.replace(n.Pos(), n.End(), "")
	case *ast.BinaryExpr:
		v.binary(n)
	case *ast.UnaryExpr:
		if n.Op == token.SUB {
			v.replace(n.OpPos, n.OpPos+1, "")
		}
	case *ast.BasicLit:
		v.integer(n)
	case *ast.Ident:
		v.boolean(n)
	case *ast.ReturnStmt:
		v.returned(n)
	case ast.Stmt:
		v.statement(n)
	}
	v.nodes = append(v.nodes, n)
	return true
}

func (v *visitor) negate(cond ast.Expr) {
	if b, ok := ast.Unparen(cond).(*ast.BinaryExpr); ok && (b.Op == token.EQL || b.Op == token.NEQ) {
		return // binary does it
	}
	v.replace(cond.Pos(), cond.End(), "!("+v.text(cond)+")")
}

// caseOf drops a case, negates the condition of one in a switch without a tag.
func (v *visitor) caseOf(n *ast.CaseClause, list []ast.Expr) {
	v.replace(n.Pos(), n.End(), "")
	for _, cond := range list {
		if t := v.info.Types[cond]; t.Type != nil && t.Value == nil && types.Identical(t.Type.Underlying(), types.Typ[types.Bool]) && v.untagged() {
			v.negate(cond)
		}
	}
}

// untagged reports whether the node is a case of a switch without a tag.
func (v *visitor) untagged() bool {
	if len(v.nodes) < 2 {
		return false
	}
	s, ok := v.nodes[len(v.nodes)-2].(*ast.SwitchStmt)
	return ok && s.Tag == nil
}

// others are the operators that replace one.
func others(op token.Token) token.Token { //nolint:gocyclo // a table
	switch op { //nolint:exhaustive // the rest are not exchanged
	case token.LSS:
		return token.LEQ
	case token.LEQ:
		return token.LSS
	case token.GTR:
		return token.GEQ
	case token.GEQ:
		return token.GTR
	case token.EQL:
		return token.NEQ
	case token.NEQ:
		return token.EQL
	case token.LAND:
		return token.LOR
	case token.LOR:
		return token.LAND
	case token.ADD:
		return token.SUB
	case token.SUB:
		return token.ADD
	case token.MUL:
		return token.QUO
	case token.QUO, token.REM:
		return token.MUL
	case token.AND:
		return token.OR
	case token.OR, token.XOR, token.AND_NOT:
		return token.AND
	case token.SHL:
		return token.SHR
	case token.SHR:
		return token.SHL
	case token.ADD_ASSIGN:
		return token.SUB_ASSIGN
	case token.SUB_ASSIGN:
		return token.ADD_ASSIGN
	case token.MUL_ASSIGN:
		return token.QUO_ASSIGN
	case token.QUO_ASSIGN:
		return token.MUL_ASSIGN
	case token.OR_ASSIGN:
		return token.AND_ASSIGN
	case token.AND_ASSIGN, token.AND_NOT_ASSIGN:
		return token.OR_ASSIGN
	case token.INC:
		return token.DEC
	case token.DEC:
		return token.INC
	}
	return token.ILLEGAL
}

func (v *visitor) operator(at token.Pos, op token.Token) {
	if other := others(op); other != token.ILLEGAL {
		v.replace(at, at+token.Pos(len(op.String())), other.String())
	}
}

func (v *visitor) binary(n *ast.BinaryExpr) {
	if t, ok := v.info.TypeOf(n.X).Underlying().(*types.Basic); ok && n.Op == token.ADD && t.Info()&types.IsString != 0 {
		return
	}
	v.operator(n.OpPos, n.Op)
}

// integer makes a constant one more and one less. The capacity that make is
// given is left: no test can see it.
func (v *visitor) integer(n *ast.BasicLit) {
	if n.Kind != token.INT {
		return
	}
	if call, ok := v.nodes[len(v.nodes)-1].(*ast.CallExpr); ok && len(call.Args) == 3 && call.Args[2] == n {
		if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "make" {
			return
		}
	}
	value, err := strconv.ParseInt(n.Value, 0, 64)
	if err != nil {
		return
	}
	v.replace(n.Pos(), n.End(), strconv.FormatInt(value+1, 10))
	v.replace(n.Pos(), n.End(), strconv.FormatInt(value-1, 10))
}

func (v *visitor) boolean(n *ast.Ident) {
	other := map[string]string{"true": "false", "false": "true"}[n.Name]
	if other == "" || v.info.Uses[n] != types.Universe.Lookup(n.Name) {
		return
	}
	if _, ok := v.nodes[len(v.nodes)-1].(*ast.ReturnStmt); !ok { // returned does it
		v.replace(n.Pos(), n.End(), other)
	}
}

// returned replaces each result by the zero value of its type, or a bool by its
// opposite.
func (v *visitor) returned(n *ast.ReturnStmt) {
	results := v.results[len(v.results)-1]
	if len(n.Results) != results.Len() {
		return
	}
	for i, r := range n.Results {
		t := results.At(i).Type()
		if zero := v.zero(t); zero != "" && !isZero(v.info.Types[r]) && !isEmpty(r) {
			v.replace(r.Pos(), r.End(), zero)
		}
		if b, ok := t.Underlying().(*types.Basic); ok && b.Info()&types.IsBoolean != 0 {
			if _, compares := ast.Unparen(r).(*ast.BinaryExpr); !compares {
				v.replace(r.Pos(), r.End(), "!("+v.text(r)+")")
			}
		}
	}
}

// isEmpty reports whether an expression is a struct or an array without elements,
// which is zero, or an empty slice or map, which few can tell from nil.
func isEmpty(e ast.Expr) bool {
	c, ok := ast.Unparen(e).(*ast.CompositeLit)
	return ok && len(c.Elts) == 0
}

func isZero(t types.TypeAndValue) bool {
	if t.IsNil() {
		return true
	}
	if t.Value == nil {
		return false
	}
	switch t.Value.Kind() { //nolint:exhaustive // no others are constant and may be zero
	case constant.String:
		return constant.StringVal(t.Value) == ""
	case constant.Bool:
		return true // the opposite is another mutant
	case constant.Int, constant.Float:
		return constant.Sign(t.Value) == 0
	}
	return false
}

// zero returns the zero value of a type as it is written in the file, or "".
func (v *visitor) zero(t types.Type) string {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch {
		case u.Info()&types.IsString != 0:
			return `""`
		case u.Info()&types.IsNumeric != 0:
			return "0"
		case u.Info()&types.IsBoolean != 0:
			return "" // the opposite is another mutant
		}
	case *types.Struct, *types.Array:
		known := true
		name := types.TypeString(t, func(other *types.Package) string {
			if other.Path() == v.path {
				return ""
			}
			name, ok := v.imports[other.Path()]
			known = known && ok
			return name
		})
		if known {
			return "*new(" + name + ")"
		}
	case *types.Pointer, *types.Slice, *types.Map, *types.Chan, *types.Signature:
		return "nil"
	case *types.Interface:
		if _, parameter := t.(*types.TypeParam); parameter {
			return "*new(" + types.TypeString(t, nil) + ")"
		}
		return "nil"
	}
	return ""
}

// importNames returns the names of the packages that a file imports, by path.
func importNames(f *ast.File) map[string]string {
	names := make(map[string]string)
	for _, i := range f.Imports {
		full, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		names[full] = path.Base(full)
		if i.Name != nil {
			names[full] = i.Name.Name
		}
	}
	return names
}

// statement removes one that does something, or exchanges its operator.
func (v *visitor) statement(n ast.Stmt) {
	switch n := n.(type) {
	case *ast.AssignStmt:
		v.operator(n.TokPos, n.Tok)
		if n.Tok != token.DEFINE {
			v.remove(n)
		}
	case *ast.IncDecStmt:
		v.operator(n.TokPos, n.Tok)
		v.remove(n)
	case *ast.ExprStmt, *ast.SendStmt, *ast.DeferStmt, *ast.GoStmt, *ast.BranchStmt:
		v.remove(n)
	}
}

// remove removes a statement of a list; others, of an if or a for, are left.
func (v *visitor) remove(n ast.Stmt) {
	if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 {
		if blank, ok := a.Lhs[0].(*ast.Ident); ok && blank.Name == "_" {
			if _, calls := a.Rhs[0].(*ast.CallExpr); !calls {
				return // does nothing
			}
		}
	}
	switch v.nodes[len(v.nodes)-1].(type) {
	case *ast.BlockStmt, *ast.CaseClause, *ast.CommClause, *ast.LabeledStmt:
		if c, ok := v.nodes[len(v.nodes)-1].(*ast.CommClause); ok && c.Comm == n {
			return
		}
		v.replace(n.Pos(), n.End(), "")
	}
}

// oneLine makes a text short and free of line ends.
func oneLine(text string) string {
	const longest = 160
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
