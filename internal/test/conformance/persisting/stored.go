package persisting

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func discardedRowFails(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) { config.ConnConfig.DefaultQueryExecMode = mode })
			store := coordaudit.New(pool, fixture.Quiet())
			fixture.MustPersist(t, store, fixture.NewRecord())
			frame.BeforeInsert(t, db, "coordination_audit_records", "RETURN NULL;")
			tx := frame.CallersTx(t, pool)
			for range 2 {
				for _, c := range frame.EveryCall(store, tx) {
					failed := c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused)
					if !strings.Contains(failed.Error(), "trigger") || errors.Is(failed, audit.ErrOutcomeUnknown) {
						t.Errorf("%s() = %v, want it to name the cause", c.Name, failed)
					}
				}
			}
			frame.Commit(t, tx)
			if n := fixture.CountRecords(t, db.Pool); n != 1 {
				t.Errorf("%d rows, want the first alone", n)
			}
		})
	}
}

func discardedRowsAreNamed(t *testing.T, db frame.Database) {
	store := frame.NewStore(db)
	stored := fixture.NewRecord()
	fixture.MustPersist(t, store, stored)
	frame.BeforeInsert(t, db, "coordination_audit_records", "IF NEW.tenant_id = 'unloved' THEN RETURN NULL; END IF; RETURN NEW;")
	batch := func() []audit.Record {
		recs := append(fixture.NewRecords(8), stored)
		recs[2].TenantID, recs[5].TenantID = "unloved", "unloved"
		return recs
	}
	tx := frame.CallersTx(t, db.Pool)
	for name, persist := range map[string]func([]audit.Record) error{
		"PersistMany": func(recs []audit.Record) error {
			_, err := store.PersistMany(t.Context(), recs)
			return err
		},
		"PersistManyTx": func(recs []audit.Record) error {
			_, err := store.PersistManyTx(t.Context(), tx, recs)
			return err
		},
		"PersistManyFast": func(recs []audit.Record) error {
			counts, err := store.PersistManyFast(t.Context(), recs)
			if counts.Persisted != 6 || counts.AlreadyPersisted != 1 || counts.Failed != 2 {
				t.Errorf("PersistManyFast() = %+v, want 6, 1 and 2", counts)
			}
			return err
		},
		"PersistManyFast by COPY": func(recs []audit.Record) error {
			counts, err := frame.NewStore(db).PersistManyFast(t.Context(), recs[:8])
			if counts.Persisted != 6 || counts.AlreadyPersisted != 0 || counts.Failed != 2 {
				t.Errorf("PersistManyFast() = %+v, want 6, 0 and 2", counts)
			}
			return err
		},
	} {
		err := persist(batch())
		failed, ok := errors.AsType[*audit.BatchError](err)
		if !ok || len(failed.Failures) != 2 || failed.Failures[0].Index != 2 || failed.Failures[1].Index != 5 || !errors.Is(err, audit.ErrRefused) {
			t.Errorf("%s() = %v, want the discarded 2 and 5 refused", name, err)
		}
	}
	frame.Commit(t, tx)
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM coordination_audit_records WHERE tenant_id <> 'unloved'"); n != 25 {
		t.Errorf("%d rows, want 25", n)
	}
}

func changedRowConflicts(t *testing.T, db frame.Database) {
	frame.BeforeInsert(t, db, "coordination_audit_records", "NEW.reason := 'masked'; RETURN NEW;")
	store := frame.NewStore(db)
	tx := frame.CallersTx(t, db.Pool)
	for _, c := range frame.EveryCall(store, tx) {
		failed := c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrConflict)
		conflict, ok := errors.AsType[*audit.ConflictError](failed)
		if !ok || len(conflict.Fields) != 1 || conflict.Fields[0] != "reason" {
			t.Errorf("%s() = %v, want a conflict of the reason", c.Name, failed)
		}
	}
	frame.Commit(t, tx)
}

