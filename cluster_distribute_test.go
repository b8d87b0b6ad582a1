package coordaudit_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/loadgen"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// rowsVariable is how many records stand in the trail that is distributed. It defaults to 20,000.
const rowsVariable = "COORDAUDIT_TEST_CITUS_ROWS"

// Distributing a trail that is in use makes its writers wait. A Recorder accepts meanwhile, and
// what it accepted is stored afterwards.
func TestDistributingUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, false)
	rows := 20_000
	if text := os.Getenv(rowsVariable); text != "" {
		var err error
		if rows, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", rowsVariable, err)
		}
	}
	fixture.MustExec(t, db.Pool, `
		INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp, tenant_id)
		SELECT gen_random_uuid(), 'envelope ' || n % 500, 'COST', 'APPLIED', 'applied, nothing stood in its way', now(), 'tenant ' || n % 20
		FROM generate_series(1, $1::int) AS n`, rows)
	store := coordaudit.New(db.Pool, fixture.Quiet())
	dir := t.TempDir()
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	producers := loadgen.Start(t, recorder, loadgen.Config{Producers: 8, Every: 5 * time.Millisecond})
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted > 200 })

	conn, err := pgx.ConnectConfig(t.Context(), db.Pool.Config().ConnConfig)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	tables, err := auditadmin.Distribute(t.Context(), conn, auditadmin.DistributeConfig{})
	took := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	stored := recorder.Stats().Total().Persisted
	fixture.EventuallyWithin(t, time.Minute, func() bool { return recorder.Stats().Total().Persisted > stored+200 })
	pause := time.Since(start)
	producers.Stop()
	fixture.EventuallyWithin(t, 2*time.Minute, func() bool {
		total := recorder.Stats().Total()
		return total.Queued == 0 && total.Spooled == 0
	})
	if err := recorder.Close(t.Context()); err != nil {
		t.Errorf("closing the recorder: %v", err)
	}
	total := recorder.Stats().Total()
	t.Logf("%d rows moved in %v, 200 more records stored after %v; of the Recorder: %+v", tables[0].Moved, took.Round(time.Millisecond), pause.Round(time.Millisecond), total)
	if total.Dropped+total.Rejected != 0 || total.Persisted+total.AlreadyPersisted != total.Accepted {
		t.Errorf("not all that was accepted is stored: %+v", total)
	}
	if n := fixture.CountRecords(t, db.Pool); int64(n) != int64(rows)+total.Accepted {
		t.Errorf("%d rows, want %d and the %d accepted ones", n, rows, total.Accepted)
	}
	if n := fixture.QueryInt(t, db.Pool, "SELECT count(*) - count(DISTINCT audit_id) FROM coordination_audit_records"); n != 0 {
		t.Errorf("%d records are stored twice", n)
	}
}
