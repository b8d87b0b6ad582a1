package persisting

import (
	"errors"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// When the call looks up an id that is taken, the other records are stored already. So only the
// record of that id can fail.
func unreadableIDFailsAlone(t *testing.T, db frame.Database) {
	const policy = `CREATE FUNCTION readable(tenant text) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN
			CASE tenant
				WHEN 'slow' THEN PERFORM pg_sleep(10);
				WHEN 'broken' THEN RAISE EXCEPTION 'no memory' USING ERRCODE = '53200';
				ELSE NULL;
			END CASE;
			RETURN tenant <> 'hidden';
		END $$`
	tests := map[string]error{ // the tenant of the stored record, and the error of the second record with its id
		"hidden": audit.ErrRefused,
		"broken": audit.ErrUnavailable,
		"slow":   db.Stopped(),
	}
	for tenant, want := range tests {
		inTx := want
		if tenant == "slow" {
			inTx = audit.ErrUnavailable
		}
		t.Run(tenant, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			taken := fixture.NewRecord()
			taken.TenantID = tenant
			fixture.MustPersist(t, frame.NewStore(db), taken)
			fixture.MustExec(t, db.Pool, policy)
			fixture.MustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
			fixture.MustExec(t, db.Pool, "CREATE POLICY readable ON coordination_audit_records USING (readable(tenant_id)) WITH CHECK (true)")
			pool, _ := frame.PoolAsPlainRole(t, db, "INSERT, SELECT ON coordination_audit_records", "CREATE ON SCHEMA public")
			config := frame.Impatient()
			config.Timeout = time.Duration(db.Patience(int(config.Timeout.Milliseconds()))) * time.Millisecond
			store := coordaudit.New(pool, config)
			taken.TenantID = "acme"

			results, err := store.PersistMany(t.Context(), []audit.Record{fixture.NewRecord(), taken, fixture.NewRecord()})
			wantOnlyTheSecondToFail(t, "PersistMany", results, err, want)
			calls := 1
			if !db.Distributed || tenant != "slow" { // there, a call that is cancelled may take the caller's transaction with it
				tx := frame.CallersTx(t, pool)
				results, err = store.PersistManyTx(t.Context(), tx, []audit.Record{fixture.NewRecord(), taken, fixture.NewRecord()})
				wantOnlyTheSecondToFail(t, "PersistManyTx", results, err, inTx)
				frame.Commit(t, tx)
				calls = 2
			}

			if n := fixture.CountRecords(t, db.Pool); n != 1+2*calls {
				t.Errorf("%d rows, want the taken one and the others of %d calls", n, calls)
			}
			counts := audit.Counts{Attempts: int64(3 * calls), Persisted: int64(2 * calls), Failed: int64(calls)}
			if got := store.Stats().Total(); got != counts {
				t.Errorf("counts %+v, want %+v", got, counts)
			}
		})
	}
}

func wantOnlyTheSecondToFail(t *testing.T, call string, results []audit.Result, err, want error) {
	t.Helper()
	failed, ok := errors.AsType[*audit.BatchError](err)
	if !ok || len(failed.Failures) != 1 || failed.Failures[0].Index != 1 || !errors.Is(err, want) {
		t.Errorf("%s() = %v, want the record at index 1 alone to fail with %v", call, err, want)
	}
	for _, i := range []int{0, 2} {
		if results[i].Outcome != audit.Persisted || results[i].Seq == 0 {
			t.Errorf("%s(): result %d is %+v, want Persisted", call, i, results[i])
		}
	}
}
