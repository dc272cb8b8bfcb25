package node_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	module  = "github.com/inletlsp/inlet"
	lndPath = "github.com/lightningnetwork/lnd"

	maxFileLines     = 400
	maxTestFileLines = 800
	maxFuncLines     = 70
	maxParams        = 5
)

// houseTree is what the rules look at.
type houseTree struct {
	dirs    []string
	sources []source
	gomod   string
}

// source is one Go file.
type source struct {
	path  string // from the root, with slashes
	dir   string
	test  bool
	itest bool // in the module of the interop tests, which may do more
	text  []byte
	fset  *token.FileSet
	file  *ast.File
}

// readTree reads a whole source tree. What is not ours to judge is left out: dot-folders, built
// programs and test data.
func readTree(root fs.FS) (houseTree, error) {
	var tree houseTree
	gomod, err := fs.ReadFile(root, "go.mod")
	if err != nil {
		return tree, err
	}
	tree.gomod = string(gomod)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			base := path.Base(name)
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || name == "bin") {
				return fs.SkipDir
			}
			tree.dirs = append(tree.dirs, name)
			return nil
		case path.Ext(name) != ".go":
			return nil
		}
		s, err := readSource(root, name)
		tree.sources = append(tree.sources, s)
		return err
	})

	return tree, err
}

func readSource(root fs.FS, name string) (source, error) {
	s := source{
		path:  name,
		dir:   path.Dir(name),
		test:  strings.HasSuffix(name, "_test.go"),
		itest: strings.HasPrefix(name, "itest/"),
		fset:  token.NewFileSet(),
	}
	var err error
	if s.text, err = fs.ReadFile(root, name); err != nil {
		return s, err
	}
	mode := parser.ParseComments | parser.SkipObjectResolution
	s.file, err = parser.ParseFile(s.fset, name, s.text, mode)

	return s, err
}

// at is how a violation begins.
func (s source) at(n ast.Node) string { return s.fset.Position(n.Pos()).String() }

// imports calls f with each import.
func (s source) imports(f func(spec *ast.ImportSpec, path string)) {
	for _, spec := range s.file.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil {
			f(spec, path)
		}
	}
}

// timeCalls calls f with each use of a name of package time.
func (s source) timeCalls(f func(n ast.Node, name string)) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" {
				f(n, sel.Sel.Name)
			}
		}
		return true
	})
}

// under says whether an import path is the given one or below it.
func under(path, top string) bool { return path == top || strings.HasPrefix(path, top+"/") }

func banReason(path string) string {
	for top, why := range banned {
		if path == top || top != lndPath && under(path, top) {
			return why
		}
	}

	return ""
}

// rules are the rules of the house. Each returns what it objects to.
var rules = []struct {
	name  string
	check func(houseTree) []string
}{
	{"arrows", checkArrows},
	{"banned imports", checkBanned},
	{"pure packages", checkPure},
	{"clock", checkClock},
	{"sleep", checkSleep},
	{"init", checkInit},
	{"replace", checkReplace},
	{"folders", checkFolders},
	{"to do", checkToDo},
	{"sizes", checkSizes},
}

func checkArrows(tree houseTree) (bad []string) {
	for _, s := range tree.sources {
		if s.itest || under(s.dir, "examples") {
			continue // programs of embedders: they may use all of it
		}
		s.imports(func(spec *ast.ImportSpec, path string) {
			to, ours := strings.CutPrefix(path, module+"/")
			if !ours || to == s.dir || arrows[s.dir][to] != "" || s.test && testArrows[s.dir][to] != "" ||
				s.test && slices.Contains(everyTest, to) {
				return
			}
			bad = append(bad, fmt.Sprintf("%s: new arrow %s -> %s: give it a reason in arrows of "+
				"house_test.go, or let the importer declare an interface that node fills",
				s.at(spec), s.dir, to))
		})
	}

	return bad
}

func checkBanned(tree houseTree) (bad []string) {
	for _, s := range tree.sources {
		if s.itest {
			continue
		}
		s.imports(func(spec *ast.ImportSpec, path string) {
			if why := banReason(path); why != "" {
				bad = append(bad, fmt.Sprintf("%s: %s is banned: %s", s.at(spec), path, why))
			}
		})
	}

	return bad
}

func checkPure(tree houseTree) (bad []string) {
	for _, s := range tree.sources {
		for top, forbidden := range pure {
			if s.test || !under(s.dir, top) {
				continue
			}
			s.imports(func(spec *ast.ImportSpec, path string) {
				if slices.ContainsFunc(forbidden, func(f string) bool { return under(path, f) }) {
					bad = append(bad, fmt.Sprintf("%s: %s is kept pure, it must not import %s",
						s.at(spec), top, path))
				}
			})
		}
	}

	return bad
}

