package gemma4_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryExportedNameHasADocComment checks the packages that users import: names, methods and fields. A comment over a group of
// constants, variables or fields without a blank line between them counts for each.
func TestEveryExportedNameHasADocComment(t *testing.T) {
	folders := []string{".", "gguf", "tensor", "tokenizer", "grammar", "model", "sampler", "chat", "nano",
		"media", "media/fetch", "media/sound"}
	for _, folder := range folders {
		paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s has %d files, %v", folder, len(paths), err)
		}
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range undocumented(files, file) {
				t.Errorf("%v: %s", files.Position(name.Pos()), name.Name)
			}
		}
	}
}

// undocumented returns the exported names of file that no comment explains.
func undocumented(files *token.FileSet, file *ast.File) (names []*ast.Ident) {
	check := func(documented bool, idents ...*ast.Ident) {
		for _, name := range idents {
			if name.IsExported() && !documented {
				names = append(names, name)
			}
		}
	}
	line := func(p token.Pos) int { return files.Position(p).Line }
	fields := func(list *ast.FieldList) {
		var end int
		var said bool // about the group that ends in line end
		for _, f := range list.List {
			begin := line(f.Pos())
			if f.Doc != nil {
				begin = line(f.Doc.Pos())
			}
			said = f.Doc != nil || f.Comment != nil || said && begin == end+1
			check(said, f.Names...)
			end = line(f.End())
		}
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || receiver(d).IsExported() && d.Name.Name != "Error" {
				check(d.Doc != nil, d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					check(d.Doc != nil || s.Doc != nil, s.Name)
					if !s.Name.IsExported() {
						continue
					}
					switch u := s.Type.(type) {
					case *ast.StructType:
						fields(u.Fields)
					case *ast.InterfaceType:
						fields(u.Methods)
					}
				case *ast.ValueSpec:
					check(d.Doc != nil || s.Doc != nil || s.Comment != nil, s.Names...)
				}
			}
		}
	}
	return names
}

// receiver returns the name of a method's type.
func receiver(d *ast.FuncDecl) *ast.Ident {
	x := d.Recv.List[0].Type
	for {
		switch u := x.(type) {
		case *ast.StarExpr:
			x = u.X
		case *ast.IndexExpr:
			x = u.X
		case *ast.Ident:
			return u
		default:
			return &ast.Ident{}
		}
	}
}
