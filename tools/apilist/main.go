// Command apilist prints the exported API of packages, sorted, one declaration per line.
// A reviewer can read the text in a diff, and scripts/api.sh compares it with the
// committed baseline. x/exp's apidiff compares too, but its baseline is binary export
// data, which a review does not show.
//
// Usage: apilist DIRECTORY PACKAGE…
package main

import (
	"fmt"
	"go/types"
	"os"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: apilist DIRECTORY PACKAGE…")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "apilist:", err)
		os.Exit(1)
	}
}

func run(dir string, patterns []string) error {
	config := &packages.Config{Dir: dir, Mode: packages.NeedName | packages.NeedTypes | packages.NeedImports | packages.NeedDeps}
	loaded, err := packages.Load(config, patterns...)
	if err != nil {
		return fmt.Errorf("loading packages: %w", err)
	}
	if packages.PrintErrors(loaded) > 0 {
		return fmt.Errorf("loading %s: the packages do not compile", strings.Join(patterns, " "))
	}
	for _, pkg := range loaded {
		for _, line := range exported(pkg.Types) {
			if _, err := fmt.Printf("%s: %s\n", pkg.PkgPath, line); err != nil {
				return fmt.Errorf("writing the API: %w", err)
			}
		}
	}
	return nil
}

// exported lists the exported declarations of a package, with their exported fields
// and methods.
func exported(pkg *types.Package) []string {
	qualify := types.RelativeTo(pkg)
	var lines []string
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		object := scope.Lookup(name)
		if !object.Exported() {
			continue
		}
		switch object := object.(type) {
		case *types.TypeName:
			lines = append(lines, typeLines(object, qualify)...)
		case *types.Const:
			lines = append(lines, fmt.Sprintf("const %s %s = %s", name, types.TypeString(object.Type(), qualify), object.Val().ExactString()))
		default:
			lines = append(lines, types.ObjectString(object, qualify))
		}
	}
	slices.Sort(lines)
	return lines
}

func typeLines(name *types.TypeName, qualify types.Qualifier) []string {
	head := "type " + name.Name()
	if name.IsAlias() {
		return []string{head + " = " + types.TypeString(name.Type(), qualify)}
	}
	lines := underlyingLines(head, name.Type().Underlying(), qualify)
	named, ok := name.Type().(*types.Named)
	if !ok {
		return lines
	}
	for method := range named.Methods() {
		if method.Exported() {
			lines = append(lines, types.ObjectString(method, qualify))
		}
	}
	return lines
}

func underlyingLines(head string, underlying types.Type, qualify types.Qualifier) []string {
	switch underlying := underlying.(type) {
	case *types.Struct:
		lines := []string{head + " struct"}
		for field := range underlying.Fields() {
			if field.Exported() {
				lines = append(lines, fmt.Sprintf("%s struct: %s %s", head, field.Name(), types.TypeString(field.Type(), qualify)))
			}
		}
		return lines
	case *types.Interface:
		lines := []string{head + " interface"}
		for method := range underlying.Methods() {
			lines = append(lines, fmt.Sprintf("%s interface: %s%s", head, method.Name(),
				strings.TrimPrefix(types.TypeString(method.Signature(), qualify), "func")))
		}
		return lines
	default:
		return []string{head + " " + types.TypeString(underlying, qualify)}
	}
}
