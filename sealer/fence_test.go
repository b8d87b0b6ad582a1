package sealer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

func (s *sealed) persistTx(t *testing.T, tx pgx.Tx) {
	t.Helper()
	if _, err := coordaudit.New(nil, patient()).PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
		t.Fatal(err)
	}
}

func (s *sealed) begin(t *testing.T) pgx.Tx {
	t.Helper()
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	return tx
}

// The sealer waits for a transaction that has inserted a record.
func TestSealerWaitsForOpenTransaction(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	tx := s.begin(t)
	s.persistTx(t, tx)
	s.persist(t, 5)
	config := s.config()
	config.Patience = time.Minute
	waiting, err := sealer.New(s.pool, config)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := waiting.Once(t.Context()); done <- err }()
	for waiting.Stats().BlockedBy == "" {
		time.Sleep(time.Millisecond)
	}
	if by := waiting.Stats().BlockedBy; by != fmt.Sprintf("process %d", tx.Conn().PgConn().PID()) {
		t.Errorf("blocked by %q", by)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.mustVerify(t, 6)
}

// A transaction that outlives the patience holds no one up. Its records are sealed when it
// commits, also by another process, and never if it rolls back.
func TestSealerGoesAroundOpenTransaction(t *testing.T) {
	t.Parallel()
	for _, ended := range []string{"Commit", "Rollback"} {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/Restarted=%t", ended, restarted), func(t *testing.T) {
				t.Parallel()
				s := newSealed(t)
				tx := s.begin(t)
				s.persistTx(t, tx)
				s.persist(t, 300)
				s.persistTx(t, tx)
				s.persist(t, 5)
				if n := s.once(t); n != 305 {
					t.Fatalf("%d rows sealed, want 305", n)
				}
				s.mustVerify(t, 305)
				want := int64(305)
				if ended == "Commit" {
					want = 307
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				running := s.sealer(t)
				if !restarted {
					go func() { _ = running.Run(ctx) }()
					for running.Stats().Size != 305 {
						time.Sleep(time.Millisecond)
					}
				}
				end := tx.Rollback
				if ended == "Commit" {
					end = tx.Commit
				}
				if err := end(t.Context()); err != nil {
					t.Fatal(err)
				}
				if restarted {
					s.once(t)
				} else {
					s.persist(t, 1)
					want++
					for running.Stats().Size != want {
						time.Sleep(time.Millisecond)
					}
					stop()
				}
				s.mustVerify(t, want)
			})
		}
	}
}

