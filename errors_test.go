package coordaudit_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// An SQLSTATE means that a record is refused for good, that the database is unavailable, or that the
// outcome is unknown. It also decides whether the call retries at once.
func TestSQLStates(t *testing.T) {
	t.Parallel()
	type meaning struct {
		codes   []string
		own, tx error // in a transaction of its own, in the caller's
		retried bool
	}
	db := testdb.New(t)
	for _, sql := range []string{
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as the test asks' USING ERRCODE = NEW.envelope_id; END $$`,
		`CREATE TRIGGER refuse BEFORE INSERT ON coordination_audit_records FOR EACH ROW WHEN (NEW.reason = 'refuse') EXECUTE FUNCTION refuse()`,
	} {
		if _, err := db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	config := fixture.Quiet()
	config.Timeout, config.RetryDelay, config.Retries = time.Minute, time.Millisecond, 1 // how fast the machine is, is not tested here
	store := coordaudit.New(db.Pool, config)
	for _, m := range []meaning{
		{ // goes away by itself, or with another plan or connection
			codes: []string{"0A000", "40001", "40P01", "55P03", "53300", "57P01", "57P02", "57P03", "08000", "08003", "08006"},
			own:   audit.ErrUnavailable, tx: audit.ErrUnavailable, retried: true,
		},
		{ // the server cannot do it now, and a retry at once is too early
			codes: []string{"25006", "08001", "08004", "08P01", "40000", "40002", "53000", "53100", "53200", "53400", "57000", "57014", "57P04", "57P05", "58000", "58030", "58P01"},
			own:   audit.ErrUnavailable, tx: audit.ErrUnavailable,
		},
		{codes: []string{"40003", "08007"}, own: audit.ErrOutcomeUnknown, tx: audit.ErrUnavailable},
		{codes: []string{"XX000"}, own: audit.ErrOutcomeUnknown, tx: audit.ErrRefused},
		{
			codes: []string{
				"22000", "22001", "22003", "22P05", "23000", "23502", "23503", "23505", "23514", "23P01", "42501", "42P01", "42703", "44000", "54000", "54001",
				"P0001", "P0002", "25001", "25P01", "55000", "55006", "26000", "42P05", "28000", "3D000", "3F000", "2F000", "38000", "XX001", "HV000", "ZZ123", "05000",
			},
			own: audit.ErrRefused, tx: audit.ErrRefused,
		},
	} {
		for _, code := range m.codes {
			rec := fixture.NewRecord()
			rec.EnvelopeID, rec.Reason = code, "refuse"
			attempts := 1
			if m.retried {
				attempts = 2
			}
			_, err := store.Persist(t.Context(), rec)
			wantFailed(t, "Persist", code, err, m.own, attempts)
			if err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
				_, err := store.PersistTx(context.WithoutCancel(t.Context()), tx, rec)
				wantFailed(t, "PersistTx", code, err, m.tx, 1)
				return nil
			}); err != nil {
				t.Errorf("%s: the caller's transaction: %v", code, err)
			}
		}
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}

func wantFailed(t *testing.T, call, code string, err, kind error, attempts int) {
	t.Helper()
	failed, ok := errors.AsType[*audit.PersistError](err)
	if !ok || !errors.Is(err, kind) || failed.SQLState != code || failed.Attempts != attempts {
		t.Errorf("%s() under %s = %v, want %v after %d attempts", call, code, err, kind, attempts)
		return
	}
	for _, other := range []error{audit.ErrRefused, audit.ErrUnavailable, audit.ErrOutcomeUnknown, audit.ErrConflict, audit.ErrTxLost, audit.ErrTxUnusable} {
		if !errors.Is(kind, other) && errors.Is(err, other) {
			t.Errorf("%s() under %s is %v and %v alike", call, code, kind, other)
		}
	}
}

func TestErrorsHidePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://user:hunter2@[::1/db", "postgres://user:hunter2@host:port/db", "postgres://user:hunter2@host/db?sslmode=odd",
		"host=/nowhere password=hunter2 port=x", "postgres://user:hunter2", "host=a password=my hunter2 port=1",
		"postgres://user:my@hunter2@host/db", "postgres://user:hun%zzter2@host/db",
	} {
		if _, err := coordaudit.Open(t.Context(), url, fixture.Quiet()); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("Open(%q) = %v, want an error without the password", url, err)
		}
	}
	store := fixture.OpenStore(t, "postgres://user:hunter2@127.0.0.1:1/db", fixture.Quiet())
	if _, err := store.Persist(t.Context(), fixture.NewRecord()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Persist() = %v, want an error without the password", err)
	}
}

// A connection can be refused with the same SQLSTATE as a statement. No grant on a table helps then.
func TestRefusedConnectionNamesRight(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:12])
	fixture.MustExec(t, db.Pool, "CREATE ROLE "+role+" LOGIN PASSWORD 'of the test'")
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.Background(), "DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
	fixture.MustExec(t, db.Pool, "REVOKE CONNECT ON DATABASE "+db.Pool.Config().ConnConfig.Database+" FROM PUBLIC")
	for want, prepare := range map[string]func(*pgxpool.Config){
		"grant this role CONNECT on the database": func(*pgxpool.Config) {},
		"correct or remove this parameter in the database URL, or in its options": func(config *pgxpool.Config) {
			config.ConnConfig.Database = "postgres"
			config.ConnConfig.RuntimeParams["session_replication_role"] = "replica"
		},
	} {
		config := db.Pool.Config()
		config.ConnConfig.User, config.ConnConfig.Password = role, "of the test"
		prepare(config)
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		store := coordaudit.New(pool, fixture.Quiet())
		_, read := store.List(t.Context(), audit.Query{Scope: audit.AllTenants()})
		_, stored := store.Persist(t.Context(), fixture.NewRecord())
		_, migrated := auditmigrate.New(config.ConnConfig, auditmigrate.Config{}).Status(t.Context())
		for what, err := range map[string]error{"read": read, "stored": stored, "migrated": migrated} {
			if err == nil || !strings.HasSuffix(err.Error(), want) || strings.Contains(err.Error(), "migrate grants") {
				t.Errorf("%s: %v, want %s", what, err, want)
			}
		}
	}
}
