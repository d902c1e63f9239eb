package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// pkg is a package that mutants are planted in.
type pkg struct {
	path, dir string
	short     string // what its files are called by: its path in the module
	fset      *token.FileSet
	names     []string // of files, absolute
	files     []*ast.File
	source    [][]byte
	imports   types.Importer
	info      *types.Info
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export   string
	GoFiles, CgoFiles         []string
	TestGoFiles, XTestGoFiles []string
	DepOnly                   bool
	ImportMap                 map[string]string
	Module                    *struct{ Path string }
	Error                     *struct{ Err string }
}

// load reads and checks the packages that match the patterns. Those without
// tests or without code are left out.
func load(ctx context.Context, tags string, patterns []string) ([]*pkg, error) {
	args := append([]string{"list", "-export", "-deps", "-json", "-tags=" + tags, "--"}, patterns...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := make(map[string]string)
	var named []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[l.ImportPath] = l.Export
		if !l.DepOnly && len(l.GoFiles) > 0 && len(l.TestGoFiles)+len(l.XTestGoFiles) > 0 {
			named = append(named, l)
		}
	}
	if len(named) == 0 {
		return nil, fmt.Errorf("no package with code and tests matches %q", patterns)
	}
	var all []*pkg
	for _, l := range named {
		p, err := read(l, exports)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.ImportPath, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func read(l listed, exports map[string]string) (*pkg, error) {
	if len(l.CgoFiles) > 0 {
		return nil, errors.New("uses cgo, which is not read")
	}
	p := &pkg{path: l.ImportPath, dir: l.Dir, short: l.ImportPath, fset: token.NewFileSet()}
	if l.Module != nil {
		p.short = strings.TrimPrefix(strings.TrimPrefix(l.ImportPath, l.Module.Path), "/")
	}
	lookup := func(path string) (io.ReadCloser, error) {
		if mapped, ok := l.ImportMap[path]; ok {
			path = mapped
		}
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	}
	p.imports = importer.ForCompiler(p.fset, "gc", lookup)
	for _, name := range l.GoFiles {
		name = filepath.Join(l.Dir, name)
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(p.fset, name, source, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return nil, err
		}
		p.names, p.files, p.source = append(p.names, name), append(p.files, file), append(p.source, source)
	}
	p.info = &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Defs: make(map[*ast.Ident]types.Object), Uses: make(map[*ast.Ident]types.Object)}
	_, err := p.config().Check(p.path, p.fset, p.files, p.info)
	return p, err
}

func (p *pkg) config() *types.Config {
	return &types.Config{Importer: p.imports, Sizes: types.SizesFor("gc", runtime.GOARCH)}
}

// compiles reports whether the package with m has no error of types.
func (p *pkg) compiles(m *mutant) bool {
	file, err := parser.ParseFile(p.fset, p.names[m.file], p.apply(m), parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	files := append([]*ast.File(nil), p.files...)
	files[m.file] = file
	_, err = p.config().Check(p.path, p.fset, files, nil)
	return err == nil
}

// apply returns the source of the file with m.
func (p *pkg) apply(m *mutant) []byte {
	return []byte(apply(p.source[m.file], []edit{{m.from, m.to, m.text}}))
}

func (p *pkg) offset(at token.Pos) int { return p.fset.Position(at).Offset }
