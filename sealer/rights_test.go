package sealer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// as returns a pool whose sessions act as a new role, which is dropped with the test.
func (s *sealed) as(t *testing.T) (pool *pgxpool.Pool, role string) {
	t.Helper()
	role = "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	if _, err := s.pool.Exec(t.Context(), "CREATE ROLE "+role); err != nil {
		t.Fatal(err)
	}
	owner := s.pool // tests replace it
	t.Cleanup(func() {
		if _, err := owner.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
	config := s.pool.Config()
	config.ConnConfig.RuntimeParams["role"] = role
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, role
}

func (s *sealed) grant(t *testing.T, config auditmigrate.GrantConfig) {
	t.Helper()
	migrator := auditmigrate.New(s.pool.Config().ConnConfig, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if _, err := migrator.ApplyGrants(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

func mustBeForbidden(t *testing.T, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		_, err := pool.Exec(t.Context(), sql)
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "42501" {
			t.Errorf("%s: %v, want a lack of rights", sql, err)
		}
	}
}

const (
	insertRecord = `
	INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
	VALUES (gen_random_uuid(), 'e', 'COST', 'APPLIED', 'why', now())`

	insertTile = `
	INSERT INTO coordination_audit_seal_tiles (epoch, level, idx, through, root, leaves, hashes)
	VALUES (9, 0, 0, 1, decode(repeat('1f', 32), 'hex'), '', decode(repeat('2e', 8192), 'hex'))`
)

// changes are what no role of a grant may do.
func changes() []string {
	list := []string{
		"SELECT setval('coordination_audit_seal_events_seq_seq', 1)",
		"SELECT nextval('coordination_audit_records_seq_seq')",
		"INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body, made_at) VALUES (gen_random_uuid(), 'erased', 1, '', '2020-01-01')",
		"INSERT INTO coordination_audit_seal_events (event_id, seq, kind, epoch, body) OVERRIDING SYSTEM VALUE VALUES (gen_random_uuid(), 1, 'erased', 1, '')",
		"INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, created_at) " +
			"VALUES (gen_random_uuid(), 'e', 'COST', 'APPLIED', 'why', now(), '2020-01-01')",
		`INSERT INTO coordination_audit_seal_checkpoints (epoch, size, previous_size, root, leaves, marks, records_through, gaps_through, statements_through, events_through, awaited, note, made_at)
			VALUES (9, 1, 0, decode(repeat('1f', 32), 'hex'), '', '', 1, 0, 0, 0, '{}', 'a note', '2020-01-01')`,
	}
	for table, column := range map[string]string{
		"records": "reason", "gaps": "cause", "statements": "label", "seal_tiles": "through", "seal_checkpoints": "note", "seal_events": "body",
	} {
		table = "coordination_audit_" + table
		list = append(list, "UPDATE "+table+" SET "+column+" = "+column, "DELETE FROM "+table, "TRUNCATE "+table, "ALTER TABLE "+table+" DISABLE TRIGGER ALL")
	}
	return list
}

func TestSealerRights(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	pool, role := s.as(t)
	s.grant(t, auditmigrate.GrantConfig{Sealers: []string{role}})
	owner := s.pool
	for range 2 { // the second sealer resumes the log
		s.persist(t, 300)
		s.pool = pool
		s.once(t)
		s.pool = owner
	}
	s.mustVerify(t, 600)
	mustBeForbidden(t, pool, append(changes(), insertRecord)...)
}

// Without the rights of a sealer, nothing is signed, and the error says what is missing.
func TestReaderCannotSeal(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	pool, role := s.as(t)
	s.grant(t, auditmigrate.GrantConfig{Readers: []string{role}})
	s.persist(t, 3)
	s.pool = pool
	_, err := s.sealer(t).Once(t.Context())
	if err == nil || !strings.Contains(err.Error(), "grant this role INSERT and SELECT on coordination_audit_seal_") || !strings.Contains(err.Error(), "(migrate grants --sealer ROLE --apply)") {
		t.Errorf("%v, want the right that is missing and what grants it", err)
	}
	_, err = s.sealer(t).OpenEpoch(t.Context(), "a test")
	if err == nil || !strings.HasSuffix(err.Error(), "grant this role INSERT and SELECT on coordination_audit_seal_events (migrate grants --sealer ROLE --apply)") {
		t.Errorf("%v, want the right that is missing and what grants it", err)
	}
	if signed, err := s.export.Last(t.Context()); err != nil || signed != nil {
		t.Errorf("exported %q, error %v; want nothing", signed, err)
	}
}

// The error of a role that may neither seal nor read names the grant of what was tried: another
// one would take away what a role has.
func TestMissingRightNamesItsGrant(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 3)
	s.once(t)
	owner := s.pool
	s.pool, _ = s.as(t)
	_, sealed := s.sealer(t).Once(t.Context())
	_, proved := sealer.Prove(t.Context(), s.pool, "", uuid.New())
	_, described := sealer.Describe(t.Context(), s.pool, "")
	for what, err := range map[string]error{"--sealer ROLE": sealed, "--reader ROLE": errors.Join(proved, described)} {
		if err == nil || strings.Count(err.Error(), "(migrate grants "+what+" --apply") != strings.Count(err.Error(), "SQLSTATE 42501") {
			t.Errorf("%v, want migrate grants %s", err, what)
		}
	}
	s.pool = owner
	fixture.MustExec(t, owner, "ALTER TABLE coordination_audit_seal_checkpoints ENABLE ROW LEVEL SECURITY")
	pool, role := s.as(t)
	fixture.MustExec(t, owner, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+role)
	if _, err := sealer.Prove(t.Context(), pool, "", uuid.New()); err == nil || strings.Contains(err.Error(), "grant") || !strings.Contains(err.Error(), "DISABLE ROW LEVEL SECURITY") {
		t.Errorf("%v, want row-level security to be named", err)
	}
}

func TestReaderVerifiesAndProves(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	pool, role := s.as(t)
	s.grant(t, auditmigrate.GrantConfig{Readers: []string{role}})
	recs := s.persist(t, 300)
	s.once(t)

	s.pool = pool
	s.mustVerify(t, 300)
	for _, rec := range recs[:3] {
		proof, err := sealer.Prove(t.Context(), pool, "", rec.AuditID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proof.Verify(logName, s.verifier); err != nil {
			t.Error(err)
		}
	}
	mustBeForbidden(t, pool, append(changes(), insertRecord, insertTile)...)
}

// A service needs nothing of the seal.
func TestWriterHasNoSeal(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	pool, role := s.as(t)
	s.grant(t, auditmigrate.GrantConfig{Writers: []string{role}})
	mustBeForbidden(t, pool, append(changes(), insertTile, "SELECT * FROM coordination_audit_seal_tiles", "SELECT * FROM coordination_audit_seal_checkpoints",
		"SELECT * FROM coordination_audit_seal_events", "SELECT last_value FROM coordination_audit_seal_events_seq_seq")...)
}
