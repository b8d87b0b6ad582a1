package transaction

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// forgetting are ways to make the server, pgx or both forget what a session has prepared. All of them
// work inside a transaction.
func forgetting() map[string]func(context.Context, *pgx.Conn) error {
	return map[string]func(context.Context, *pgx.Conn) error{
		"DEALLOCATE ALL": func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "DEALLOCATE ALL")
			return err
		},
		"DEALLOCATE by name": func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `DO $$ DECLARE s text; BEGIN
				FOR s IN SELECT name FROM pg_prepared_statements LOOP EXECUTE format('DEALLOCATE %I', s); END LOOP; END $$`)
			return err
		},
		"Conn.DeallocateAll": func(ctx context.Context, conn *pgx.Conn) error { return conn.DeallocateAll(ctx) },
		"Conn.Deallocate": func(ctx context.Context, conn *pgx.Conn) error {
			rows, err := conn.Query(ctx, "SELECT name FROM pg_prepared_statements", pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				return err
			}
			names, err := pgx.CollectRows(rows, pgx.RowTo[string])
			for _, name := range names {
				err = errors.Join(err, conn.Deallocate(ctx, name))
			}
			return err
		},
	}
}

// The session forgets its statements between two calls in one transaction.
func survivesForgetting(t *testing.T, db frame.Database) {
	for name, forget := range forgetting() {
		for _, mode := range db.ExecModes() {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := db.Another(t)
				pool := frame.PoolInMode(t, db, mode)
				store := coordaudit.New(pool, fixture.Quiet())
				for range 3 {
					tx := frame.CallersTx(t, pool)
					for range 3 {
						for _, c := range frame.TxCalls(store, tx) {
							rec := fixture.NewRecord()
							c.WantOutcome(t, rec, audit.Persisted)
							c.WantOutcome(t, rec, audit.AlreadyPersisted)
						}
						if err := forget(t.Context(), tx.Conn()); err != nil {
							t.Fatal(err)
						}
					}
					frame.Commit(t, tx)
				}
				if n := fixture.CountRecords(t, db.Pool); n != 18 {
					t.Errorf("%d rows, want 18", n)
				}
			})
		}
	}
}

// forgetful returns a pool of one connection whose hook makes it forget after each use.
func forgetful(t *testing.T, db frame.Database, mode pgx.QueryExecMode, forget func(context.Context, *pgx.Conn) error) *pgxpool.Pool {
	t.Helper()
	return fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.ConnConfig.DefaultQueryExecMode = mode
		config.MaxConns = 1
		config.AfterRelease = func(conn *pgx.Conn) bool { return forget(context.Background(), conn) == nil }
	})
}

// A hook of the pool makes the session forget between two uses, and no call needs to be repeated.
func forgetfulPoolServes(t *testing.T, db frame.Database) {
	ways := forgetting()
	ways["DISCARD ALL"] = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DISCARD ALL")
		return err
	}
	for name, forget := range ways {
		for _, mode := range db.ExecModes() {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := db.Another(t)
				pool := forgetful(t, db, mode, forget)
				store := coordaudit.New(pool, fixture.Quiet())
				for range 3 {
					persistInEveryWay(t, store, pool)
					if counts, err := store.PersistManyFast(t.Context(), fixture.NewRecords(2)); err != nil || counts.Persisted != 2 {
						t.Errorf("PersistManyFast() = %+v, %v", counts, err)
					}
					readInEveryWay(t, store)
				}
				want := audit.Counts{Attempts: 42, Persisted: 24, AlreadyPersisted: 12, Failed: 6}
				if got := store.Stats().Total(); got != want {
					t.Errorf("counts %+v, want %+v", got, want)
				}
			})
		}
	}
}

// readInEveryWay makes reading calls that pgx prepares, and those that are planned for their values.
func readInEveryWay(t *testing.T, store *coordaudit.Store) {
	t.Helper()
	everything := audit.Query{Scope: audit.AllTenants()}
	one := audit.Query{Scope: audit.Tenant("acme"), EnvelopeIDs: []string{"retry-backoff-7"}}
	read := func(store *coordaudit.Store) error {
		_, err := store.List(t.Context(), everything)
		_, filtered := store.List(t.Context(), one)
		_, counted := store.Count(t.Context(), everything)
		_, broken := store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: audit.AllTenants()})
		return errors.Join(err, filtered, counted, broken)
	}
	if err := read(store); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := store.AtOneMoment(t.Context(), read); err != nil {
		t.Errorf("reading at one moment: %v", err)
	}
}

