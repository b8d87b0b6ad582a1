package persisting

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// reduced returns the settings that a log reports as reduced, with their values.
func reduced(t *testing.T, log *fixture.Log) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, event := range log.Events(t, "audit_durability_reduced") {
		setting, _ := event["setting"].(string)
		if meaning, _ := event["meaning"].(string); meaning == "" || found[setting] != "" {
			t.Errorf("event %v: logged twice, or without its meaning", event)
		}
		found[setting], _ = event["value"].(string)
	}
	return found
}

func logsReductionOnce(t *testing.T, db frame.Database) {
	for value, want := range map[string]string{"off": "off", "local": "local", "remote_write": "remote_write", "on": "", "remote_apply": ""} {
		var log fixture.Log
		config := fixture.Quiet()
		config.Logger = log.Logger()
		store := fixture.OpenStore(t, fixture.WithSetting(db.URL, "synchronous_commit="+value), config)
		for range 3 {
			fixture.MustPersist(t, store, fixture.NewRecord())
			if _, err := store.PersistMany(t.Context(), fixture.NewRecords(2)); err != nil {
				t.Fatal(err)
			}
		}
		found := reduced(t, &log)
		if found["synchronous_commit"] != want {
			t.Errorf("synchronous_commit=%s is reported as %q, want %q", value, found["synchronous_commit"], want)
		}
		if fsync := map[string]string{"off": "off"}[fixture.QueryText(t, db.Pool, "SHOW fsync")]; found["fsync"] != fsync {
			t.Errorf("fsync is reported as %q, want %q", found["fsync"], fsync)
		}
	}
}

// Whoever used the connection before may have changed its settings. The next call says so.
func leftoverLevelIsLogged(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		for i := range 3 {
			var log fixture.Log
			config := fixture.Quiet()
			config.Logger = log.Logger()
			pool := fixture.OpenPool(t, fixture.WithSetting(db.URL, "synchronous_commit=on"), func(config *pgxpool.Config) {
				config.MaxConns = 1
				config.ConnConfig.DefaultQueryExecMode = mode
			})
			store := coordaudit.New(pool, config)
			fixture.MustPersist(t, store, fixture.NewRecord())
			fixture.MustExec(t, pool, "SET synchronous_commit = local")
			c := frame.EveryCall(store, nil)[i]
			if _, err := c.Persist(t.Context(), fixture.NewRecord()); err != nil {
				t.Errorf("%s() = %v", c.Name, err)
			}
			if found := reduced(t, &log); found["synchronous_commit"] != "local" {
				t.Errorf("%s: synchronous_commit is reported as %q after %s, want local", mode, found["synchronous_commit"], c.Name)
			}
		}
	}
}

func unloggedTableIsLogged(t *testing.T, db frame.Database) {
	for _, table := range []string{"coordination_audit_records", "coordination_audit_gaps", "coordination_audit_statements"} {
		fixture.MustExec(t, db.Pool, "ALTER TABLE "+table+" SET UNLOGGED")
	}
	var log fixture.Log
	config := fixture.Quiet()
	config.Logger = log.Logger()
	store := coordaudit.New(db.Pool, config)
	for range 2 {
		fixture.MustPersist(t, store, fixture.NewRecord())
	}
	found := reduced(t, &log)
	for _, table := range []string{"coordination_audit_records", "coordination_audit_gaps", "coordination_audit_statements"} {
		if found[table] != "unlogged" {
			t.Errorf("%s is reported as %q, want unlogged", table, found[table])
		}
	}
}

// The store raises the setting of a role or database in a pool of its own. In a caller's pool it logs
// the setting.
func openRaisesLevel(t *testing.T, db frame.Database) {
	for _, value := range []string{"off", "local"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			fixture.MustExec(t, db.Pool, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = "+value+"', current_database()); END $$")
			frame.BeforeInsert(t, db, "coordination_audit_records", "NEW.reason := current_setting('synchronous_commit'); RETURN NEW;")
			var log fixture.Log
			config := fixture.Quiet()
			config.Logger = log.Logger()
			rec := fixture.NewRecord()
			rec.Reason = "on"
			fixture.MustPersist(t, fixture.OpenStore(t, db.URL, config), rec)
			if found := reduced(t, &log); found["synchronous_commit"] != "" {
				t.Errorf("a store with its own pool reports synchronous_commit as %q", found["synchronous_commit"])
			}
			var callers fixture.Log
			config.Logger = callers.Logger()
			pool := fixture.OpenPool(t, db.URL, coordaudit.ConfigurePool)
			rec = fixture.NewRecord()
			rec.Reason = value
			fixture.MustPersist(t, coordaudit.New(pool, config), rec)
			if found := reduced(t, &callers); found["synchronous_commit"] != value {
				t.Errorf("a store on a caller's pool reports synchronous_commit as %q, want %q", found["synchronous_commit"], value)
			}
		})
	}
}

func configurePoolKeepsHooks(t *testing.T, db frame.Database) {
	var notices, connects atomic.Int64
	pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.MaxConns = 1
		config.ConnConfig.RuntimeParams["synchronous_commit"] = "local"
		config.ConnConfig.RuntimeParams["client_min_messages"] = "error"
		config.ConnConfig.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { notices.Add(1) }
		config.AfterConnect = func(context.Context, *pgx.Conn) error {
			connects.Add(1)
			return nil
		}
		coordaudit.ConfigurePool(config)
	})
	fixture.MustPersist(t, coordaudit.New(pool, fixture.Quiet()), fixture.NewRecord())
	fixture.MustExec(t, pool, "DO $$ BEGIN RAISE WARNING 'one'; END $$")
	if notices.Load() != 1 || connects.Load() != 1 {
		t.Errorf("%d notices and %d connections reached the caller's hooks, want 1 and 1", notices.Load(), connects.Load())
	}
	if level := fixture.QueryText(t, pool, "SHOW synchronous_commit"); level != "local" {
		t.Errorf("synchronous_commit is %s, want the caller's", level)
	}
	refused := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.AfterConnect = func(context.Context, *pgx.Conn) error { return errors.New("not this one") }
		coordaudit.ConfigurePool(config)
	})
	if _, err := refused.Acquire(t.Context()); err == nil {
		t.Error("the caller's AfterConnect failed, and the pool returned the connection")
	}
}
