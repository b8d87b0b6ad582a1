package expiry_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditadmin/expiry"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

const logName = "audit.example/trail"

// trail is a sealed trail, and the roles that keep it.
type trail struct {
	db       *testdb.DB
	store    *coordaudit.Store
	signer   note.Signer
	verifier note.Verifier
	export   sealer.Exporter
	keeper   *pgxpool.Pool // acts as a role that may expire, erase and hold
	role     string
	public   string // the text of the key
	dir      string
}

// newTrail returns a trail whose minimum age is 0 days.
func newTrail(tb testing.TB) *trail {
	tb.Helper()
	dir := tb.TempDir()
	tr := &trail{db: testdb.New(tb), dir: dir, export: sealer.Directory(tb.TempDir())}
	private, public, err := seal.GenerateKey(rand.Reader, logName)
	if err != nil {
		tb.Fatal(err)
	}
	tr.public = public
	if tr.signer, err = note.NewSigner(private); err != nil {
		tb.Fatal(err)
	}
	if tr.verifier, err = note.NewVerifier(public); err != nil {
		tb.Fatal(err)
	}
	config := fixture.Quiet()
	config.Timeout = time.Minute
	tr.store = coordaudit.New(tr.db.Pool, config)
	tr.role = newRole(tb, tr.db)
	roles := []string{tr.role}
	tr.grant(tb, auditmigrate.GrantConfig{Expirers: roles, Erasers: roles, Holders: roles})
	tr.keeper = tr.as(tb, tr.role)
	tr.setMinimum(tb, 0)
	return tr
}

func newRole(tb testing.TB, db *testdb.DB) string {
	tb.Helper()
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	execute(tb, db.Pool, "CREATE ROLE "+role)
	tb.Cleanup(func() {
		if _, err := db.Pool.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			tb.Errorf("dropping role %s: %v", role, err)
		}
	})
	return role
}

func (tr *trail) grant(tb testing.TB, grants auditmigrate.GrantConfig) {
	tb.Helper()
	migrator := auditmigrate.New(tr.db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if _, err := migrator.ApplyGrants(tb.Context(), grants); err != nil {
		tb.Fatal(err)
	}
}

// as returns a pool whose sessions act as a role.
func (tr *trail) as(tb testing.TB, role string) *pgxpool.Pool {
	tb.Helper()
	return fixture.OpenPool(tb, tr.db.URL, func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["role"] = role })
}

func (tr *trail) setMinimum(tb testing.TB, days int) {
	tb.Helper()
	if err := expiry.SetMinimumAge(tb.Context(), tr.db.Pool, "", days, "a test"); err != nil {
		tb.Fatal(err)
	}
}