func changedIDFails(t *testing.T, db frame.Database) {
	frame.BeforeInsert(t, db, "coordination_audit_records", "NEW.audit_id := gen_random_uuid(); RETURN NEW;")
	store := frame.NewStore(db)
	tx := frame.CallersTx(t, db.Pool)
	for _, c := range frame.EveryCall(store, tx) {
		_ = c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused)
	}
	frame.Commit(t, tx)
}

func discardedGapFails(t *testing.T, db frame.Database) {
	gap := frame.NewGap(frame.LostAt(0), frame.LostAt(1))
	frame.MustPersistGap(t, db, gap)
	frame.BeforeInsert(t, db, "coordination_audit_gaps", "IF NEW.cause LIKE 'swallow%' THEN RETURN NULL; END IF; NEW.cause := 'changed'; RETURN NEW;")
	swallowed, changed := frame.NewGap(frame.LostAt(2), frame.LostAt(3)), frame.NewGap(frame.LostAt(4), frame.LostAt(5))
	swallowed.Cause = "swallow me"
	for _, gap := range []audit.Gap{swallowed, changed} {
		if err := auditdriver.New(db.Pool).PersistGap(t.Context(), &gap); !errors.Is(err, audit.ErrRefused) || !strings.Contains(err.Error(), "trigger") {
			t.Errorf("PersistGap() = %v, want ErrRefused that names the cause", err)
		}
	}
}

// A source must not take a statement for stored that a foreign trigger has removed.
func discardedStatementFails(t *testing.T, db frame.Database) {
	driver := auditdriver.New(db.Pool)
	stored := frame.NewStatement()
	if err := driver.PersistStatement(t.Context(), &stored); err != nil {
		t.Fatal(err)
	}
	frame.BeforeInsert(t, db, "coordination_audit_statements", "IF NEW.label LIKE 'swallow%' THEN RETURN NULL; END IF; NEW.waiting := '{}'; RETURN NEW;")
	swallowed, changed := frame.NewStatement(), frame.NewStatement()
	swallowed.Label = "swallow me"
	for _, statement := range []completeness.Statement{swallowed, changed} {
		if err := driver.PersistStatement(t.Context(), &statement); !errors.Is(err, audit.ErrRefused) || !strings.Contains(err.Error(), "trigger") {
			t.Errorf("PersistStatement() = %v, want ErrRefused that names the cause", err)
		}
	}
}

func openTransactionIsRefused(t *testing.T, db frame.Database) {
	begin := func(config *pgxpool.Config) {
		config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
			_, err := conn.Exec(ctx, "BEGIN")
			return true, err
		}
	}
	abort := func(config *pgxpool.Config) {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, _ = conn.Exec(ctx, "BEGIN; SELECT 1/0")
			return nil
		}
	}
	for name, hook := range map[string]func(*pgxpool.Config){"begun": begin, "aborted": abort} {
		for _, configured := range []bool{false, true} {
			pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
				hook(config)
				if configured {
					coordaudit.ConfigurePool(config)
				}
			})
			store := coordaudit.New(pool, fixture.Quiet())
			for _, c := range frame.EveryCall(store, nil)[:3] {
				failed := c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused)
				if !strings.Contains(failed.Error(), "open transaction") {
					t.Errorf("%s: %s() = %v, want it to name the cause", name, c.Name, failed)
				}
			}
			if _, err := store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: audit.AllTenants()}); !errors.Is(err, audit.ErrRefused) {
				t.Errorf("%s: Breakdown() = %v, want ErrRefused", name, err)
			}
			gap := frame.NewGap(frame.LostAt(0), frame.LostAt(1))
			if err := auditdriver.New(pool).PersistGap(t.Context(), &gap); !errors.Is(err, audit.ErrRefused) {
				t.Errorf("%s: PersistGap() = %v, want ErrRefused", name, err)
			}
		}
	}
	if n := fixture.CountRecords(t, db.Pool); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
}
