package doctor

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestServerVersionIsJudged(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, time.November, 28, 0, 0, 0, 0, time.UTC)
	x := &examination{limits: defaultLimits(), now: func() time.Time { return day }}
	for version, want := range map[int]Severity{130022: Error, 140021: Warning, 150018: "", 180006: "", 190000: "", 200000: Notice} {
		x.server.Version = version
		findings, err := checkVersion(t.Context(), x)
		switch {
		case err != nil:
			t.Fatal(err)
		case want == "" && len(findings) > 0, want != "" && (len(findings) != 1 || findings[0].Severity != want || findings[0].Repair == ""):
			t.Errorf("version %d: want %q, got %v", version, want, findings)
		}
	}
}

func TestEncodingOfTheDatabaseIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	examine(t, db.Pool, nil).mustBeQuiet(t, "encoding")
	name := newRole(t, db) + "_latin"
	fixture.MustExec(t, db.Pool, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	latin := fixture.OpenPool(t, db.URL, func(c *pgxpool.Config) { c.ConnConfig.Database = name })
	x := examine(t, latin, nil)
	x.mustFind(t, "encoding", Error, "database "+name, "encoding LATIN1, want encoding UTF8", "pg_dump and pg_restore")
	x.mustFind(t, "guards", Error, "coordination_audit_records", "migrate up")
	latin.Close()
}

func TestChangedCollationIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	x := examine(t, db.Pool, nil)
	if x.server.Version < 150_000 {
		t.Skip("PostgreSQL 14 does not record the version")
	}
	x.mustBeQuiet(t, "collation")
	fixture.MustExec(t, db.Pool, "UPDATE pg_database SET datcollversion = '0.1' WHERE datname = current_database()")
	x.mustFind(t, "collation", Warning, "was 0.1", "REINDEX DATABASE CONCURRENTLY", "REFRESH COLLATION VERSION")
}

func TestSettingsThatLoseRecordsAreNamed(t *testing.T) {
	t.Parallel()
	db := ownServer(t, pglocal.Config{Settings: map[string]string{"autovacuum": "off", "synchronous_commit": "off"}}) // and fsync, for tests
	x := examine(t, db.Pool, nil)
	for _, name := range []string{"fsync", "full_page_writes"} {
		x.mustFind(t, name, Error, "setting "+name, "off: ", "ALTER SYSTEM SET "+name+" = 'on'")
	}
	x.mustFind(t, "synchronous_commit", Error, "the server", "synchronous_commit is off", "ALTER SYSTEM SET synchronous_commit = 'on'")
	x.mustFind(t, "autovacuum", Warning, "setting autovacuum", "ALTER SYSTEM SET autovacuum = 'on'")

	durable := testdb.NewOn(t, testdb.Durable(t))
	x = examine(t, durable.Pool, nil)
	for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit", "autovacuum", "standbys"} {
		x.mustBeQuiet(t, name)
	}
}

func TestOverridesOfSynchronousCommitAreNamed(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	writer, reader := newRole(t, db), newRole(t, db)
	fixture.MustExec(t, db.Pool, "GRANT SELECT ON coordination_audit_records TO "+writer+", "+reader+"; GRANT INSERT (audit_id) ON coordination_audit_records TO "+writer)
	name := fixture.QueryText(t, db.Pool, "SELECT current_database()::text")
	fixture.MustExec(t, db.Pool, "ALTER ROLE "+reader+" SET synchronous_commit = off; ALTER ROLE "+writer+" SET synchronous_commit = local")
	x := examine(t, db.Pool, nil)
	x.mustBeQuiet(t, "synchronous_commit") // one stores nothing, and there is no standby to wait for

	fixture.MustExec(t, db.Pool, "ALTER ROLE "+writer+" IN DATABASE "+name+" SET synchronous_commit = off")
	x.mustFind(t, "synchronous_commit", Error, "role "+writer+" in database "+name, "ALTER ROLE "+writer+" IN DATABASE "+name+" RESET synchronous_commit;")
	fixture.MustExec(t, db.Pool, "ALTER ROLE "+writer+" IN DATABASE "+name+" RESET synchronous_commit; ALTER ROLE "+writer+" SET synchronous_commit = off")
	x.mustFind(t, "synchronous_commit", Error, "role "+writer+": ", "ALTER ROLE "+writer+" RESET synchronous_commit;")
	fixture.MustExec(t, db.Pool, "ALTER ROLE "+writer+" RESET ALL; ALTER DATABASE "+name+" SET synchronous_commit = off")
	x.mustFind(t, "synchronous_commit", Error, "database "+name, "ALTER DATABASE "+name+" RESET synchronous_commit;")

	client := fixture.OpenPool(t, fixture.WithSetting(db.URL, "synchronous_commit=off"), nil)
	examine(t, client, nil).mustFind(t, "synchronous_commit", Error, "this database URL", "out of the URL")
	client.Close()
}

