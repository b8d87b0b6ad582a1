package expiry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/seal"
)

// fixed is an exporter that has one checkpoint.
type fixed struct{ signed []byte }

func (f fixed) Export(context.Context, int64, int64, []byte) error { return nil }
func (f fixed) Last(context.Context) ([]byte, error)               { return f.signed, nil }

// A horizon in the future, or nearer than the minimum, is refused.
func TestYoungRecordsStay(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 600)
	tr.seal(t)
	filter := all()
	filter.Before = time.Now().Add(time.Hour)
	if _, err := expiry.MakePlan(t.Context(), tr.config(t), filter); !errors.Is(err, expiry.ErrTooYoung) || !strings.Contains(err.Error(), "in the future") {
		t.Errorf("a horizon in the future: %v", err)
	}
	dir, _ := tr.archive(t, all())
	tr.setMinimum(t, 30)
	if _, err := expiry.MakePlan(t.Context(), tr.config(t), all()); !errors.Is(err, expiry.ErrTooYoung) || !strings.Contains(err.Error(), "30 days") {
		t.Errorf("below the minimum: %v", err)
	}
	if _, err := tr.apply(t, dir); !errors.Is(err, expiry.ErrTooYoung) {
		t.Errorf("an archive below the minimum: %v", err)
	}
	if days, err := expiry.MinimumAge(t.Context(), tr.keeper, ""); err != nil || days != 30 {
		t.Errorf("%d, %v", days, err)
	}
	if err := expiry.SetMinimumAge(t.Context(), tr.keeper, "", 0, "no one asked"); err == nil {
		t.Error("a role that expires has set the minimum")
	}
	mustHoldAll(t, tr, 600)
}

// Where no one has set it, the minimum is a year.
func TestDefaultMinimumIsAYear(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.behindGuards(t, "DELETE FROM coordination_audit_seal_events")
	if days, err := expiry.MinimumAge(t.Context(), tr.keeper, ""); err != nil || days != expiry.DefaultMinimumDays {
		t.Errorf("%d, %v", days, err)
	}
}

func mustHoldAll(t *testing.T, tr *trail, records int64) {
	t.Helper()
	if n := tr.count(t); n != records || tr.events(t, "expired") != 0 {
		t.Errorf("%d rows and %d events, want %d rows and none", n, tr.events(t, "expired"), records)
	}
}

// A hold stops an expiry, also if it is placed after the archive was made. Its release stays on record.
func TestHoldStopsExpiry(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	before, m := tr.archive(t, cost())
	id, err := expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{TenantID: "globex", Class: "COST", Why: "case 4711"})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := expiry.MakePlan(t.Context(), tr.config(t), cost())
	if err != nil || plan.Held != 50 {
		t.Errorf("%+v, %v", plan, err)
	}
	if _, err := tr.apply(t, before); !errors.Is(err, expiry.ErrHeld) {
		t.Errorf("apply: %v", err)
	}
	mustHoldAll(t, tr, 600)
	dir := filepath.Join(tr.dir, "without")
	config := expiry.ArchiveConfig{Filter: cost(), Dir: dir}
	if _, err := expiry.Archive(t.Context(), tr.config(t), config); !errors.Is(err, expiry.ErrHeld) {
		t.Errorf("archive: %v", err)
	}
	tenant := config
	tenant.Filter.Scope = audit.Tenant("globex")
	tenant.ExceptHeld = true
	if _, err := expiry.Archive(t.Context(), tr.config(t), tenant); !errors.Is(err, expiry.ErrNothing) {
		t.Errorf("archive of a held tenant: %v", err)
	}
	config.ExceptHeld = true
	left, err := expiry.Archive(t.Context(), tr.config(t), config)
	if err != nil || left.Records >= m.Records {
		t.Fatalf("%+v, %v", left, err)
	}
	tr.mustApply(t, dir)
	if _, err := tr.store.Get(t.Context(), audit.AllTenants(), recs[0].AuditID); err != nil { // of globex
		t.Error(err)
	}
	if _, err := tr.apply(t, before); !errors.Is(err, expiry.ErrCount) { // of which a part has expired
		t.Errorf("apply of the older archive: %v", err)
	}

	if released, err := expiry.ReleaseHold(t.Context(), tr.keeper, "", id, "closed"); err != nil || !released {
		t.Errorf("%v, %v", released, err)
	}
	if released, err := expiry.ReleaseHold(t.Context(), tr.keeper, "", id, "closed"); err != nil || released {
		t.Errorf("again: %v, %v", released, err)
	}
	if _, err := expiry.ReleaseHold(t.Context(), tr.keeper, "", uuid.New(), "closed"); !errors.Is(err, expiry.ErrNoSuch) {
		t.Errorf("of another: %v", err)
	}
	holds, err := expiry.Holds(t.Context(), tr.keeper, "")
	if err != nil || len(holds) != 1 || holds[0].TenantID != "globex" || holds[0].Why != "case 4711" || holds[0].ReleasedAt.IsZero() || holds[0].ReleasedWhy != "closed" {
		t.Errorf("%+v, %v", holds, err)
	}
	dir, _ = tr.archive(t, cost())
	tr.mustApply(t, dir)
	tr.seal(t)
	tr.mustVerify(t)
}

