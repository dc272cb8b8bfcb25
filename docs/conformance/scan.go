package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/inletlsp/inlet/lsp/checklist"
)

// checklistPath is the package whose Shows marks a test.
const checklistPath = "github.com/inletlsp/inlet/lsp/checklist"

// test is a test function.
type test struct{ dir, name string }

// mark says that a test shows a line.
type mark struct {
	test
	line, mutation string
}

// scan finds all marks of a source tree, and says which of them are wrong.
func scan(root fs.FS) (marks []mark, bad []string, err error) {
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch base := path.Base(name); {
		case err != nil:
			return err
		case entry.IsDir():
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "bin") ||
				strings.HasSuffix(checklistPath, "/"+name) { // its own tests mark nothing
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(base, "_test.go"):
			return nil
		}
		raw, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		s := scanner{name: name, fset: token.NewFileSet()}
		if err := s.scan(raw); err != nil {
			return err
		}
		marks, bad = append(marks, s.marks...), append(bad, s.bad...)
		return nil
	})
	slices.SortStableFunc(marks, func(a, b mark) int {
		return cmp.Or(cmp.Compare(order(a.line), order(b.line)), cmp.Compare(a.dir, b.dir),
			cmp.Compare(a.name, b.name))
	})
	for i, m := range marks {
		if i > 0 && m.line == marks[i-1].line && m.test == marks[i-1].test {
			bad = append(bad, fmt.Sprintf("%s: %s shows %s twice", m.dir, m.name, m.line))
		}
	}
	return marks, bad, err
}

// order is the place of a line in the checklist.
func order(id string) int {
	return slices.IndexFunc(checklist.Lines(), func(l checklist.Line) bool { return l.ID == id })
}

// testsOf are the tests that have marks, each once.
func testsOf(marks []mark) []test {
	var tests []test
	for _, m := range marks {
		if !slices.Contains(tests, m.test) {
			tests = append(tests, m.test)
		}
	}
	return tests
}

// scanner reads one file.
type scanner struct {
	name  string
	fset  *token.FileSet
	marks []mark
	bad   []string
}

func (s *scanner) scan(raw []byte) error {
	file, err := parser.ParseFile(s.fset, s.name, raw, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	local := ""
	for _, spec := range file.Imports {
		if spec.Path.Value == strconv.Quote(checklistPath) {
			local = path.Base(checklistPath)
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	if local == "" {
		return nil
	}
	for _, decl := range file.Decls {
		ast.Inspect(decl, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && isShows(call, local) {
				s.call(decl, call)
			}
			return true
		})
	}
	return nil
}

func isShows(call *ast.CallExpr, local string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Shows" {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == local
}

// call takes one mark. What it says must stand in the source, in the test itself.
func (s *scanner) call(decl ast.Decl, call *ast.CallExpr) {
	at := s.fset.Position(call.Pos())
	f, ok := decl.(*ast.FuncDecl)
	if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
		s.bad = append(s.bad, fmt.Sprintf("%s: only a test function shows a line", at))
		return
	}
	if len(call.Args) != 3 {
		return // it does not compile
	}
	line, ok1 := text(call.Args[1])
	mutation, ok2 := text(call.Args[2])
	known, _ := checklist.Find(line)
	switch {
	case !ok1 || !ok2:
		s.bad = append(s.bad, fmt.Sprintf("%s: line and mutation are written out as strings", at))
	case known.ID == "":
		s.bad = append(s.bad, fmt.Sprintf("%s: %q is no line of the checklist", at, line))
	case strings.TrimSpace(mutation) == "" || strings.ContainsAny(mutation, "|\n"):
		s.bad = append(s.bad, fmt.Sprintf("%s: a mutation is one line of text without |", at))
	default:
		s.marks = append(s.marks, mark{test{path.Dir(s.name), f.Name.Name}, line, mutation})
	}
}

// text is the value of a string, or of several that are added.
func text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.BinaryExpr:
		a, ok1 := text(e.X)
		b, ok2 := text(e.Y)
		return a + b, ok1 && ok2 && e.Op == token.ADD
	}
	return "", false
}
