package expiry_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/seal"
)

// adopted has records that the line of JSON does not say wholly: their rows are carried.
func adopted(tb testing.TB) *trail {
	tb.Helper()
	tr := newTrail(tb)
	tr.dropChecks(tb)
	recs := tr.fill(tb, 800)
	for _, change := range []string{"tenant_id = ''", "created_at = '-infinity'", `details = '{"n": 1.50}'`, "decision_timestamp = 'infinity'"} {
		id := recs[0].AuditID
		recs = recs[4:] // of the same class
		tr.behindGuards(tb, "UPDATE coordination_audit_records SET "+change+" WHERE audit_id = $1", id)
	}
	tr.seal(tb)
	if _, err := expiry.Erase(tb.Context(), tr.config(tb), recs[0].AuditID, expiry.Reason, "article 17"); err != nil {
		tb.Fatal(err)
	}
	return tr
}

// dropChecks lets rows in that an adopted table may hold.
func (tr *trail) dropChecks(tb testing.TB) {
	tb.Helper()
	for _, name := range []string{"optional_ids_not_empty", "created_at_finite", "decision_timestamp_valid"} {
		execute(tb, tr.db.Pool, "ALTER TABLE coordination_audit_records DROP CONSTRAINT IF EXISTS coordination_audit_"+name)
	}
}

// Rows that a line of JSON cannot say are archived, checked, proved and taken out like others.
func TestCarriedRowsAreProved(t *testing.T) {
	t.Parallel()
	tr := adopted(t)
	dir, m := tr.archive(t, cost())
	carried := 0
	alter(t, dir, expiry.ProofsFile, func(lines []string) []string {
		for _, line := range lines[:len(lines)-1] {
			for _, row := range parsedProof(t, line).Rows {
				if row.Carried == nil {
					continue
				}
				carried++
				rec, err := row.Carried.Record()
				if err != nil {
					t.Fatal(err)
				}
				proveFromArchive(t, tr, copyOf(t, tr, dir), rec)
			}
		}
		return lines
	})
	if carried != 5 {
		t.Errorf("%d rows are carried", carried)
	}
	dir, _ = tr.archive(t, cost())
	tr.mustApply(t, dir)
	tr.seal(t)
	if result := tr.mustVerify(t); result.Expired != m.Records {
		t.Errorf("%+v", result)
	}
}

func copyOf(t *testing.T, tr *trail, dir string) string {
	t.Helper()
	to := filepath.Join(tr.dir, "copy-"+uuid.NewString())
	copyDir(t, dir, to)
	return to
}