// Each condition of a hold is needed.
func TestHoldNamesWhatItStops(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 600)
	tr.seal(t)
	now := time.Now()
	for _, test := range []struct {
		hold expiry.Hold
		held int64
	}{
		{expiry.Hold{TenantID: "acme"}, 400},
		{expiry.Hold{TenantID: "no one"}, 0},
		{expiry.Hold{EnvelopeID: "envelope-6"}, 85},
		{expiry.Hold{Class: "SAFETY", TenantID: "globex"}, 50},
		{expiry.Hold{Until: now.Add(time.Hour)}, 600},
		{expiry.Hold{Until: now.Add(-time.Hour)}, 0},
		{expiry.Hold{Since: now.Add(time.Hour)}, 0},
		{expiry.Hold{Since: now.Add(-time.Hour), Class: "COST"}, 150},
	} {
		test.hold.Why = "a test"
		id, err := expiry.PlaceHold(t.Context(), tr.keeper, "", test.hold)
		if err != nil {
			t.Fatal(err)
		}
		if plan, err := expiry.MakePlan(t.Context(), tr.config(t), all()); err != nil || plan.Held != test.held {
			t.Errorf("%+v: %+v, %v", test.hold, plan, err)
		}
		if _, err := expiry.ReleaseHold(t.Context(), tr.keeper, "", id, "a test"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := expiry.PlaceHold(t.Context(), tr.keeper, "", expiry.Hold{Why: "names nothing"}); err == nil {
		t.Error("a hold that names nothing was placed")
	}
}

// With one row missing, nothing is dropped.
func TestCountThatDiffersIsRefused(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	dir, m := tr.archive(t, cost())
	tr.behindGuards(t, "DELETE FROM coordination_audit_records WHERE audit_id = $1", recs[4].AuditID)
	_, err := tr.apply(t, dir)
	if !errors.Is(err, expiry.ErrCount) || !strings.Contains(err.Error(), "nothing is dropped") {
		t.Errorf("%v", err)
	}
	mustHoldAll(t, tr, 599)
	if m.Records == 0 {
		t.Error("the archive is empty")
	}
}

// A checkpoint that was not exported by the key, or that the database has not stored, is refused.
func TestForeignCheckpointIsRefused(t *testing.T) {
	t.Parallel()
	tr, other := newTrail(t), newTrail(t)
	for _, of := range []*trail{tr, other} {
		of.fill(t, 600)
		of.seal(t)
	}
	dir, _ := tr.archive(t, all())
	config := tr.config(t)
	config.Checkpoint = other.config(t).Checkpoint
	if _, err := expiry.Apply(t.Context(), config, expiry.ApplyConfig{Dir: dir}); !errors.Is(err, expiry.ErrCheckpoint) {
		t.Errorf("of another key: %v", err)
	}
	config.Verifier = other.verifier
	if _, err := expiry.Apply(t.Context(), config, expiry.ApplyConfig{Dir: dir}); !errors.Is(err, expiry.ErrCheckpoint) {
		t.Errorf("of another log: %v", err)
	}
	elsewhere := other.config(t)
	elsewhere.Verifier = other.verifier
	if _, err := expiry.Apply(t.Context(), elsewhere, expiry.ApplyConfig{Dir: dir}); err == nil {
		t.Error("an archive of another trail was applied")
	}
	mustHoldAll(t, tr, 600)
	mustHoldAll(t, other, 600)
}

// An archive that is missing, incomplete or altered in any way is refused, and named by check as well.
func TestAlteredArchiveIsRefused(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 600)
	tr.seal(t)
	dir, _ := tr.archive(t, cost())
	cases := map[string]func(t *testing.T, dir string){
		"missing":            func(t *testing.T, dir string) { t.Helper(); remove(t, dir, expiry.ManifestFile) },
		"without records":    func(t *testing.T, dir string) { t.Helper(); remove(t, dir, expiry.RecordsFile) },
		"without proofs":     func(t *testing.T, dir string) { t.Helper(); remove(t, dir, expiry.ProofsFile) },
		"without checkpoint": func(t *testing.T, dir string) { t.Helper(); remove(t, dir, expiry.CheckpointFile) },
		"a record removed": func(t *testing.T, dir string) {
			t.Helper()
			alter(t, dir, expiry.RecordsFile, func(lines []string) []string { return append(lines[:3:3], lines[4:]...) })
		},
		"a record edited, and the manifest with it": func(t *testing.T, dir string) {
			t.Helper()
			digest := alter(t, dir, expiry.RecordsFile, func(lines []string) []string {
				lines[7] = strings.Replace(lines[7], "COST", "SAFETY", 1)
				return lines
			})
			alterManifest(t, dir, func(m map[string]any) { m["records_sha256"] = digest })
		},
		"two records swapped, and the manifest with them": func(t *testing.T, dir string) {
			t.Helper()
			digest := alter(t, dir, expiry.RecordsFile, func(lines []string) []string {
				lines[1], lines[2] = lines[2], lines[1]
				return lines
			})
			alterManifest(t, dir, func(m map[string]any) { m["records_sha256"] = digest })
		},
		"another horizon": func(t *testing.T, dir string) {
			t.Helper()
			alterManifest(t, dir, func(m map[string]any) { m["before"] = "soon" })
		},
		"another class": func(t *testing.T, dir string) {
			t.Helper()
			alterManifest(t, dir, func(m map[string]any) { m["classes"] = []string{"SAFETY"} })
		},
		"another tenant": func(t *testing.T, dir string) {
			t.Helper()
			alterManifest(t, dir, func(m map[string]any) { m["every_tenant"], m["tenant_id"] = false, "globex" })
		},
		"an earlier horizon": func(t *testing.T, dir string) {
			t.Helper()
			alterManifest(t, dir, func(m map[string]any) { m["before"] = audit.FormatTime(time.Unix(1_500_000_000, 0)) })
		},
		"other seqs": func(t *testing.T, dir string) {
			t.Helper()
			alterManifest(t, dir, func(m map[string]any) { m["last_seq"] = 1_000_000 })
		},
		"batches that do not add up": func(t *testing.T, dir string) {
			t.Helper()
			alterManifest(t, dir, func(m map[string]any) { m["batches"] = []int{1} })
		},
		"another range": func(t *testing.T, dir string) {
			t.Helper()
			alterManifest(t, dir, func(m map[string]any) { m["records"] = 40; m["batches"] = []int{40} })
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			altered := filepath.Join(t.TempDir(), "altered")
			copyDir(t, dir, altered)
			change(t, altered)
			if _, err := tr.apply(t, altered); !errors.Is(err, expiry.ErrArchive) {
				t.Errorf("apply: %v", err)
			}
			if _, err := expiry.CheckArchive(t.Context(), altered, tr.verifier, nil); !errors.Is(err, expiry.ErrArchive) {
				t.Errorf("check: %v", err)
			}
			mustHoldAll(t, tr, 600)
		})
	}
}

