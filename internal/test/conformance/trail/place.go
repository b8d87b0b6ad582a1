package trail

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// Each call uses the one trail, regardless of what the session did before. The decoys have every column and no
// trigger, so a record that went to one would be acknowledged.
func sessionMisleadsNoCall(t *testing.T, db frame.Database) {
	tests := map[string]string{
		"temporary tables": `CREATE TEMPORARY TABLE IF NOT EXISTS coordination_audit_records (LIKE public.coordination_audit_records INCLUDING ALL);
			CREATE TEMPORARY TABLE IF NOT EXISTS coordination_audit_gaps (LIKE public.coordination_audit_gaps INCLUDING ALL);
			CREATE TEMPORARY TABLE IF NOT EXISTS coordination_audit_statements (LIKE public.coordination_audit_statements INCLUDING ALL)`,
		"a search_path left over": "SET search_path TO decoy, public",
		"an empty search_path":    "SET search_path TO ''",
		"pg_catalog behind":       "SET search_path TO decoy, pg_catalog",
		"temporary types":         `CREATE TEMPORARY TABLE uuid (a int); CREATE TEMPORARY TABLE text (a int); CREATE TEMPORARY TABLE timestamptz (a int)`,
		"temporary domains": `CREATE DOMAIN pg_temp.text AS varchar(3); CREATE DOMAIN pg_temp.uuid AS pg_catalog.text;
			CREATE DOMAIN pg_temp.timestamptz AS timestamp(0) with time zone`,
		"types in front": `CREATE DOMAIN decoy.text AS varchar(3); CREATE DOMAIN decoy.uuid AS pg_catalog.text;
			CREATE DOMAIN decoy.timestamptz AS timestamp(0) with time zone; SET search_path TO decoy, pg_catalog`,
		"a schema of the user's": `CREATE SCHEMA IF NOT EXISTS AUTHORIZATION CURRENT_USER;
			DO $$ BEGIN EXECUTE format('CREATE TABLE IF NOT EXISTS %1$I.coordination_audit_records (LIKE decoy.coordination_audit_records INCLUDING ALL);
			CREATE TABLE IF NOT EXISTS %1$I.coordination_audit_gaps (LIKE decoy.coordination_audit_gaps INCLUDING ALL);
			CREATE TABLE IF NOT EXISTS %1$I.coordination_audit_statements (LIKE decoy.coordination_audit_statements INCLUDING ALL)', current_user); END $$`,
	}
	for name, spoil := range tests {
		for _, mode := range db.ExecModes() {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := db.Another(t)
				makeDecoy(t, db)
				pool := frame.PoolInMode(t, db, mode)
				store, driver := coordaudit.New(pool, fixture.Quiet()), auditdriver.New(pool)
				trailIsUsed(t, db, pool, store, driver) // and finds the trail
				fixture.MustExec(t, pool, spoil)
				trailIsUsed(t, db, pool, store, driver)
				if name != "temporary tables" {
					return
				}
				fresh := frame.PoolInMode(t, db, mode)
				fixture.MustExec(t, fresh, spoil)
				trailIsUsed(t, db, fresh, coordaudit.New(fresh, fixture.Quiet()), auditdriver.New(fresh))
			})
		}
	}
}

func makeDecoy(t *testing.T, db frame.Database) {
	t.Helper()
	fixture.MustExec(t, db.Pool, `CREATE SCHEMA decoy;
		CREATE TABLE decoy.coordination_audit_records (LIKE public.coordination_audit_records INCLUDING ALL);
		CREATE TABLE decoy.coordination_audit_gaps (LIKE public.coordination_audit_gaps INCLUDING ALL);
		CREATE TABLE decoy.coordination_audit_statements (LIKE public.coordination_audit_statements INCLUDING ALL);
		CREATE TABLE decoy.coordination_audit_seal_tiles (LIKE public.coordination_audit_seal_tiles INCLUDING ALL);
		CREATE TABLE decoy.coordination_audit_seal_checkpoints (LIKE public.coordination_audit_seal_checkpoints INCLUDING ALL);
		CREATE TABLE decoy.coordination_audit_seal_events (LIKE public.coordination_audit_seal_events INCLUDING ALL);
		CREATE TABLE IF NOT EXISTS public.callers_rows (n int)`)
}

