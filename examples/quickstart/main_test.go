package main

import (
	"os"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

func TestTheQuickstartPersistsOneRecord(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	if err := run(t.Context(), db.URL); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM coordination_audit_records").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d records, %v; want 1", n, err)
	}
}

// Code in prose rots unless something compiles it.
func TestTheREADMEShowsThisProgram(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	from := strings.Index(string(source), "func run(")
	to := strings.Index(string(source), "func main(")
	if shown := strings.TrimSpace(string(source[from:to])); !strings.Contains(string(readme), "```go\n"+shown+"\n```") {
		t.Errorf("the README's integration is not examples/quickstart; paste this into it:\n%s", shown)
	}
}