// What was prepared is forgotten, and then the statement cannot be prepared again: its table is locked,
// and later missing.
func survivesForgottenTable(t *testing.T, db frame.Database) {
	for name, forget := range forgetting() {
		for _, mode := range db.ExecModes() {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := db.Another(t)
				pool := forgetful(t, db, mode, forget)
				store := coordaudit.New(pool, frame.Impatient())
				inTx := func(check func(frame.Call)) {
					tx := frame.CallersTx(t, pool)
					for _, c := range frame.TxCalls(store, tx) {
						check(c)
					}
					frame.Commit(t, tx)
				}
				for range 2 {
					inTx(func(c frame.Call) { c.WantOutcome(t, fixture.NewRecord(), audit.Persisted) })
				}
				if !db.Distributed { // there, a call that is cancelled may take the caller's transaction with it
					release := frame.LockTable(t, db)
					inTx(func(c frame.Call) { _ = c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrUnavailable) })
					release()
				}
				fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records RENAME TO elsewhere")
				inTx(func(c frame.Call) { _ = c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused) })
				fixture.MustExec(t, db.Pool, "ALTER TABLE elsewhere RENAME TO coordination_audit_records")
				inTx(func(c frame.Call) { c.WantOutcome(t, fixture.NewRecord(), audit.Persisted) })
			})
		}
	}
}

// The caller's own transaction changes the table between two calls.
func survivesOwnChange(t *testing.T, db frame.Database) {
	changes := []string{
		"ALTER TABLE coordination_audit_records ADD COLUMN note text",
		"ALTER TABLE coordination_audit_records ALTER COLUMN created_at TYPE timestamptz(3)",
		"ALTER TABLE coordination_audit_records ALTER COLUMN created_at TYPE text, ALTER COLUMN created_at SET DEFAULT 'today'",
		"ALTER TABLE coordination_audit_records ALTER COLUMN active_envelopes_count TYPE smallint",
		"ALTER TABLE coordination_audit_records ALTER COLUMN active_envelopes_count TYPE integer",
	}
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			frame.Unguarded(t, db.Pool)
			pool := frame.PoolInMode(t, db, mode)
			store := coordaudit.New(pool, fixture.Quiet())
			tx := frame.CallersTx(t, pool)
			calls := frame.TxCalls(store, tx)
			for _, change := range append(changes, "") {
				for range 2 {
					for _, c := range calls {
						c.WantOutcome(t, fixture.NewRecord(), audit.Persisted)
					}
				}
				if _, err := tx.Exec(t.Context(), change); err != nil {
					t.Fatal(err)
				}
			}
			many := fixture.NewRecord()
			many.ActiveEnvelopesCount = 70_000
			calls[0].WantOutcome(t, many, audit.Persisted)
			frame.Commit(t, tx)
		})
	}
}

// A pool whose configuration switches pgx's caches off can use none of the modes that have one.
func uncachedPoolServes(t *testing.T, db frame.Database) {
	for _, setting := range []string{
		"statement_cache_capacity=0",
		"statement_cache_capacity=0&description_cache_capacity=0",
		"default_query_exec_mode=cache_describe&description_cache_capacity=0",
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := fixture.OpenPool(t, fixture.WithSetting(db.URL, setting), func(config *pgxpool.Config) { config.MaxConns = 1 })
			store := coordaudit.New(pool, fixture.Quiet())
			for range 2 {
				persistInEveryWay(t, store, pool)
				readInEveryWay(t, store)
			}
		})
	}
}

// A transaction may end while its connection is in another one.
func finishedInsideIsReported(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	for name, end := range map[string]func(pgx.Tx) error{
		"committed":   func(tx pgx.Tx) error { return tx.Commit(t.Context()) },
		"rolled back": func(tx pgx.Tx) error { return tx.Rollback(t.Context()) },
	} {
		outer := frame.CallersTx(t, db.Pool)
		for range 2 {
			nested, err := outer.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			frame.TxCalls(store, nested)[0].WantOutcome(t, fixture.NewRecord(), audit.Persisted)
			if err := end(nested); err != nil {
				t.Fatal(err)
			}
			for _, c := range frame.TxCalls(store, nested) {
				if _, err := c.Persist(t.Context(), fixture.NewRecord()); !errors.Is(err, audit.ErrTxUnusable) {
					t.Errorf("%s in one that was %s: %v, want ErrTxUnusable", c.Name, name, err)
				}
			}
		}
		frame.Commit(t, outer)
	}
}
