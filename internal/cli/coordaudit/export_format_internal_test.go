package coordaudit

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/transfer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// An export selects what list selects, with the same flags.
func TestExportFilters(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	recs := story("acme")
	recs[3].ReasonCode, recs[3].Actor = "SAME_PARAMETER", "coordinator-1"
	persist(t, db, append(recs, applied(noon(), "emu", "swing"))...)
	for name, flags := range map[string][]string{
		"NoFilter": {}, "Envelope": {"--envelope=swing"}, "Two": {"--envelope=swing", "--envelope=guard", "--decision=applied"},
		"Class": {"--class=safety"}, "Preempting": {"--preempting=guard"}, "Conflicting": {"--conflicting=guard"},
		"Target": {"--subsystem=cache", "--parameter=ttl"}, "Reason": {"--reason=in the way"}, "Code": {"--reason-code=SAME_PARAMETER", "--actor=coordinator-1"},
		"Nothing": {"--reason-code=OTHER"}, "Since": {"--decision=rejected", "--since", noon().Add(4 * time.Second).Format(time.RFC3339)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := run(t, db.URL, "", append([]string{"list", "--tenant=acme", "--oldest-first", "--limit=1000", "--json"}, flags...)...)
			var listed struct {
				Records []struct {
					AuditID string `json:"audit_id"`
				}
			}
			if err := json.Unmarshal([]byte(list.stdout), &listed); err != nil {
				t.Fatal(err)
			}
			manifest := filepath.Join(t.TempDir(), "manifest.json")
			got := run(t, db.URL, "", append([]string{"export", "--tenant=acme", "--manifest", manifest}, flags...)...)
			got.mustExit(t, cli.ExitDone)
			if lines := strings.Count(got.stdout, "\n"); lines != len(listed.Records) {
				t.Fatalf("%d lines, and list has %d records", lines, len(listed.Records))
			}
			for i, line := range strings.Split(strings.TrimSuffix(got.stdout, "\n"), "\n")[:len(listed.Records)] {
				if !strings.Contains(line, listed.Records[i].AuditID) {
					t.Errorf("line %d is not %s: %s", i, listed.Records[i].AuditID, line)
				}
			}
			// Who reads the manifest must see that this is not the whole window.
			text, err := os.ReadFile(manifest)
			var written transfer.ExportManifest
			if err != nil || json.Unmarshal(text, &written) != nil || written.Count != int64(len(listed.Records)) || (len(written.Filters) == 0) != (name == "NoFilter") {
				t.Errorf("%v, manifest %s", err, text)
			}
		})
	}
}

func TestExportFormats(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	recs := append(story("=acme"), unpleasant()[:20]...)
	persist(t, db, recs...)
	directory := t.TempDir()

	table := filepath.Join(directory, "trail.csv")
	manifest := filepath.Join(directory, "manifest.json")
	run(t, db.URL, "", "export", "--all-tenants", "--format=csv", "--out", table, "--manifest", manifest).mustExit(t, cli.ExitDone)
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil || len(rows) != len(recs)+1 {
		t.Fatalf("%d rows, want %d and a header: %v", len(rows), len(recs), err)
	}
	if described, err := os.ReadFile(manifest); err != nil || !strings.Contains(string(described), `"format":"csv"`) {
		t.Errorf("%v, manifest %s", err, described)
	}
	for _, row := range rows[1:] {
		for i, cell := range row {
			if strings.IndexAny(cell, "=+-@\t\r") == 0 {
				t.Errorf("%s begins like a formula: %q", rows[0][i], cell)
			}
		}
	}

	events := run(t, db.URL, "", "export", "--all-tenants", "--format=cloudevents", "--event-source=//plant-7")
	events.mustExit(t, cli.ExitDone)
	var read []string
	for line := range strings.Lines(events.stdout) {
		var event struct {
			SpecVersion, ID, Source string
			Data                    json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil || event.SpecVersion != "1.0" || event.Source != "//plant-7" {
			t.Fatalf("%v: %s", err, line)
		}
		rec, _, err := audit.ParseRecord(event.Data)
		if err != nil || rec.AuditID.String() != event.ID {
			t.Fatalf("%v: %s", err, line)
		}
		read = append(read, event.ID)
	}
	if len(read) != len(recs) {
		t.Errorf("%d events, want %d", len(read), len(recs))
	}
	// A file of one format is not replaced by another one: it may be the only copy.
	got := run(t, db.URL, "", "export", "--all-tenants", "--out", table)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "it holds records of a trail as CSV")
	if again, err := os.ReadFile(table); err != nil || !cmp.Equal(text, again) {
		t.Errorf("the file changed: %v", err)
	}
	for _, flags := range [][]string{{"--format=parquet"}, {"--event-source="}, {"--event-source=a b"}, {"--event-source=%zz"}, {"--actor="}, {"--decision=expired"}} {
		run(t, db.URL, "", append([]string{"export", "--all-tenants"}, flags...)...).mustExit(t, cli.ExitUsage)
	}
}
