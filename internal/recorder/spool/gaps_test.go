package spool_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

func gap(n int64) audit.Gap {
	at := time.Date(2026, 1, 1, 0, 0, 0, int(n)*1000, time.UTC)
	return audit.Gap{
		GapID:        uuid.Must(uuid.NewV7()),
		Dropped:      map[audit.EnvelopeClass]int64{audit.Safety: n, audit.Unknown: 1},
		FirstAuditID: uuid.Must(uuid.NewV7()),
		LastAuditID:  uuid.Must(uuid.NewV7()),
		From:         at,
		Until:        at.Add(time.Minute),
		Cause:        "no space left on \"device\"\n<&>\u2028",
	}
}

func saveAll(t *testing.T, d *spool.Directory, gaps ...audit.Gap) {
	t.Helper()
	for _, gap := range gaps {
		if err := d.SaveGap(gap); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSavedGaps(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	d, _ := open(t, config)
	first, second := gap(1), gap(2)
	saveAll(t, d, first, second)
	first.Dropped[audit.Safety] = 7
	saveAll(t, d, first) // has grown
	shut(t, d)
	if content := read(t, filepath.Join(config.Path, "gaps.jsonl")); strings.Contains(content, "\n\n") {
		t.Errorf("gaps.jsonl has blank lines:\n%s", content)
	}

	d, found := open(t, config)
	if diff := cmp.Diff([]audit.Gap{second, first}, found.Gaps); diff != "" || len(found.Unreadable) > 0 {
		t.Errorf("gaps (-want +got), unreadable %v:\n%s", found.Unreadable, diff)
	}
	for range 2 { // a second time does nothing
		if err := d.ForgetGaps(); err != nil {
			t.Fatal(err)
		}
	}
	shut(t, d)
	if _, found = open(t, config); len(found.Gaps) > 0 {
		t.Errorf("not forgotten: %v", found.Gaps)
	}
}

func TestDamagedGapsFile(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	path := filepath.Join(config.Path, "gaps.jsonl")
	d, _ := open(t, config)
	before, after := gap(1), gap(2)
	saveAll(t, d, before)
	shut(t, d)
	appendTo(t, path, "null\n{\"gap_id\":\"7\"}\n"+strings.Repeat("x", 2<<20)+"\n{\"gap_id\":\"torn")

	for round, want := range [][]audit.Gap{{before}, {before, after}} {
		d, found := open(t, config)
		if diff := cmp.Diff(want, found.Gaps); diff != "" || len(found.Unreadable) != 1 {
			t.Errorf("gaps (-want +got), unreadable %v:\n%s", found.Unreadable, diff)
		}
		if len(found.Unreadable) > 0 && !strings.Contains(found.Unreadable[0].Error(), "4 of its lines are not gaps, the first is line 2:") {
			t.Errorf("the error names no line: %v", found.Unreadable[0])
		}
		if round == 0 {
			saveAll(t, d, after)
		} else if err := d.ForgetGaps(); err != nil {
			t.Fatal(err)
		}
		shut(t, d)
	}
	d, found := open(t, config)
	if len(found.Gaps)+len(found.Unreadable) > 0 {
		t.Errorf("found after they were forgotten: %+v", found)
	}
	if kept := read(t, filepath.Join(config.Path, "torn", "gaps-1.jsonl")); !strings.Contains(kept, `{"gap_id":"torn`) {
		t.Error("the lines that cannot be read are lost")
	}
	saveAll(t, d, after)
	if err := d.ForgetGaps(); err != nil {
		t.Fatal(err)
	}
	if kept, err := filepath.Glob(filepath.Join(config.Path, "torn", "*")); err != nil || len(kept) != 1 {
		t.Errorf("set aside are %v, %v: a file of gaps alone is removed", kept, err)
	}
}

// A second damaged file does not replace the first one that was set aside.
func TestDamagedGapsAreKeptApart(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	for _, damaged := range []string{"one\n", "two\n"} {
		write(t, filepath.Join(config.Path, "gaps.jsonl"), damaged)
		d, _ := open(t, config)
		if err := d.ForgetGaps(); err != nil {
			t.Fatal(err)
		}
		shut(t, d)
	}
	torn := filepath.Join(config.Path, "torn")
	if got := read(t, filepath.Join(torn, "gaps-1.jsonl")) + read(t, filepath.Join(torn, "gaps-2.jsonl")); got != "one\ntwo\n" {
		t.Errorf("kept are %q", got)
	}
}

func TestGapsFileIsDirectory(t *testing.T) {
	t.Parallel()
	config, _ := prepared(t, records(0, 3))
	path := filepath.Join(config.Path, "gaps.jsonl")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	d, found := open(t, config)
	if len(found.Unreadable) != 1 {
		t.Errorf("unreadable: %v", found.Unreadable)
	}
	if err := d.SaveGap(gap(1)); err == nil {
		t.Error("a gap was saved to a directory")
	}
	if err := d.ForgetGaps(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a directory that is not ours was removed: %v", err)
	}
	if got, _ := drain(t, d, 0); len(got) != 3 {
		t.Errorf("%d records", len(got))
	}
}

// A line that no release of ours can have written is named with its length.
func TestOverlongSideLine(t *testing.T) {
	t.Parallel()
	for _, holds := range []string{"gaps", "statements"} {
		name, config := holds+".jsonl", spool.Config{Path: t.TempDir()}
		write(t, filepath.Join(config.Path, name), strings.Repeat("x", 2<<20)+"\n")
		_, found := open(t, config)
		if len(found.Unreadable) != 1 || !strings.Contains(found.Unreadable[0].Error(), "1 of its lines are not "+holds+", the first is line 1: is 2097152 bytes long, at most 1048576 are allowed") {
			t.Errorf("%s: unreadable %v", name, found.Unreadable)
		}
	}
}

// A line with an id or a set that cannot be read is reported, and counts for nothing: half of
// an account would be a wrong one.
func TestSideLineNeedsEachMember(t *testing.T) {
	t.Parallel()
	const id = "018f0000-0000-7000-8000-000000000001"
	for name, line := range map[string]string{
		"gaps.jsonl":       `{"gap_id":"` + id + `","first_audit_id":"` + id + `","last_audit_id":"` + id + `","dropped":{"COST":1}}`,
		"statements.jsonl": `{"source_id":"` + id + `","statement_no":1,"dropped":"{}","rejected":"{}","already_persisted":"{}","waiting":"{}"}`,
	} {
		for _, value := range append([]string{"whole"}, membersOf(line, id, "{}")...) {
			config := spool.Config{Path: t.TempDir()}
			write(t, filepath.Join(config.Path, name), strings.Replace(line, value, value[:max(0, len(value)-3)]+`?"`, 1)+"\n")
			_, found := open(t, config)
			if whole := value == "whole"; whole != (len(found.Gaps)+len(found.Statements) == 1) || whole != (len(found.Unreadable) == 0) {
				t.Errorf("%s with a broken %s: found %+v", name, value, found)
			}
		}
	}
}

// membersOf returns the members of a line that have one of these values, with their names.
func membersOf(line string, values ...string) (members []string) {
	for member := range strings.SplitSeq(strings.Trim(line, "{}"), ",") {
		for _, value := range values {
			if strings.HasSuffix(member, `:"`+value+`"`) {
				members = append(members, member)
			}
		}
	}
	return members
}
