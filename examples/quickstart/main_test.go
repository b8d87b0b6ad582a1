package main

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The program logs to slog.Default(), which would clutter the output.
func TestQuickstart(t *testing.T) { //nolint:paralleltest // it sets the default logger
	slog.SetDefault(slog.New(slog.DiscardHandler))
	db := testdb.NewEmpty(t)
	if err := run(t.Context(), db.URL); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM coordination_audit_records").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d records, %v; want 1", n, err)
	}
}

// Code in prose becomes outdated unless a test compares it.
func TestReadmeShowsQuickstart(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	first, last := strings.Index(string(source), "import ("), strings.Index(string(source), "\n)\n")
	if imports := string(source[first:last]) + "\n)"; !strings.Contains(string(readme), "```go\n"+imports+"\n```") {
		t.Errorf("the README's imports are not examples/quickstart's; paste this into it:\n%s", imports)
	}
	from := strings.Index(string(source), "func run(")
	to := strings.Index(string(source), "func main(")
	if shown := strings.TrimSpace(string(source[from:to])); !strings.Contains(string(readme), "```go\n"+shown+"\n```") {
		t.Errorf("the README's integration is not examples/quickstart; paste this into it:\n%s", shown)
	}
}