// trailIsUsed makes every call that writes or reads, and checks that all of them used the trail.
func trailIsUsed(t *testing.T, db frame.Database, pool *pgxpool.Pool, store *coordaudit.Store, driver *auditdriver.Driver) {
	t.Helper()
	recs := fixture.NewRecords(5)
	before := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM public.coordination_audit_records")
	for i, c := range frame.OwnCalls(store) {
		c.WantOutcome(t, recs[i], audit.Persisted)
		c.WantOutcome(t, recs[i], audit.AlreadyPersisted)
	}
	if counts, err := store.PersistManyFast(t.Context(), recs[2:3]); err != nil || counts.Persisted != 1 {
		t.Errorf("PersistManyFast() = %+v, %v", counts, err)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range frame.TxCalls(store, tx) {
		c.WantOutcome(t, recs[3+i], audit.Persisted)
		c.WantOutcome(t, recs[3+i], audit.AlreadyPersisted)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	gap := frame.NewGap(frame.LostAt(0), frame.LostAt(1))
	if err := driver.PersistGap(t.Context(), &gap); err != nil {
		t.Error(err)
	}
	statement := frame.NewStatement()
	for range 2 { // the second one looks the first one up
		if err := driver.PersistStatement(t.Context(), &statement); err != nil {
			t.Error(err)
		}
	}

	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM public.coordination_audit_records"); n != before+5 {
		t.Errorf("%d rows in the trail, want %d", n, before+5)
	}
	ids := make([]uuid.UUID, len(recs))
	config := fixture.Quiet()
	config.Schema = "public" // a new store would find what is in front now
	for i := range recs {
		ids[i] = recs[i].AuditID
		if got, err := coordaudit.New(db.Pool, config).Get(t.Context(), audit.AllTenants(), ids[i]); err != nil || len(got.DiffersIn(recs[i])) > 0 {
			t.Errorf("stored %+v, %v; want %+v", got, err, recs[i])
		}
	}
	if _, missing, err := store.GetMany(t.Context(), audit.AllTenants(), ids); err != nil || len(missing) > 0 {
		t.Errorf("GetMany() lacks %v, %v", missing, err)
	}
	query := audit.Query{Scope: audit.AllTenants()}
	if n, err := store.Count(t.Context(), query); err != nil || n != int64(before)+5 {
		t.Errorf("Count() = %d, %v; want %d", n, err, before+5)
	}
	if counted, err := store.Breakdown(t.Context(), audit.BreakdownQuery{Scope: audit.AllTenants()}); err != nil || counted.Total != int64(before)+5 {
		t.Errorf("Breakdown() counts %d, %v; want %d", counted.Total, err, before+5)
	}
	if found := frame.MustListGaps(t, store, audit.GapQuery{}); !strings.Contains(joinIDs(frame.GapIDs(found)), gap.GapID.String()) {
		t.Errorf("Gaps() = %v, want %s among them", frame.GapIDs(found), gap.GapID)
	}
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM public.coordination_audit_statements WHERE source_id = $1", statement.SourceID); n != 1 {
		t.Errorf("%d statements in the trail, want 1", n)
	}
	if latest, found, err := driver.LatestStatement(t.Context(), statement.SourceID); err != nil || !found || latest.Seq != statement.Seq {
		t.Errorf("LatestStatement() = %+v, %t, %v; want %+v", latest, found, err, statement)
	}
	result, err := store.Completeness(t.Context(), audit.CompletenessQuery{})
	if err != nil || !slices.ContainsFunc(result.Sources, func(source audit.SourceAccount) bool { return source.SourceID == statement.SourceID }) {
		t.Errorf("Completeness() = %+v, %v; want source %s among them", result, err, statement.SourceID)
	}
}

func joinIDs(ids []uuid.UUID) string {
	var text strings.Builder
	for _, id := range ids {
		text.WriteString(id.String() + " ")
	}
	return text.String()
}

