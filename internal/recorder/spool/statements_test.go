package spool_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
)

func TestStatementsSurvive(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	dir, found := open(t, config)
	if len(found.Statements) != 0 {
		t.Fatalf("an empty directory holds %v", found.Statements)
	}
	source := uuid.New()
	first := completeness.Statement{SourceID: source, Number: 1, Kind: completeness.Opened, ReservedThrough: 100, Label: "a \"label\""}
	second := completeness.Statement{
		SourceID: source, Number: 2, Kind: completeness.Periodic, AcceptedThrough: 40, ReservedThrough: 140, Label: "b",
		Dropped: completeness.SetOf(1), Rejected: completeness.SetOf(2), AlreadyPersisted: completeness.SetOf(3, 4),
		Waiting: completeness.SetOf(7, 9), WaitingContinues: true,
	}
	replaced := second
	replaced.Dropped = nil
	for _, saved := range [][]completeness.Statement{{first, replaced}, {second}} { // the one that was saved last counts
		if err := dir.SaveStatements(saved); err != nil {
			t.Fatal(err)
		}
	}
	if err := dir.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(config.Path, "statements.jsonl")
	damaged := read(t, path) + strings.Replace(read(t, path), `"statement_no":1`, `"statement_no":8`, 1)
	if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
		t.Fatal(err)
	}

	dir, found = open(t, config)
	if diff := cmp.Diff([]completeness.Statement{first, second}, found.Statements); diff != "" {
		t.Errorf("statements (-saved +found):\n%s", diff)
	}
	if len(found.Unreadable) != 1 || len(found.Foreign) != 0 {
		t.Errorf("unreadable %v, foreign %v; want the changed line alone", found.Unreadable, found.Foreign)
	}
	if err := dir.ForgetStatements(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%v, want that the file is gone", err)
	}
}

// The directory knows the ordinals that it holds, whether they were appended or found.
func TestOrdinals(t *testing.T) {
	t.Parallel()
	config := spool.Config{Path: t.TempDir()}
	dir, _ := open(t, config)
	one, other := uuid.New(), uuid.New()
	var recs []audit.Record
	for i := range 6 {
		rec := record(i)
		rec.Origin.SourceID, rec.Origin.SourceSeq = one, int64(i+1)
		switch i {
		case 3:
			rec.Origin = audit.Origin{} // of an older release
			rec.Details = `{"source_id": "` + audit.Details(other.String()) + `", "source_seq": 5}`
		case 5:
			rec.Origin.SourceID = other
		}
		recs = append(recs, rec)
	}
	if err := dir.Append(recs); err != nil {
		t.Fatal(err)
	}
	want := map[uuid.UUID]completeness.Set{one: completeness.SetOf(1, 2, 3, 5), other: completeness.SetOf(6)}
	if diff := cmp.Diff(want, dir.Ordinals()); diff != "" {
		t.Errorf("appended (-want +got):\n%s", diff)
	}
	if err := dir.Close(); err != nil {
		t.Fatal(err)
	}
	dir, found := open(t, config)
	if diff := cmp.Diff(want, found.Ordinals); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	batch, err := dir.Next(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(config.Path, "0000000001.jsonl")); err != nil {
		t.Fatal(err)
	}
	lost := dir.Check()
	if len(lost) != 1 {
		t.Fatalf("lost %v, want one segment", lost)
	}
	left := map[uuid.UUID]completeness.Set{one: completeness.SetOf(3, 5), other: completeness.SetOf(6)} // two are taken
	if diff := cmp.Diff(left, lost[0].Ordinals); diff != "" || !dir.Stale(batch) {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
}