// A late record has a proof like any other.
func TestLateRecordHasProof(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	tx := s.begin(t)
	rec := fixture.NewRecord()
	if _, err := coordaudit.New(nil, patient()).PersistTx(t.Context(), tx, rec); err != nil {
		t.Fatal(err)
	}
	s.persist(t, 600)
	s.once(t)
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := sealer.Prove(t.Context(), s.pool, "", rec.AuditID); !errors.Is(err, sealer.ErrNotSealed) {
		t.Errorf("before it is sealed: %v", err)
	}
	if result := s.verify(t); result.Awaited != 1 || len(result.Findings) != 0 {
		t.Errorf("before it is sealed: %+v", result)
	}
	s.once(t)
	s.persist(t, 600) // its tile gets full
	s.once(t)
	proof, err := sealer.Prove(t.Context(), s.pool, "", rec.AuditID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := proof.Verify(logName, s.verifier); err != nil {
		t.Error(err)
	}
	s.mustVerify(t, 1201)
	s.superuser(t, "UPDATE coordination_audit_records SET reason = 'another' WHERE audit_id = $1", rec.AuditID)
	wantFindings(t, s.verify(t), sealer.Edited, rec.AuditID)
	if _, err := sealer.Prove(t.Context(), s.pool, "", rec.AuditID); !errors.Is(err, sealer.ErrTampered) {
		t.Errorf("an edited record: %v", err)
	}
}

// Regardless of what writers do, each record that they committed is sealed once.
func TestEachRecordIsSealedOnce(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range 2 { // the second one waits
		running.Go(func() {
			config := s.config()
			config.Patience = 20 * time.Millisecond
			made, err := sealer.New(s.pool, config)
			if err != nil {
				t.Error(err)
				return
			}
			if err := made.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() { s.write(t, 100) })
	}
	writers.Wait()
	stop()
	running.Wait()
	s.once(t)
	s.mustVerify(t, int64(fixture.CountRecords(t, s.pool)))
}

// write commits, rolls back and delays transactions at random.
func (s *sealed) write(t *testing.T, count int) {
	t.Helper()
	for range count {
		tx, err := s.pool.Begin(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		for range 1 + rand.IntN(5) {
			if _, err := coordaudit.New(nil, patient()).PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		end := tx.Commit
		if rand.IntN(4) == 0 {
			end = tx.Rollback
		}
		if err := end(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// Where rows could appear below the fence, nothing is sealed, and the error says why.
func TestSealerRefusesWhereItCannotSeal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, want string }{
		"CachedSequence":  {"ALTER SEQUENCE coordination_audit_records_seq_seq CACHE 20", "CACHE 1"},
		"SequenceBehind":  {"SELECT setval('coordination_audit_records_seq_seq', 3)", "migrate repair"},
		"GapsBehind":      {"INSERT INTO coordination_audit_gaps (gap_id, seq, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown, first_audit_id, last_audit_id, lost_from, lost_until, cause) OVERRIDING SYSTEM VALUE VALUES (gen_random_uuid(), 9, 1, 0, 0, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), 'x')", "migrate repair"},
		"SequenceSetBack": {"DELETE FROM coordination_audit_records WHERE seq > 2; SELECT setval('coordination_audit_records_seq_seq', 2)", "open a new epoch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSealed(t)
			s.persist(t, 5)
			if name == "SequenceSetBack" {
				s.persist(t, 300)
				s.once(t)
				c.sql = strings.ReplaceAll(strings.ReplaceAll(c.sql, "> 2", "> 300"), ", 2)", ", 300)")
			}
			for sql := range strings.SplitSeq(c.sql, "; ") {
				s.superuser(t, sql)
			}
			_, err := s.sealer(t).Once(t.Context())
			if (!errors.Is(err, sealer.ErrCannotSeal) && !errors.Is(err, sealer.ErrTampered)) || (errors.Is(err, sealer.ErrCannotSeal) && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want one that says %q", err, c.want)
			}
		})
	}
}

// One sealer at a time seals a trail.
func TestSecondSealerIsRefused(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 1)
	ctx, stop := context.WithCancel(t.Context())
	first := s.sealer(t)
	done := make(chan error)
	go func() { done <- first.Run(ctx) }()
	for first.Stats().Size != 1 {
		time.Sleep(time.Millisecond)
	}
	if _, err := s.sealer(t).Once(t.Context()); !errors.Is(err, sealer.ErrSealedElsewhere) || !strings.Contains(err.Error(), "of role ") {
		t.Errorf("a second sealer: %v, want the first one named", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.once(t)
}

// Every role may take an advisory lock. Who takes the sealers' without a part in sealing is named,
// and is not taken for another sealer, which would be waited for in silence.
func TestStrangerWithTheLockIsNamed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 1)
	_, role := s.as(t)
	fixture.MustExec(t, s.pool, "ALTER ROLE "+role+" LOGIN PASSWORD 'of the test'")
	config := s.pool.Config().ConnConfig
	config.User, config.Password = role, "of the test"
	stranger, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Close(context.Background()) }() // closed below, or the test has failed
	var key int64
	if err := s.pool.QueryRow(t.Context(), `SELECT hashtextextended('coordaudit seal', 'coordination_audit_seal_tiles'::regclass::oid::bigint)`).Scan(&key); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Exec(t.Context(), "SELECT pg_advisory_lock($1)", key); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("process %d of role %s holds the lock and may not seal", stranger.PgConn().PID(), role)
	if _, err := s.sealer(t).Once(t.Context()); err == nil || errors.Is(err, sealer.ErrSealedElsewhere) || !strings.Contains(err.Error(), want) {
		t.Errorf("Once() = %v, want %q", err, want)
	}
	if _, err := stranger.Exec(t.Context(), "SELECT pg_advisory_unlock_all()"); err != nil {
		t.Fatal(err)
	}
	s.once(t)
}

// Nothing is built on a checkpoint that is not exported. When the place is writable again, it is
// exported first.
func TestFailedExportStopsSealing(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 3)
	if err := errors.Join(os.Remove(s.dir), os.WriteFile(s.dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.sealer(t).Once(t.Context()); !errors.Is(err, sealer.ErrExport) || !strings.Contains(err.Error(), s.dir) {
			t.Errorf("%v, want one that names %s", err, s.dir)
		}
		s.persist(t, 1)
	}
	if n := fixture.QueryInt(t, s.pool, "SELECT count(*) FROM coordination_audit_seal_checkpoints"); n > 1 {
		t.Errorf("%d checkpoints are stored", n)
	}
	if err := errors.Join(os.Remove(s.dir), os.Mkdir(s.dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	s.once(t)
	s.mustVerify(t, 6)
	files, err := filepath.Glob(filepath.Join(s.dir, "epoch-1", "*", "*"))
	if err != nil || len(files) == 0 {
		t.Errorf("files %v: %v", files, err)
	}
}

// A session whose settings are hostile seals the same.
func TestHostileSettings(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 300)
	config := s.pool.Config().Copy()
	maps.Copy(config.ConnConfig.RuntimeParams, map[string]string{
		"default_transaction_isolation": "serializable", "default_transaction_read_only": "on", "client_encoding": "LATIN1", "bytea_output": "escape",
		"DateStyle": "German", "TimeZone": "Asia/Kathmandu", "statement_timeout": "50", "synchronous_commit": "off", "search_path": `"$user", public, pg_catalog`,
	})
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	hostile, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hostile.Close)
	made, err := sealer.New(hostile, s.config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := made.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.mustVerify(t, 300)
}

// A record that was inserted among sealed ones does not wait to be sealed, and its proof says
// what a verification says. One that comes after them waits.
func TestInsertedRecordIsNotUnsealed(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 10)
	s.once(t)
	forged := uuid.New()
	s.superuser(t, `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, active_envelopes_count, seq)
		OVERRIDING SYSTEM VALUE VALUES ($1, 'forged', 'COST', 'APPLIED', 'x', now(), 0, -5)`, forged)
	wantFindings(t, s.verify(t), sealer.Inserted, forged)
	if _, err := sealer.Prove(t.Context(), s.pool, "", forged); !errors.Is(err, sealer.ErrTampered) || errors.Is(err, sealer.ErrNotSealed) {
		t.Errorf("an inserted record: %v", err)
	}
	late := s.persist(t, 1)[0]
	if _, err := sealer.Prove(t.Context(), s.pool, "", late.AuditID); !errors.Is(err, sealer.ErrNotSealed) {
		t.Errorf("a record after the last checkpoint: %v", err)
	}
}