// A store that first uses a session after its path was changed cannot know which trail is right.
func twoTrailsAreRefused(t *testing.T, db frame.Database) {
	makeDecoy(t, db)
	pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.MaxConns = 1
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET search_path TO decoy, public")
			return err
		}
	})
	store := coordaudit.New(pool, fixture.Quiet())
	tx := frame.CallersTx(t, pool)
	for _, c := range frame.TxCalls(store, tx) {
		refusedForTwo(t, c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused))
	}
	frame.Commit(t, tx)
	for _, c := range frame.OwnCalls(store) {
		refusedForTwo(t, c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused))
	}
	_, err := store.Get(t.Context(), audit.AllTenants(), uuid.New())
	refusedForTwo(t, err)

	config := fixture.Quiet()
	config.Schema = "public"
	trailIsUsed(t, db, pool, coordaudit.New(pool, config), auditdriver.NewInSchema(pool, "public"))
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM decoy.coordination_audit_records"); n != 0 {
		t.Errorf("%d records went to the decoy", n)
	}
	fixture.MustExec(t, pool, "SET search_path TO public")
	fixture.MustPersist(t, store, fixture.NewRecord())
}

func refusedForTwo(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, audit.ErrRefused) {
		t.Errorf("%v, want ErrRefused", err)
		return
	}
	for _, word := range []string{`"decoy"`, `"public"`, "Config.Schema"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%v, want %s named", err, word)
		}
	}
}

// A pool may set its path in AfterConnect, and a schema may have any name.
func searchPathIsFollowed(t *testing.T, db frame.Database) {
	for name, schema := range map[string]string{"plain": "trail", "odd": `Tr"ail $1 'x' \ é`} {
		for _, mode := range db.ExecModes() {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				t.Parallel()
				db := db.Another(t)
				quoted := pgx.Identifier{schema}.Sanitize()
				fixture.MustExec(t, db.Pool, "CREATE SCHEMA "+quoted)
				for _, table := range []string{"records", "gaps"} {
					fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_"+table+" SET SCHEMA "+quoted)
				}
				pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
					config.ConnConfig.DefaultQueryExecMode = mode
					config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
						_, err := conn.Exec(ctx, "SET search_path TO "+quoted)
						return err
					}
				})
				store := coordaudit.New(pool, fixture.Quiet())
				fixture.MustPersist(t, store, fixture.NewRecord())
				config := fixture.Quiet()
				config.Schema = schema
				configured := coordaudit.New(frame.PoolInMode(t, db, mode), config)
				rec := fixture.NewRecord()
				fixture.MustPersist(t, configured, rec)
				if counts, err := configured.PersistManyFast(t.Context(), fixture.NewRecords(2)); err != nil || counts.Persisted != 2 {
					t.Errorf("PersistManyFast() = %+v, %v", counts, err)
				}
				if _, err := store.Get(t.Context(), audit.AllTenants(), rec.AuditID); err != nil {
					t.Error(err)
				}
				if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) FROM "+quoted+".coordination_audit_records"); n != 4 {
					t.Errorf("%d rows, want 4", n)
				}
			})
		}
	}
}

func missingTrailIsRefused(t *testing.T, db frame.Database) {
	fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records RENAME TO elsewhere")
	fixture.MustExec(t, db.Pool, "CREATE VIEW coordination_audit_records AS SELECT * FROM elsewhere")
	store := frame.NewStore(db)
	tx := frame.CallersTx(t, db.Pool)
	for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
		failed := c.WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused)
		if failed.SQLState != "42P01" || !strings.Contains(failed.Error(), "run the migrations (migrate up) and check the search_path") {
			t.Errorf("%s() = %v, want 42P01 and the next step", c.Name, failed)
		}
	}
	frame.Commit(t, tx)
	fixture.MustExec(t, db.Pool, "DROP VIEW coordination_audit_records")
	fixture.MustExec(t, db.Pool, "ALTER TABLE elsewhere RENAME TO coordination_audit_records")
	tx = frame.CallersTx(t, db.Pool)
	for _, c := range append(frame.OwnCalls(store), frame.TxCalls(store, tx)...) {
		c.WantOutcome(t, fixture.NewRecord(), audit.Persisted)
	}
	frame.Commit(t, tx)
}

