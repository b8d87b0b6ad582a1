package doctor

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/pgbouncer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// sealed is a trail with a log.
type sealed struct {
	pool     *pgxpool.Pool
	signer   note.Signer
	verifier note.Verifier
	export   sealer.Exporter
}

func newKey(t *testing.T) (note.Signer, note.Verifier) {
	t.Helper()
	private, public, err := seal.GenerateKey(rand.Reader, "audit.example/trail")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return signer, verifier
}

func newSealed(t *testing.T, pool *pgxpool.Pool) *sealed {
	t.Helper()
	s := &sealed{pool: pool, export: sealer.Directory(t.TempDir())}
	s.signer, s.verifier = newKey(t)
	return s
}

func (s *sealed) seal(t *testing.T) {
	t.Helper()
	made, err := sealer.New(s.pool, sealer.Config{Signer: s.signer, Export: s.export, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (s *sealed) examine(t *testing.T, set func(*examination)) *examination {
	t.Helper()
	return examine(t, s.pool, func(x *examination) {
		x.config.LastExported, x.config.Key = s.export.Last, s.verifier
		if set != nil {
			set(x)
		}
	})
}

func TestSealingThatIsBehindIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	s := newSealed(t, db.Pool)
	fixture.MustExec(t, db.Pool, insertRecords)
	examine(t, db.Pool, nil).mustFind(t, "seal_lag", Notice, "nothing is sealed", "coordaudit seal")
	s.seal(t)
	at := func(lag time.Duration) *examination { return s.examine(t, func(x *examination) { x.limits.lag = lag }) }
	at(0).mustBeQuiet(t, "seal_lag") // everything is sealed
	fixture.MustExec(t, db.Pool, insertRecords)
	at(time.Hour).mustBeQuiet(t, "seal_lag")
	at(time.Nanosecond).mustFind(t, "seal_lag", Warning, "the log of epoch 1", "the oldest row that is not sealed", "start coordaudit seal")

	role := newRole(t, db)
	other := fixture.OpenPool(t, fixture.WithSetting(db.URL, "role="+role), nil)
	examine(t, other, nil).mustFind(t, "seal_lag", Unchecked, "not done")
	other.Close()
}

func TestKeyOfTheLogAges(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	x := examine(t, db.Pool, nil)
	x.mustBeQuiet(t, "seal_key")
	checkpoint := func(epoch, key, age string) {
		t.Helper()
		signature := base64.StdEncoding.EncodeToString([]byte(key + strings.Repeat("s", 64)))
		fixture.MustExec(t, db.Pool, `
			INSERT INTO coordination_audit_seal_checkpoints (epoch, size, previous_size, root, leaves, marks, records_through, gaps_through, statements_through, events_through, awaited, note, made_at)
			SELECT `+epoch+`, n, n - 1, decode(repeat('1f', 32), 'hex'), '', '', 0, 0, 0, 0, '{}', E'a log\n1\nroot\n\n— a.log `+signature+`\n', now() - interval '`+age+`' + n * interval '1 second'
			FROM generate_series(1, 5) AS n`)
	}
	checkpoint("1", "old!", "900 days")
	checkpoint("2", "new!", "300 days")
	x.mustBeQuiet(t, "seal_key")
	x.limits.keyAge = 200 * 24 * time.Hour
	x.mustFind(t, "seal_key", Notice, "key a.log+6e657721", "300 days", "seal keygen")
	checkpoint("3", "new!", "10 days") // another epoch of the same key
	x.mustFind(t, "seal_key", Notice, "key a.log+6e657721", "300 days")
	checkpoint("4", "now!", "5 days")
	x.mustBeQuiet(t, "seal_key")
}

func TestExportsAreComparedWithTheLog(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	s := newSealed(t, db.Pool)
	s.examine(t, nil).mustFind(t, "export", Warning, "there is none", "--checkpoints")
	examine(t, db.Pool, nil).mustBeQuiet(t, "export") // no one asked
	fixture.MustExec(t, db.Pool, insertRecords)
	s.seal(t)
	s.examine(t, func(x *examination) { x.limits.export = 0 }).mustBeQuiet(t, "export")

	lagging := s.export
	s.export = sealer.Directory(t.TempDir())
	first, err := lagging.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.export.Export(t.Context(), 1, sizeOf(t, first), first); err != nil {
		t.Fatal(err)
	}
	fixture.MustExec(t, db.Pool, insertRecords)
	s.seal(t)
	s.export = lagging
	s.examine(t, nil).mustBeQuiet(t, "export")
	s.examine(t, func(x *examination) { x.limits.export = 0 }).mustFind(t, "export", Warning, "without an export", "start coordaudit seal again")

	_, stranger := newKey(t)
	s.examine(t, func(x *examination) { x.config.Key = stranger }).mustFind(t, "export", Error, "it cannot be trusted")
	s.examine(t, func(x *examination) {
		x.config.LastExported = func(context.Context) ([]byte, error) { return []byte("nothing"), nil }
	}).mustFind(t, "export", Error, "it cannot be trusted")
	s.examine(t, func(x *examination) {
		x.config.LastExported = func(context.Context) ([]byte, error) { return nil, errors.New("the disk is away") }
	}).mustFind(t, "export", Unchecked, "the disk is away")

	const table = "coordination_audit_seal_checkpoints"
	fixture.MustExec(t, db.Pool, "ALTER TABLE "+table+" DISABLE TRIGGER USER; UPDATE "+table+" SET root = decode(repeat('00', 32), 'hex')")
	s.examine(t, nil).mustFind(t, "export", Error, "another root at that size", "coordaudit verify")
	fixture.MustExec(t, db.Pool, "DELETE FROM "+table)
	s.examine(t, nil).mustFind(t, "export", Error, "set back, or replaced", "--new-epoch")
}

func sizeOf(t *testing.T, signed []byte) int64 {
	t.Helper()
	text, _, _ := strings.Cut(string(signed), "\n\n")
	checkpoint, err := seal.ParseCheckpointText(text + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return checkpoint.Size
}

func TestSpoolsAreLookedAtFromOutside(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	path := filepath.Join(t.TempDir(), "spool")
	opened, _, err := spool.Open(spool.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	later := func(wait time.Duration) *examination {
		return examine(t, db.Pool, func(x *examination) {
			x.config.Spools, x.now = []string{path}, func() time.Time { return time.Now().Add(wait) }
		})
	}
	later(time.Hour).mustBeQuiet(t, "spool") // it is empty
	rec := fixture.NewRecord()
	if err := opened.Append([]audit.Record{rec}); err != nil {
		t.Fatal(err)
	}
	later(0).mustBeQuiet(t, "spool") // a Recorder is at work, and was a moment ago
	later(time.Hour).mustFind(t, "spool", Error, "spool "+path, "of records wait since", "60 min", "coordaudit import")
	if err := opened.Reject(&rec, "it is refused", "23514"); err != nil {
		t.Fatal(err)
	}
	later(0).mustFind(t, "spool", Error, "that the database refused", "rejected/")

	for _, file := range []string{"torn/0000000001-5", "later/0000000001.jsonl", "gaps.jsonl", "statements.jsonl", "mine.jsonl"} {
		name := filepath.Join(path, file)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("text\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	x := later(time.Hour)
	x.mustFind(t, "spool", Warning, "1 file in torn/")
	x.mustFind(t, "spool", Warning, "in later/, of a newer release")
	x.mustFind(t, "spool", Warning, "gaps of ")
	x.mustFind(t, "spool", Warning, "statements of ", "stays open")
	x.mustFind(t, "spool", Notice, "mine.jsonl")
	x.mustFind(t, "spool", Warning, "mode 0755", "chmod 0700")

	missing := examine(t, db.Pool, func(x *examination) { x.config.Spools = []string{filepath.Join(path, "nowhere")} })
	missing.mustFind(t, "spool", Unchecked, "nowhere", "name the SpoolDir")
}

func TestPoolerOfTransactionsIsNoticed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	examine(t, db.Pool, nil).mustBeQuiet(t, "pooler")
	for mode, want := range map[string]Severity{"transaction": Warning, "statement": "", "session": Notice} {
		if want == "" {
			continue // it refuses the transactions of every check
		}
		pooler := pgbouncer.Start(t, db.URL, pgbouncer.Config{PoolMode: mode})
		pool := fixture.OpenPool(t, pooler.URL(pgx.QueryExecModeExec), nil)
		x := examine(t, pool, nil)
		x.mustFind(t, "pooler", want, "this database URL", "docs/deploy.md")
		for _, check := range checks() {
			for _, f := range x.run(t, check.Name) {
				if f.Severity == Unchecked {
					t.Errorf("pooled by %s: %v", mode, f)
				}
			}
		}
		pool.Close()
	}
}

func TestClocksThatDisagreeAreNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	fixture.MustExec(t, db.Pool, insertRecords)
	examine(t, db.Pool, nil).mustBeQuiet(t, "clock")
	for shift, direction := range map[time.Duration]string{time.Hour: "behind", -time.Hour: "ahead of"} {
		x := examine(t, db.Pool, func(x *examination) { x.now = func() time.Time { return time.Now().Add(shift) } })
		x.mustFind(t, "clock", Warning, "the server's clock", "60 min "+direction+" this machine's", "NTP")
	}
	fixture.MustExec(t, db.Pool, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
		VALUES (gen_random_uuid(), 'envelope', 'COST', 'APPLIED', 'a reason', now() + interval '30 s')`)
	examine(t, db.Pool, nil).mustFind(t, "clock", Warning, "the clocks of services", "up to 30 s after they were stored", "NTP")
}
