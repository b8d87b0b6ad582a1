package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is one change: text replaces the bytes of a file from start to end.
type mutant struct {
	path     string // absolute
	file     string // as shown
	line     int
	column   int
	function string
	start    int
	end      int
	text     string
	before   string // as shown
	after    string

	// A switch is a change that is built in next to the original and chosen when the
	// program starts. For an expression, both versions are there. A statement is left out.
	kind       switchKind
	switchFrom int
	switchTo   int
	otherwise  string // the expression's changed version
	id         int
}

type switchKind int

const (
	noSwitch switchKind = iota
	switchExpression
	switchStatement
)

func (m *mutant) key() string {
	return fmt.Sprintf("%s %s: %s => %s", m.file, m.function, oneLine(m.before), oneLine(m.after))
}

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d:%d: in %s: %s => %s", m.file, m.line, m.column, m.function, oneLine(m.before), oneLine(m.after))
}

func oneLine(code string) string {
	code = strings.Join(strings.Fields(code), " ")
	if len(code) > 100 {
		code = code[:60] + " … " + code[len(code)-36:]
	}
	if code == "" {
		return "(nothing)"
	}
	return code
}

func mutantsOf(ctx context.Context, pkg string, files *regexp.Regexp) ([]*mutant, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "list", "-json=Dir,GoFiles", pkg)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w: %s", pkg, err, stderr.Bytes())
	}
	var listed struct {
		Dir     string
		GoFiles []string
	}
	if err := json.Unmarshal(out, &listed); err != nil {
		return nil, fmt.Errorf("listing %s: %w", pkg, err)
	}
	var all []*mutant
	for _, name := range listed.GoFiles {
		if !files.MatchString(name) {
			continue
		}
		found, err := mutantsIn(filepath.Join(listed.Dir, name), filepath.ToSlash(filepath.Join(pkg, name)))
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// collector gathers the mutants of a file. It changes the text, so that comments and
// lines stay in place.
type collector struct {
	fset     *token.FileSet
	source   []byte
	path     string
	file     string
	function string
	found    []*mutant
}

func mutantsIn(path, shown string) ([]*mutant, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &collector{fset: token.NewFileSet(), source: source, path: path, file: shown}
	parsed, err := parser.ParseFile(c.fset, path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", path, err)
	}
	if ast.IsGenerated(parsed) {
		return nil, nil
	}
	for _, decl := range parsed.Decls {
		if function, ok := decl.(*ast.FuncDecl); ok && function.Body != nil {
			c.function = nameOf(function)
			ast.Inspect(function.Body, func(node ast.Node) bool { c.visit(node); return true })
		}
	}
	slices.SortStableFunc(c.found, func(a, b *mutant) int { return a.start - b.start })
	return c.found, nil
}

func nameOf(function *ast.FuncDecl) string {
	if function.Recv == nil || len(function.Recv.List) == 0 {
		return function.Name.Name
	}
	receiver := function.Recv.List[0].Type
	if star, ok := receiver.(*ast.StarExpr); ok {
		receiver = star.X
	}
	if generic, ok := receiver.(*ast.IndexExpr); ok {
		receiver = generic.X
	}
	if name, ok := receiver.(*ast.Ident); ok {
		return name.Name + "." + function.Name.Name
	}
	return function.Name.Name
}

func (c *collector) offset(pos token.Pos) int { return c.fset.Position(pos).Offset }

func (c *collector) code(node ast.Node) string {
	return string(c.source[c.offset(node.Pos()):c.offset(node.End())])
}

// add records a change of the bytes from start to end, shown as before and after.
func (c *collector) add(start, end token.Pos, text, before, after string) *mutant {
	at := c.fset.Position(start)
	m := &mutant{
		path: c.path, file: c.file, line: at.Line, column: at.Column, function: c.function,
		start: at.Offset, end: c.offset(end), text: text, before: before, after: after,
	}
	c.found = append(c.found, m)
	return m
}

// as turns a changed boolean expression or a left-out statement into a switch.
func (m *mutant) as(kind switchKind, from, to int, otherwise string) {
	m.kind, m.switchFrom, m.switchTo, m.otherwise = kind, from, to, otherwise
}

// replace records that text replaces a node.
func (c *collector) replace(node ast.Node, text string, kind switchKind) {
	m := c.add(node.Pos(), node.End(), text, c.code(node), text)
	m.as(kind, m.start, m.end, text)
}
