package importer_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/importer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// reporter collects what an import reports.
type reporter struct {
	notices []string
	lines   []int64
}

func (r *reporter) Begin(int64)                { r.notices = append(r.notices, "begin") }
func (r *reporter) Progress(_ int64, ln int64) { r.lines = append(r.lines, ln) }
func (r *reporter) Notice(text string)         { r.notices = append(r.notices, text) }
func (r *reporter) End()                       { r.notices = append(r.notices, "end") }

func TestImporter(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	directory := t.TempDir()
	var text strings.Builder
	for n := range 5 {
		fmt.Fprintf(&text, `{"audit_id": "11111111-1111-4111-8111-%012d", "envelope_id": "envelope", "envelope_class": "cost", "decision": "applied", `+
			`"reason": "because", "decision_timestamp": "2026-01-31T12:00:00Z", "emit_traces": %t}`+"\n", n, n != 3)
	}
	file, rejects := filepath.Join(directory, "a.jsonl"), filepath.Join(directory, "refused.jsonl")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := &reporter{}
	im := importer.New(importer.Config{
		Store:    coordaudit.New(db.Pool, coordaudit.Config{}),
		Batch:    2,
		Patience: time.Second,
		Reporter: shown,
		Several:  true,
		Rejects:  rejects,
	})
	if err := im.File(t.Context(), file, nil); err != nil {
		t.Fatal(err)
	}
	if err := im.File(t.Context(), "-", strings.NewReader(text.String()+"oops\n")); err != nil {
		t.Fatal(err)
	}
	want := importer.Counts{Read: 11, Persisted: 4, AlreadyPersisted: 4, Skipped: 2, Rejected: 1}
	if diff := cmp.Diff(want, im.Counts()); diff != "" || im.Files() != 2 || im.NotShown() != 0 {
		t.Errorf("%d files, %d refused lines not shown (-want +got):\n%s", im.Files(), im.NotShown(), diff)
	}
	if diff := cmp.Diff([]string{rejects}, im.Kept()); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{2, 4, 5, 2, 4, 6}, shown.lines); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if n := shown.notices; len(n) != 5 || n[0] != "begin" || n[1] != "end" || !strings.HasPrefix(n[3], "-: line 6: the line is not valid JSON: ") {
		t.Errorf("notices: %q", n)
	}
	if n, err := coordaudit.New(db.Pool, coordaudit.Config{}).Count(t.Context(), audit.Query{Scope: audit.AllTenants()}); n != 4 || err != nil {
		t.Errorf("%d records, %v", n, err)
	}
}