// fill stores records of four classes and two tenants, by a source, and returns them.
func (tr *trail) fill(tb testing.TB, records int) []audit.Record {
	tb.Helper()
	classes := []audit.EnvelopeClass{audit.Cost, audit.Safety, audit.Reliability, audit.Performance}
	source, err := tr.store.NewSource(tb.Context(), "a test")
	if err != nil {
		tb.Fatal(err)
	}
	recs := make([]audit.Record, records)
	for i := range recs {
		recs[i] = fixture.NewRecord()
		recs[i].EnvelopeClass = classes[i%len(classes)]
		recs[i].EnvelopeID = fmt.Sprintf("envelope-%d", i%7)
		recs[i].Details = `{"n": 1}`
		if i%3 == 0 {
			recs[i].TenantID = "globex"
		}
	}
	if err := source.Number(tb.Context(), recs); err != nil {
		tb.Fatal(err)
	}
	for first := 0; first < records; first += 1000 {
		if _, err := source.PersistMany(tb.Context(), recs[first:min(first+1000, records)]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := source.Close(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return recs
}

func (tr *trail) seal(tb testing.TB) {
	tb.Helper()
	made, err := sealer.New(tr.db.Pool, sealer.Config{Signer: tr.signer, Export: tr.export, Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_, err = made.Once(tb.Context())
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// config is that of the keeper, with the last exported checkpoint.
func (tr *trail) config(tb testing.TB) expiry.Config {
	tb.Helper()
	signed, err := tr.export.Last(tb.Context())
	if err != nil || signed == nil {
		tb.Fatalf("no checkpoint was exported: %v", err)
	}
	return expiry.Config{Pool: tr.keeper, Checkpoint: signed, Verifier: tr.verifier}
}

func all() expiry.Filter {
	return expiry.Filter{Scope: audit.AllTenants(), Before: time.Now()}
}

func cost() expiry.Filter {
	filter := all()
	filter.Classes = []audit.EnvelopeClass{audit.Cost}
	return filter
}

// archive writes an archive of a filter in small batches.
func (tr *trail) archive(tb testing.TB, filter expiry.Filter) (dir string, m expiry.Manifest) {
	tb.Helper()
	dir = filepath.Join(tr.dir, "archive-"+rand.Text()[:8])
	m, err := expiry.Archive(tb.Context(), tr.config(tb), expiry.ArchiveConfig{Filter: filter, Dir: dir, Batch: 50, Software: "a test"})
	if err != nil {
		tb.Fatal(err)
	}
	return dir, m
}

func (tr *trail) apply(tb testing.TB, dir string) (expiry.Applied, error) {
	tb.Helper()
	return expiry.Apply(tb.Context(), tr.config(tb), expiry.ApplyConfig{Dir: dir})
}

func (tr *trail) mustApply(tb testing.TB, dir string) expiry.Applied {
	tb.Helper()
	applied, err := tr.apply(tb, dir)
	if err != nil {
		tb.Fatal(err)
	}
	return applied
}

func (tr *trail) verify(tb testing.TB) sealer.Verification {
	tb.Helper()
	result, err := sealer.Verify(tb.Context(), tr.db.Pool, sealer.VerifyConfig{Checkpoint: tr.config(tb).Checkpoint, Verifier: tr.verifier})
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

// mustVerify fails on a finding.
func (tr *trail) mustVerify(tb testing.TB) sealer.Verification {
	tb.Helper()
	result := tr.verify(tb)
	if len(result.Findings) > 0 {
		tb.Fatalf("findings: %+v", result.Findings)
	}
	return result
}

func (tr *trail) count(tb testing.TB) int64 {
	tb.Helper()
	var n int64
	if err := tr.db.Pool.QueryRow(tb.Context(), "SELECT count(*) FROM coordination_audit_records").Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (tr *trail) events(tb testing.TB, kind string) int64 {
	tb.Helper()
	var n int64
	if err := tr.db.Pool.QueryRow(tb.Context(), "SELECT count(*) FROM coordination_audit_seal_events WHERE kind = $1", kind).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

func execute(tb testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	tb.Helper()
	if _, err := pool.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// behindGuards runs a statement as a superuser who switches the guards off.
func (tr *trail) behindGuards(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	tables := []string{"records", "seal_events"}
	for _, table := range tables {
		execute(tb, tr.db.Pool, "ALTER TABLE coordination_audit_"+table+" DISABLE TRIGGER USER")
	}
	execute(tb, tr.db.Pool, sql, args...)
	for _, table := range tables {
		for _, trigger := range []string{"refuse_update_delete", "refuse_truncate"} {
			prefix := strings.TrimPrefix(table, "records")
			if prefix != "" {
				prefix += "_"
			}
			execute(tb, tr.db.Pool, "ALTER TABLE coordination_audit_"+table+" ENABLE ALWAYS TRIGGER coordination_audit_"+prefix+trigger)
		}
	}
}

func seqOf(tb testing.TB, tr *trail, id uuid.UUID) (seq int64) {
	tb.Helper()
	if err := tr.db.Pool.QueryRow(tb.Context(), "SELECT seq FROM coordination_audit_records WHERE audit_id = $1", id).Scan(&seq); err != nil {
		tb.Fatal(err)
	}
	return seq
}

func copyDir(tb testing.TB, from, to string) {
	tb.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		tb.Fatal(err)
	}
}