// A record that is removed from an archive together with its manifest is still found: the events
// name another digest, and the table no longer fits.
func TestShortenedArchiveIsNotTheOneOnRecord(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 600)
	tr.seal(t)
	dir, m := tr.archive(t, cost())
	tr.mustApply(t, dir)
	altered := filepath.Join(tr.dir, "altered")
	copyDir(t, dir, altered)
	dropped, last := int64(0), int64(0) // a tile
	proofs := alter(t, altered, expiry.ProofsFile, func(lines []string) []string {
		end := len(lines) - 2 // of the tiles that stay; SplitAfter leaves an empty text at the end
		dropped = int64(len(parsedProof(t, lines[end]).Rows))
		rows := parsedProof(t, lines[end-1]).Rows
		last = rows[len(rows)-1].Seq
		return lines[:end]
	})
	records := alter(t, altered, expiry.RecordsFile, func(lines []string) []string { return lines[:m.Records-dropped] })
	alterManifest(t, altered, func(of map[string]any) {
		of["records_sha256"], of["proofs_sha256"], of["records"], of["last_seq"] = records, proofs, m.Records-dropped, last
		of["batches"] = []int64{m.Records - dropped}
	})
	shortened, err := expiry.CheckArchive(t.Context(), altered, tr.verifier, nil)
	if err != nil { // each record that is left is proved
		t.Fatal(err)
	}
	if recorded, err := expiry.OnRecord(t.Context(), tr.config(t), shortened); err != nil || recorded.Records != 0 {
		t.Errorf("%+v, %v", recorded, err)
	}
	if result := tr.mustVerify(t); len(result.Archives) != 1 || result.Archives[0].Archive != m.Digest() || m.Digest() == shortened.Digest() {
		t.Errorf("%+v", result.Archives)
	}
}

