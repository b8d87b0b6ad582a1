package deploy_test

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// old is how many records the table of an older version has, so that migrating it takes a while.
const old = 20_000

// versions returns the versions that a database may have, oldest first.
func versions(t *testing.T) []int64 {
	t.Helper()
	// The versions are those of this program, so any database will do.
	migrator, err := auditmigrate.Open(testdb.NewEmpty(t).URL, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	status, err := migrator.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := []int64{0}
	for _, migration := range status {
		list = append(list, migration.Version)
	}
	return list
}

// older returns a database of a version above 0 with records.
func older(t *testing.T, version int64) *testdb.DB {
	t.Helper()
	db := testdb.NewEmpty(t)
	mustMigrate(t, db.URL, "up-to", strconv.FormatInt(version, 10))
	if _, err := db.Pool.Exec(t.Context(), `
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id)
		SELECT gen_random_uuid(), 'old-' || i % 100, 'UNKNOWN', 'APPLIED', 'a reason', now() - i * interval '1 second', 'tenant-' || i % 10
		FROM generate_series(1, $1) AS i`, old); err != nil {
		t.Fatal(err)
	}
	return db
}

// predecessor returns a database with the predecessor's table and 1,000 rows.
func predecessor(t *testing.T) *testdb.DB {
	t.Helper()
	sql, err := os.ReadFile("../../../auditmigrate/testdata/predecessor.sql")
	if err != nil {
		t.Fatal(err)
	}
	db := testdb.NewEmpty(t)
	if _, err := db.Pool.Exec(t.Context(), string(sql)); err != nil {
		t.Fatal(err)
	}
	return db
}

func count(t *testing.T, pool *pgxpool.Pool, sql string) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// text returns a query's one value, or "" for no row.
func text(t *testing.T, pool *pgxpool.Pool, sql string) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.Join(found, "\n")
}

// hold keeps a transaction open that blocks a migration until release is called.
func hold(t *testing.T, db *testdb.DB, sql string) (release func()) {
	t.Helper()
	tx, err := db.Pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	release = func() { _ = tx.Rollback(context.Background()) }
	t.Cleanup(release)
	return release
}

// stuck waits until a replica's migration waits for the transaction of hold, and returns the replica's
// name.
func stuck(t *testing.T, db *testdb.DB) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		name := text(t, db.Pool, `
			SELECT application_name FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name LIKE 'replica-%'`)
		if name != "" {
			return name
		}
	}
	t.Fatal("no replica has come to the migration that is held up")
	return ""
}

func TestDeployStopsNoWriter(t *testing.T) {
	t.Parallel()
	all := versions(t)
	for i, version := range all[:len(all)-1] {
		t.Run("from_"+strconv.FormatInt(version, 10), func(t *testing.T) {
			t.Parallel()
			if version == 0 { // nothing to write to yet
				mustDeploy(t, testdb.NewEmpty(t).URL, all[1:])
				return
			}
			db := older(t, version)
			writers := startWriting(t, db.URL, version)
			mustDeploy(t, db.URL, all[i+1:])
			writers.mustHaveLostNothing(t, old)
		})
	}
}

// docs/deploy.md says to stop its writer, so nothing writes here.
func TestDeployAdoptsPredecessor(t *testing.T) {
	t.Parallel()
	db := predecessor(t)
	const rows = `
		SELECT concat_ws('|', audit_id, envelope_id, envelope_class, decision, md5(reason), decision_timestamp, created_at,
			coalesce(conflicting_envelope_id, '-'), coalesce(preempting_envelope_id, '-'), active_envelopes_count, coalesce(tenant_id, '-'))
		FROM coordination_audit_records ORDER BY 1`
	before := text(t, db.Pool, rows)
	all := versions(t)
	mustDeploy(t, db.URL, all[1:])
	if text(t, db.Pool, rows) != before {
		t.Error("the predecessor's rows have changed")
	}
	writers := startWriting(t, db.URL, all[len(all)-1])
	writers.mustHaveLostNothing(t, 1000)
}

func TestKilledReplicaIsReplaced(t *testing.T) {
	t.Parallel()
	t.Run("in_a_transaction", func(t *testing.T) {
		t.Parallel()
		db := predecessor(t)
		killOne(t, db, "SELECT FROM coordination_audit_records")
		if n := count(t, db.Pool, "SELECT count(*) FROM coordination_audit_records"); n != 1000 {
			t.Errorf("%d of the predecessor's rows, want 1000", n)
		}
	})
	for name, test := range map[string]struct {
		version int64
		held    string
	}{
		"while_it_builds_an_index":              {1, "SELECT 1"},
		"while_it_adds_columns":                 {2, "SELECT FROM coordination_audit_records"},
		"while_it_builds_an_index_to_read_with": {3, "SELECT 1"},
		"while_it_drops_an_index":               {3, "LOCK TABLE coordination_audit_records IN ACCESS SHARE MODE"},
		"while_it_adds_the_origin":              {5, "SELECT FROM coordination_audit_records"},
		"while_it_builds_an_index_of_links":     {6, "SELECT 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := older(t, test.version)
			writers := startWriting(t, db.URL, test.version)
			killOne(t, db, test.held)
			writers.mustHaveLostNothing(t, old)
		})
	}
}

// killOne starts three replicas that are blocked, kills the one that migrates with SIGKILL, and lets the
// others go on.
func killOne(t *testing.T, db *testdb.DB, held string) {
	t.Helper()
	release := hold(t, db, held)
	replicas := runThree(t, db.URL)
	migrating := stuck(t, db)
	for _, r := range replicas {
		if r.hasEnded() {
			t.Errorf("%s has ended before the schema is there: %v", r.name, r.err)
		}
		if r.name == migrating {
			if err := r.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-r.ended
		}
	}
	release()
	for _, r := range replicas {
		if r.name != migrating {
			r.mustEnd(t)
		}
	}
	mustMigrate(t, db.URL, "validate")
	if invalid := count(t, db.Pool, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"); invalid > 0 {
		t.Errorf("%d indexes are left half built", invalid)
	}
}

func TestEarlyServicesWait(t *testing.T) {
	t.Parallel()
	for _, version := range []int64{1, 3} {
		t.Run("from_"+strconv.FormatInt(version, 10), func(t *testing.T) {
			t.Parallel()
			checkWaiting(t, version)
		})
	}
}

// checkWaiting blocks a deploy in the migration after a version.
func checkWaiting(t *testing.T, version int64) {
	t.Helper()
	db := testdb.NewEmpty(t)
	services := []*replica{
		run(t, "service-0", db.URL, "wait", "--schema", "--timeout", "2m"),
		run(t, "service-1", db.URL, "wait", "--schema", "--timeout", "2m"),
	}
	mustMigrate(t, db.URL, "up-to", strconv.FormatInt(version, 10))
	release := hold(t, db, "SELECT 1")
	replicas := runThree(t, db.URL)
	stuck(t, db)
	time.Sleep(2500 * time.Millisecond) // they check once a second
	for _, service := range services {
		if service.hasEnded() {
			t.Errorf("%s has not waited: %v, %s", service.name, service.err, service.stdout.String())
		}
	}
	release()
	services[0].mustEnd(t)
	mustMigrate(t, db.URL, "validate")
	services[1].mustEnd(t)
	for _, r := range replicas {
		r.mustEnd(t)
	}
}