// Any change to the proofs or the records is found and named, also if the manifest is made
// to fit.
func TestAlteredProofsAreNamed(t *testing.T) {
	t.Parallel()
	tr := adopted(t)
	dir, _ := tr.archive(t, cost())
	spelled := func(change func(p *seal.RecordsProof)) func(t *testing.T, proofs, records []string) ([]string, []string) {
		return func(t *testing.T, proofs, records []string) ([]string, []string) {
			t.Helper()
			proof := parsedProof(t, proofs[1])
			change(&proof)
			text, err := proof.AppendText(nil)
			if err != nil {
				t.Fatal(err)
			}
			proofs[1] = string(text) + "\n"
			return proofs, records
		}
	}
	for name, test := range map[string]struct {
		alter func(t *testing.T, proofs, records []string) ([]string, []string)
		want  string
	}{
		"a place moved": {spelled(func(p *seal.RecordsProof) {
			places := slices.Collect(p.Places.All())
			p.Places = seal.Places{}
			for i, place := range places {
				if i == 3 {
					place++
				}
				p.Places.Add(place)
			}
		}), "of records.jsonl.gz: they are not all records that line 2 of proofs.jsonl.gz proves"},
		"a hash flipped": {spelled(func(p *seal.RecordsProof) { p.Hashes[5][7] ^= 1 }), "line 2 of proofs"},
		"a step flipped": {spelled(func(p *seal.RecordsProof) { p.Path[0][7] ^= 1 }), "line 2 of proofs"},
		"a seq altered":  {spelled(func(p *seal.RecordsProof) { p.Rows[9].Seq++ }), "line 2 of proofs"},
		"another tile":   {spelled(func(p *seal.RecordsProof) { p.Tile++ }), "line 2 of proofs"},
		"a tile before":  {spelled(func(p *seal.RecordsProof) { p.Tile-- }), "line 2 of proofs.jsonl.gz proves leaf"},
		"a line missing": {func(_ *testing.T, proofs, records []string) ([]string, []string) {
			return append(proofs[:1:1], proofs[2:]...), records
		}, "line 2 of proofs"},
		"the last line missing": {func(_ *testing.T, proofs, records []string) ([]string, []string) {
			return append(proofs[:2:2], ""), records
		}, "and its manifest says"},
		"a line doubled": {func(_ *testing.T, proofs, records []string) ([]string, []string) {
			return append([]string{proofs[0], proofs[0]}, proofs[1:]...), records
		}, "line 2 of proofs.jsonl.gz proves leaf"},
		"lines out of order": {func(_ *testing.T, proofs, records []string) ([]string, []string) {
			proofs[0], proofs[1] = proofs[1], proofs[0]
			return proofs, records
		}, "line 4: its record cannot be read"}, // it was carried
		"places out of order": {func(t *testing.T, proofs, records []string) ([]string, []string) {
			t.Helper()
			before, after, _ := strings.Cut(proofs[1], `"places":"`)
			places, rest, _ := strings.Cut(after, `"`)
			first, others, _ := strings.Cut(places, ",")
			proofs[1] = before + `"places":"` + others + "," + first + `"` + rest
			return proofs, records
		}, "line 2 of proofs.jsonl.gz"},
		"a record moved to the next line": {func(t *testing.T, proofs, records []string) ([]string, []string) {
			t.Helper()
			first := len(parsedProof(t, proofs[0]).Rows)
			records[first-1], records[first] = records[first], records[first-1]
			return proofs, records
		}, "line 1 of proofs"},
		"a record that asks for a replay": {func(_ *testing.T, proofs, records []string) ([]string, []string) {
			records[40] = strings.Replace(records[40], "{", `{"emit_traces":false,`, 1)
			return proofs, records
		}, "line 41: its record cannot be read: it asks for a replay"},
		"a record that is none": {func(_ *testing.T, proofs, records []string) ([]string, []string) {
			records[40] = "{}\n"
			return proofs, records
		}, "line 41: its record cannot be read"},
		"a record whose row is carried": {func(t *testing.T, proofs, records []string) ([]string, []string) {
			t.Helper()
			i := carriedPlace(t, proofs[0])
			records[i] = strings.Replace(records[i], "envelope-", "another-", 1)
			return proofs, records
		}, "is not the one that its proof carries"},
		"a row that is carried": {func(t *testing.T, proofs, records []string) ([]string, []string) {
			t.Helper()
			i := carriedPlace(t, proofs[0])
			proof := parsedProof(t, proofs[0])
			rec, err := proof.Rows[i].Carried.Record()
			if err != nil {
				t.Fatal(err)
			}
			rec.EnvelopeID = "another"
			proof.Rows[i].Carried.Values[2] = []byte("another")
			line, err := rec.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			text, err := proof.AppendText(nil)
			if err != nil {
				t.Fatal(err)
			}
			proofs[0], records[i] = string(text)+"\n", string(line)+"\n"
			return proofs, records
		}, "line 1 of proofs"},
		"one that is carried for another": {func(t *testing.T, proofs, records []string) ([]string, []string) {
			t.Helper()
			proof, i := parsedProof(t, proofs[0]), carriedPlace(t, proofs[0])
			proof.Rows[i+8].Carried = proof.Rows[i].Carried
			records[i+8] = records[i]
			text, err := proof.AppendText(nil)
			if err != nil {
				t.Fatal(err)
			}
			proofs[0] = string(text) + "\n"
			return proofs, records
		}, "line 1 of proofs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			altered := copyOf(t, tr, dir)
			alterLines(t, altered, test.alter)
			_, err := expiry.CheckArchive(t.Context(), altered, tr.verifier, nil)
			if !errors.Is(err, expiry.ErrArchive) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// carriedPlace returns which of the rows of a line is the first that is carried.
func carriedPlace(t *testing.T, line string) int {
	t.Helper()
	return slices.IndexFunc(parsedProof(t, line).Rows, func(row seal.ArchivedRow) bool { return row.Carried != nil })
}

// alterLines changes the lines of an archive, and makes its manifest fit.
func alterLines(t *testing.T, dir string, change func(t *testing.T, proofs, records []string) ([]string, []string)) {
	t.Helper()
	var proofs, records []string
	alter(t, dir, expiry.ProofsFile, func(lines []string) []string { proofs = lines; return lines })
	alter(t, dir, expiry.RecordsFile, func(lines []string) []string { records = lines; return lines })
	proofs, records = change(t, proofs, records)
	ofProofs := alter(t, dir, expiry.ProofsFile, func([]string) []string { return proofs })
	ofRecords := alter(t, dir, expiry.RecordsFile, func([]string) []string { return records })
	alterManifest(t, dir, func(m map[string]any) { m["proofs_sha256"], m["records_sha256"] = ofProofs, ofRecords })
}

// A record is proved from the archive alone, and what cannot be proved has a reason.
func TestRecordIsProvedFromItsArchive(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	dir, _ := tr.archive(t, cost())
	for i := 0; i < 500; i += 100 {
		proveFromArchive(t, tr, dir, recs[i])
	}
	if _, err := expiry.ProveArchived(t.Context(), dir, recs[1].AuditID); !errors.Is(err, expiry.ErrNoSuch) {
		t.Errorf("of another class: %v", err)
	}
	altered := copyOf(t, tr, dir)
	alterLines(t, altered, func(_ *testing.T, proofs, records []string) ([]string, []string) {
		records[0] = strings.Replace(records[0], "envelope-0", "envelope-1", 1)
		return proofs, records
	})
	if _, err := expiry.ProveArchived(t.Context(), altered, recs[0].AuditID); !errors.Is(err, expiry.ErrArchive) {
		t.Errorf("of an altered one: %v", err)
	}
	if _, err := expiry.ProveArchived(t.Context(), filepath.Join(dir, "missing"), recs[0].AuditID); !errors.Is(err, expiry.ErrArchive) {
		t.Errorf("of none: %v", err)
	}
	alterManifest(t, altered, func(m map[string]any) { m["format"] = 1 })
	for _, check := range []func() error{
		func() error { _, err := expiry.ProveArchived(t.Context(), altered, recs[0].AuditID); return err },
		func() error { _, err := expiry.CheckArchive(t.Context(), altered, tr.verifier, nil); return err },
	} {
		if err := check(); !errors.Is(err, expiry.ErrArchive) || !strings.Contains(err.Error(), "its format is 1") {
			t.Errorf("of the old form: %v", err)
		}
	}
}

// Two records with one seq, as a restore may make them, are both archived, each at its leaf.
func TestRecordsOfOneSeqExpire(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 64*256-100) // the 64 tiles that are read at a time end soon
	for range 8 {
		execute(t, tr.db.Pool, "ALTER SEQUENCE coordination_audit_records_seq_seq RESTART WITH 16301")
		tr.fill(t, 40)
	}
	tr.fill(t, 300)
	tr.seal(t)
	filter := all()
	dir, m := tr.archive(t, filter)
	if m.Records < 16_384+256 {
		t.Errorf("%d records", m.Records)
	}
	if _, err := expiry.CheckArchive(t.Context(), dir, tr.verifier, nil); err != nil {
		t.Error(err)
	}
}

// Rows that are carried and long make several lines of one tile.
func TestLongRowsMakeSeveralLines(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := make([]audit.Record, 300)
	for i := range recs {
		recs[i] = fixture.NewRecord()
		recs[i].Reason = strings.Repeat("long ", 2000)
	}
	if _, err := tr.store.PersistMany(t.Context(), recs); err != nil {
		t.Fatal(err)
	}
	tr.dropChecks(t)
	tr.behindGuards(t, "UPDATE coordination_audit_records SET created_at = '-infinity'")
	tr.seal(t)
	dir, m := tr.archive(t, all())
	lines := 0
	altered := copyOf(t, tr, dir)
	alter(t, altered, expiry.ProofsFile, func(of []string) []string { lines = len(of) - 1; return of })
	if lines < 3 || m.Records < 255 {
		t.Errorf("%d lines of %d records", lines, m.Records)
	}
	if _, err := expiry.CheckArchive(t.Context(), dir, tr.verifier, nil); err != nil {
		t.Error(err)
	}
	proveFromArchive(t, tr, dir, recs[200])
}