func TestStandbysThatCommitsWaitForAreCounted(t *testing.T) {
	t.Parallel()
	pair := testdb.StartPair(t, true)
	pool := pair.Open(t)
	x := examine(t, pool, nil)
	x.mustFind(t, "standbys", Notice, "synchronous_standby_names", "when one stops, writers hang", "add a standby")

	standby := fixture.OpenPool(t, pair.Standby.URL(), nil)
	examine(t, standby, nil).mustFind(t, "standbys", Notice, "this server", "on the primary")
	standby.Close()

	if err := pair.Primary.Reconfigure("synchronous_standby_names", ""); err != nil {
		t.Fatal(err)
	}
	pair.Await(t, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'async'")
	x.mustFind(t, "standbys", Warning, "a failover to one of them may lose acknowledged records", "ANY 1 (*)")

	if err := pair.Primary.Reconfigure("synchronous_standby_names", "FIRST 2 (standby, other)"); err != nil {
		t.Fatal(err)
	}
	pair.Await(t, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
	x.mustFind(t, "standbys", Error, "every commit waits for 2, and 1 are there", "start the standby")
	fixture.MustExec(t, pool, "SELECT 1")
	weak := fixture.OpenPool(t, fixture.WithSetting(pair.Primary.URL(), "synchronous_commit=remote_write"), nil)
	examine(t, weak, nil).mustFind(t, "synchronous_commit", Warning, "remote_write: a standby may lose acknowledged records")
	weak.Close()
}

// A slot keeps WAL for as long as no one takes it.
func TestSlotsThatKeepWALAreNamed(t *testing.T) {
	t.Parallel()
	pair := testdb.StartPair(t, false)
	pool := pair.Open(t)
	x := examine(t, pool, func(x *examination) { x.limits.slotBytes = 1 << 10 })
	x.mustBeQuiet(t, "slots")
	fixture.MustExec(t, pool, "SELECT pg_create_physical_replication_slot('away', true)")
	fixture.MustExec(t, pool, "CREATE TABLE written AS SELECT generate_series(1, 10000)")
	x.mustFind(t, "slots", Error, "replication slot 'away'", "not connected, without a bound", "pg_drop_replication_slot('away')", "max_slot_wal_keep_size")
	examine(t, pool, nil).mustBeQuiet(t, "slots") // it keeps less than a gigabyte
	if err := pair.Primary.Reconfigure("max_slot_wal_keep_size", "64MB"); err != nil {
		t.Fatal(err)
	}
	fixture.EventuallyTrue(t, pool, time.Minute, "SELECT current_setting('max_slot_wal_keep_size') = '64MB'")
	x.mustFind(t, "slots", Warning, "replication slot 'away'", "is not connected")
}

func TestStandbysAreCountedByTheSetting(t *testing.T) {
	t.Parallel()
	for names, want := range map[string]int{
		"": 0, "*": 1, "a, b": 1, "FIRST 2 (a, b, c)": 2, "any 3 (*)": 3, "2 (a, b)": 2, `"first", b`: 1, "first 1(a)": 1,
	} {
		if got := neededStandbys(names); got != want {
			t.Errorf("%q makes commits wait for %d, want %d", names, got, want)
		}
	}
}

// A server that stops answering ends neither the examination nor the checks after.
func TestCheckWithoutAnAnswerEnds(t *testing.T) {
	t.Parallel()
	x := &examination{limits: limits{answer: time.Millisecond, slowAnswer: time.Millisecond}}
	silent := func(ctx context.Context, _ *examination) ([]Finding, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	after := func(context.Context, *examination) ([]Finding, error) {
		return []Finding{{Severity: Notice, Object: "the next one"}}, nil
	}
	found, err := x.diagnose(t.Context(), []check{{Check{Name: "silent"}, silent}, {Check{Name: "slow", Slow: true}, silent}, {Check{Name: "after"}, after}})
	if err != nil || len(found) != 3 {
		t.Fatalf("%v, %v", found, err)
	}
	for i, name := range []string{"silent", "slow"} {
		if f := found[i]; f.Check != name || f.Severity != Unchecked || !strings.Contains(f.Evidence, "no answer for ") {
			t.Errorf("%+v", f)
		}
	}
}
