package coordaudit_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each test that docs/guarantees.md names exists.
func TestGuaranteesNameTests(t *testing.T) {
	t.Parallel()
	contract, err := os.ReadFile(filepath.Join("docs", "guarantees.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests, conformance := sources(t)
	named := 0
	for _, match := range regexp.MustCompile("`(Test[A-Z]\\w*)`").FindAllStringSubmatch(string(contract), -1) {
		named++
		if match[1] != "TestConformance" && !strings.Contains(tests, "\nfunc "+match[1]+"(") {
			t.Errorf("there is no test %s", match[1])
		}
	}
	for _, match := range regexp.MustCompile("`([A-Z]\\w+)/([A-Z]\\w+)`").FindAllStringSubmatch(string(contract), -1) {
		named++
		for _, name := range match[1:] {
			if !strings.Contains(conformance, `{Name: "`+name+`", `) {
				t.Errorf("there is no guarantee %s: nothing has the name %s", match[0], name)
			}
		}
	}
	if named < 100 {
		t.Errorf("the contract names %d tests, want more than 100", named)
	}
}

// sources returns the text of all tests, and that of the guarantees.
func sources(t *testing.T) (tests, conformance string) {
	t.Helper()
	var ofTests, ofConformance strings.Builder
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.HasSuffix(path, "_test.go") {
			ofTests.Write(text)
		} else if strings.HasPrefix(filepath.ToSlash(path), "internal/test/conformance/") {
			ofConformance.Write(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ofTests.String(), ofConformance.String()
}