// clockNames are the names of package time that read or follow the real clock.
var clockNames = []string{
	"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Tick", "Until",
}

func checkClock(tree houseTree) (bad []string) {
	for _, s := range tree.sources {
		if s.test || !under(s.dir, "lsp") && !under(s.dir, "chanfactory") {
			continue
		}
		s.timeCalls(func(n ast.Node, name string) {
			if slices.Contains(clockNames, name) {
				bad = append(bad, fmt.Sprintf("%s: time.%s: here the time is handed in, "+
					"by an argument or a clock", s.at(n), name))
			}
		})
	}

	return bad
}

func checkSleep(tree houseTree) (bad []string) {
	for _, s := range tree.sources {
		virtual := false
		s.imports(func(_ *ast.ImportSpec, path string) {
			virtual = virtual || s.test && path == "testing/synctest"
		})
		if s.itest || virtual {
			continue
		}
		s.timeCalls(func(n ast.Node, name string) {
			if name == "Sleep" {
				bad = append(bad, fmt.Sprintf("%s: time.Sleep: wait for the event; a test has "+
					"testing/synctest or a clock that is handed in", s.at(n)))
			}
		})
	}

	return bad
}

func checkInit(tree houseTree) (bad []string) {
	for _, s := range tree.sources {
		for _, decl := range s.file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv == nil && f.Name.Name == "init" {
				bad = append(bad, fmt.Sprintf("%s: no init: do it where it is needed", s.at(f)))
			}
		}
	}

	return bad
}

func checkReplace(tree houseTree) []string {
	if !regexp.MustCompile(`(?m)^\s*replace\b`).MatchString(tree.gomod) {
		return nil
	}

	return []string{"go.mod: replace: whoever imports this module would not get it"}
}

// rooms that say nothing about what is in them.
var vague = regexp.MustCompile(`^(utils?|common|types|internal|helpers?|misc|pkg)$`)

func checkFolders(tree houseTree) (bad []string) {
	for _, dir := range tree.dirs {
		switch {
		case dir != "." && !strings.Contains(dir, "/") && !slices.Contains(folders, dir):
			bad = append(bad, fmt.Sprintf("%s/ is not among the folders of the root: %s",
				dir, strings.Join(folders, " ")))
		case vague.MatchString(path.Base(dir)):
			bad = append(bad, fmt.Sprintf("%s/ says nothing about what is in it: put it where it is "+
				"used", dir))
		}
	}
	for _, s := range tree.sources {
		name := strings.TrimSuffix(strings.TrimSuffix(path.Base(s.path), ".go"), "_test")
		if vague.MatchString(name) && name != "types" {
			bad = append(bad, fmt.Sprintf("%s: a file is named for a noun of the protocol", s.path))
		}
	}

	return bad
}

var toDo = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

func checkToDo(tree houseTree) (bad []string) {
	for _, s := range tree.sources {
		for _, group := range s.file.Comments {
			for _, comment := range group.List {
				if toDo.MatchString(comment.Text) {
					bad = append(bad, fmt.Sprintf("%s: no to do in the code: do it, or open an issue",
						s.at(comment)))
				}
			}
		}
	}

	return bad
}

func checkSizes(tree houseTree) (bad []string) {
	for _, s := range tree.sources {
		limit := maxFileLines
		if s.test {
			limit = maxTestFileLines
		}
		if n := bytes.Count(s.text, []byte("\n")); n > limit {
			bad = append(bad, fmt.Sprintf("%s has %d lines, at most %d: split it by what it is about",
				s.path, n, limit))
		}
		for _, decl := range s.file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok {
				bad = append(bad, s.checkFunc(f)...)
			}
		}
	}

	return bad
}

func (s source) checkFunc(f *ast.FuncDecl) (bad []string) {
	first, last := s.fset.Position(f.Pos()), s.fset.Position(f.End())
	if n := last.Line - first.Line + 1; n > maxFuncLines && !s.test {
		bad = append(bad, fmt.Sprintf("%s: %s has %d lines, at most %d",
			s.at(f), f.Name.Name, n, maxFuncLines))
	}
	// A method may have to fit an interface of lnd's.
	if n := f.Type.Params.NumFields(); n > maxParams && f.Recv == nil && !s.test {
		bad = append(bad, fmt.Sprintf("%s: %s has %d parameters, at most %d: give it a struct",
			s.at(f), f.Name.Name, n, maxParams))
	}

	return bad
}