func movedTrailIsFound(t *testing.T, db frame.Database) {
	for _, mode := range db.ExecModes() {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool := frame.PoolInMode(t, db, mode)
			store := coordaudit.New(pool, fixture.Quiet())
			bare := coordaudit.New(nil, fixture.Quiet())
			fixture.MustExec(t, db.Pool, "CREATE SCHEMA trail")
			fixture.MustExec(t, pool, "SET search_path TO public, trail")
			for range 2 {
				tx := frame.CallersTx(t, pool)
				frame.TxCalls(bare, tx)[0].WantOutcome(t, fixture.NewRecord(), audit.Persisted)
				frame.Commit(t, tx)
				fixture.MustPersist(t, store, fixture.NewRecord())
			}
			fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records SET SCHEMA trail")
			tx := frame.CallersTx(t, pool)
			_ = frame.TxCalls(bare, tx)[1].WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused)
			frame.TxCalls(bare, tx)[0].WantOutcome(t, fixture.NewRecord(), audit.Persisted)
			frame.Commit(t, tx)
			_ = frame.OwnCalls(store)[0].WantFailure(t.Context(), t, fixture.NewRecord(), audit.ErrRefused)
			fixture.MustPersist(t, store, fixture.NewRecord())
		})
	}
}

// A transaction from a pool with another search_path has its own trail, whichever call comes first.
func callersPoolDecidesNothing(t *testing.T, db frame.Database) {
	makeDecoy(t, db)
	for _, first := range []string{"transaction", "pool"} {
		pool := fixture.OpenPool(t, fixture.WithSetting(db.URL, "search_path=public"), nil)
		callers := fixture.OpenPool(t, fixture.WithSetting(db.URL, "search_path=decoy"), nil)
		store := coordaudit.New(pool, fixture.Quiet())
		inPool, inTx := fixture.NewRecord(), fixture.NewRecord()
		persistTx := func() {
			tx := frame.CallersTx(t, callers)
			frame.TxCalls(store, tx)[0].WantOutcome(t, inTx, audit.Persisted)
			frame.Commit(t, tx)
		}
		if first == "transaction" {
			persistTx()
		}
		fixture.MustPersist(t, store, inPool)
		if first == "pool" {
			persistTx()
		}
		const where = "SELECT count(*) FROM public.coordination_audit_records AS p, decoy.coordination_audit_records AS d WHERE p.audit_id = $1 AND d.audit_id = $2"
		if fixture.QueryInt(t, db.Pool, where, inPool.AuditID, inTx.AuditID) != 1 {
			t.Errorf("the %s came first, and a record is not in its own trail", first)
		}
	}
}

// A transaction from another pool has the trail of its own database.
func databasesKeepTheirTrails(t *testing.T, db frame.Database) {
	other := db.Another(t)
	fixture.MustExec(t, other.Pool, "CREATE SCHEMA trail")
	fixture.MustExec(t, other.Pool, "ALTER TABLE coordination_audit_records SET SCHEMA trail")
	otherPool := fixture.OpenPool(t, fixture.WithSetting(other.URL, "search_path=trail,public"), nil)
	for name, store := range map[string]*coordaudit.Store{"with a pool": frame.NewStore(db), "without": coordaudit.New(nil, fixture.Quiet())} {
		for i := range 2 {
			for on, pool := range map[string]*pgxpool.Pool{"its own": db.Pool, "another": otherPool} {
				tx := frame.CallersTx(t, pool)
				if _, err := store.PersistTx(t.Context(), tx, fixture.NewRecord()); err != nil {
					t.Errorf("%s, use %d, on %s database: %v", name, i, on, err)
				}
				frame.Commit(t, tx)
			}
		}
	}
	if n := fixture.QueryInt(t, other.Pool, "SELECT count(*) FROM trail.coordination_audit_records"); n != 4 {
		t.Errorf("%d rows in the other database's trail, want 4", n)
	}
}
