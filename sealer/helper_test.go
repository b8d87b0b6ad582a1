package sealer_test

import (
	"crypto/rand"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

const logName = "audit.example/trail"

// sealed is a trail with a log.
type sealed struct {
	pool     *pgxpool.Pool
	url      string
	signer   note.Signer
	verifier note.Verifier
	export   sealer.Exporter
	dir      string
	newPlace bool
}

func newSealed(tb testing.TB) *sealed {
	tb.Helper()
	return sealedOn(tb, testdb.New(tb))
}

func sealedOn(tb testing.TB, db *testdb.DB) *sealed {
	tb.Helper()
	s := &sealed{pool: db.Pool, url: db.URL, dir: tb.TempDir()}
	private, public, err := seal.GenerateKey(rand.Reader, logName)
	if err != nil {
		tb.Fatal(err)
	}
	if s.signer, err = note.NewSigner(private); err != nil {
		tb.Fatal(err)
	}
	if s.verifier, err = note.NewVerifier(public); err != nil {
		tb.Fatal(err)
	}
	s.export = sealer.Directory(s.dir)
	return s
}

func (s *sealed) config() sealer.Config {
	return sealer.Config{
		Signer: s.signer, Export: s.export, Interval: 10 * time.Millisecond, Patience: 200 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler), NewPlace: s.newPlace,
	}
}

func (s *sealed) sealer(tb testing.TB) *sealer.Sealer {
	tb.Helper()
	made, err := sealer.New(s.pool, s.config())
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func (s *sealed) once(tb testing.TB) int64 {
	tb.Helper()
	n, err := s.sealer(tb).Once(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// persist stores records and returns them.
func (s *sealed) persist(tb testing.TB, count int) []audit.Record {
	tb.Helper()
	recs := make([]audit.Record, count)
	for i := range recs {
		recs[i] = fixture.NewRecord()
	}
	store := coordaudit.New(s.pool, patient())
	for first := 0; first < count; first += 1000 {
		if _, err := store.PersistMany(tb.Context(), recs[first:min(first+1000, count)]); err != nil {
			tb.Fatal(err)
		}
	}
	return recs
}

// checkpoint returns the last exported one.
func (s *sealed) checkpoint(tb testing.TB) []byte {
	tb.Helper()
	signed, err := s.export.Last(tb.Context())
	if err != nil || signed == nil {
		tb.Fatalf("no checkpoint was exported: %v", err)
	}
	return signed
}

func (s *sealed) verify(tb testing.TB) sealer.Verification {
	tb.Helper()
	return s.verifyAgainst(tb, s.checkpoint(tb))
}

func (s *sealed) verifyAgainst(tb testing.TB, checkpoint []byte) sealer.Verification {
	tb.Helper()
	result, err := sealer.Verify(tb.Context(), s.pool, sealer.VerifyConfig{
		Checkpoint: checkpoint, Verifier: s.verifier, Cluster: os.Getenv(testdb.ClusterVariable) != "",
	})
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

// mustVerify fails if the trail is not as it was sealed.
func (s *sealed) mustVerify(tb testing.TB, leaves int64) {
	tb.Helper()
	result := s.verify(tb)
	if len(result.Findings) > 0 || result.Verified != leaves || result.Checkpoint.Size != leaves {
		tb.Fatalf("%d of %d leaves verified, want %d; findings: %+v", result.Verified, result.Checkpoint.Size, leaves, result.Findings)
	}
}

// superuser runs statements as one who goes past the guards.
func (s *sealed) superuser(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	tx, err := s.pool.Begin(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := tx.Exec(tb.Context(), "SET LOCAL citus.enable_unsafe_triggers = on"); err != nil { // a name without an effect elsewhere
		tb.Fatal(err)
	}
	for _, table := range []string{"records", "gaps", "statements", "seal_tiles", "seal_checkpoints", "seal_events", "seal_leaves"} {
		if _, err := tx.Exec(tb.Context(), "ALTER TABLE IF EXISTS coordination_audit_"+table+" DISABLE TRIGGER USER"); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := tx.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatal(err)
	}
	if err := tx.Commit(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// patient is a store's configuration for a busy machine.
func patient() coordaudit.Config {
	config := fixture.Quiet()
	config.Timeout = time.Minute
	return config
}

// dropChecks lets a superuser write any value.
func (s *sealed) dropChecks(tb testing.TB) {
	tb.Helper()
	s.superuser(tb, `DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = 'coordination_audit_records'::regclass LOOP
			EXECUTE format('ALTER TABLE coordination_audit_records DROP CONSTRAINT %I', name);
		END LOOP; END $$`)
}