func parsedProof(t *testing.T, line string) seal.RecordsProof {
	t.Helper()
	proof, err := seal.ParseRecordsProof([]byte(strings.TrimSuffix(line, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// alter writes a compressed file again, and returns its SHA-256.
func alter(t *testing.T, dir, name string, change func(lines []string) []string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	lines := change(strings.SplitAfter(string(text), "\n"))
	var out bytes.Buffer
	again := gzip.NewWriter(&out)
	if _, err := again.Write([]byte(strings.Join(lines, ""))); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out.Bytes())
	return hex.EncodeToString(sum[:])
}

func alterManifest(t *testing.T, dir string, change func(m map[string]any)) {
	t.Helper()
	path := filepath.Join(dir, expiry.ManifestFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	change(m)
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Nothing else can delete: not the owner, before or after, not a role that may expire, and not an
// expiry that no one has enabled.
func TestNothingElseDeletes(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	recs := tr.fill(t, 600)
	tr.seal(t)
	forbidden := map[string]string{
		"DELETE FROM coordination_audit_records":                                               "23000",
		"UPDATE coordination_audit_records SET reason = 'another'":                             "23000",
		"TRUNCATE coordination_audit_records":                                                  "23000",
		"DELETE FROM coordination_audit_seal_events":                                           "23000",
		"UPDATE coordination_audit_seal_events SET kind = 'expired'":                           "23000",
		"SET LOCAL session_replication_role = replica; DELETE FROM coordination_audit_records": "23000",
	}
	try := func(when string) {
		t.Helper()
		for sql, code := range forbidden {
			if _, err := tr.db.Pool.Exec(t.Context(), "BEGIN; "+sql); stateOf(err) != code {
				t.Errorf("%s, the owner's %s: %v", when, sql, err)
			}
		}
		for _, sql := range []string{
			"DELETE FROM coordination_audit_records", "UPDATE coordination_audit_records SET reason = 'another'",
			"INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body) VALUES (gen_random_uuid(), 'expired', 1, '{}')",
		} {
			if _, err := tr.keeper.Exec(t.Context(), sql); stateOf(err) != "42501" {
				t.Errorf("%s, the keeper's %s: %v", when, sql, err)
			}
		}
	}
	try("before")
	dir, _ := tr.archive(t, cost())
	tr.mustApply(t, dir)
	try("after")
	if _, err := tr.store.Get(t.Context(), audit.AllTenants(), recs[1].AuditID); err != nil {
		t.Error(err)
	}

	reader := newRole(t, tr.db)
	tr.grant(t, auditmigrate.GrantConfig{Readers: []string{reader}})
	config := tr.config(t)
	config.Pool = tr.as(t, reader)
	dir, _ = tr.archive(t, all())
	if _, err := expiry.Apply(t.Context(), config, expiry.ApplyConfig{Dir: dir}); !errors.Is(err, expiry.ErrNotAllowed) {
		t.Errorf("a reader has expired records: %v", err)
	} else if !strings.HasSuffix(err.Error(), "grant this role EXECUTE on function coordination_audit_expire (migrate grants --expirer ROLE --apply)") {
		t.Errorf("%v, want the right that is missing and what grants it", err)
	}
	_, placed := expiry.PlaceHold(t.Context(), config.Pool, "", expiry.Hold{TenantID: "acme", Why: "a test"})
	set := expiry.SetMinimumAge(t.Context(), config.Pool, "", 1, "a test")
	for want, err := range map[string]error{
		"grant this role EXECUTE on function coordination_audit_place_hold (migrate grants --holder ROLE --apply)": placed,
		"connect as the owner of the trail": set,
	} {
		if !errors.Is(err, expiry.ErrNotAllowed) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Even the role that the guards pass changes one text at a time and nothing else. No one can act as
// it in a session of their own.
func TestGuardsPassOneTextAtATime(t *testing.T) {
	t.Parallel()
	tr := newTrail(t)
	tr.fill(t, 3)
	execute(t, tr.db.Pool, "GRANT UPDATE, TRUNCATE ON coordination_audit_records, coordination_audit_gaps, coordination_audit_seal_events TO coordaudit_retention")
	for sql, code := range map[string]string{
		"UPDATE coordination_audit_records SET reason = 'x'":                          "",
		"UPDATE coordination_audit_records SET details = NULL":                        "",
		"DELETE FROM coordination_audit_records":                                      "",
		"UPDATE coordination_audit_records SET reason = 'x', details = NULL":          "23000",
		"UPDATE coordination_audit_records SET tenant_id = 'x'":                       "23000",
		"UPDATE coordination_audit_records SET created_at = now(), reason = 'x'":      "23000",
		"UPDATE coordination_audit_records SET details = '{\"n\": 1.0}', actor = 'x'": "23000",
		"TRUNCATE coordination_audit_records":                                         "23000",
		"TRUNCATE coordination_audit_gaps":                                            "23000",
		"UPDATE coordination_audit_seal_events SET body = 'x'":                        "23000",
	} {
		if _, err := tr.db.Pool.Exec(t.Context(), "BEGIN; SET LOCAL ROLE coordaudit_retention; "+sql+"; ROLLBACK"); stateOf(err) != code {
			t.Errorf("%s: %v, want SQLSTATE %q", sql, err, code)
		}
	}
	var login bool
	if err := tr.db.Pool.QueryRow(t.Context(), "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'coordaudit_retention'").Scan(&login); err != nil || login {
		t.Errorf("the role may log in: %v, %v", login, err)
	}
}

func stateOf(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}
