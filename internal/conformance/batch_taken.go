package conformance

import (
	"errors"
	"testing"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// aBatchStoresTheOthersWhenATakenIDCannotBeRead: by the time that a taken id is
// looked up the other records are stored, so whatever comes of the look-up, it is
// that id's record alone that fails.
func aBatchStoresTheOthersWhenATakenIDCannotBeRead(t *testing.T, db Database) {
	const policy = `CREATE FUNCTION readable(tenant text) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN
			CASE tenant
				WHEN 'slow' THEN PERFORM pg_sleep(10);
				WHEN 'broken' THEN RAISE EXCEPTION 'no memory' USING ERRCODE = '53200';
				ELSE NULL;
			END CASE;
			RETURN tenant <> 'hidden';
		END $$`
	tests := map[string]error{ // the tenant of the taken id's record, and what its second one gets
		"hidden": audit.ErrRefused,
		"broken": audit.ErrUnavailable,
		"slow":   audit.ErrUnavailable,
	}
	for tenant, want := range tests {
		t.Run(tenant, func(t *testing.T) {
			t.Parallel()
			db := db.another(t)
			taken := newRecord()
			taken.TenantID = tenant
			mustPersist(t, newStore(db), taken)
			mustExec(t, db.Pool, policy)
			mustExec(t, db.Pool, "ALTER TABLE coordination_audit_records ENABLE ROW LEVEL SECURITY")
			mustExec(t, db.Pool, "CREATE POLICY readable ON coordination_audit_records USING (readable(tenant_id)) WITH CHECK (true)")
			pool, _ := poolAsPlainRole(t, db, "INSERT, SELECT ON coordination_audit_records", "CREATE ON SCHEMA public")
			store := coordaudit.New(pool, impatient())
			taken.TenantID = "acme"

			receipts, err := store.PersistMany(t.Context(), []audit.Record{newRecord(), taken, newRecord()})
			wantOnlyTheSecondToFail(t, "PersistMany", receipts, err, want)
			tx := callersTx(t, pool)
			receipts, err = store.PersistManyTx(t.Context(), tx, []audit.Record{newRecord(), taken, newRecord()})
			wantOnlyTheSecondToFail(t, "PersistManyTx", receipts, err, want)
			commit(t, tx)

			if n := countRecords(t, db.Pool); n != 5 {
				t.Errorf("%d rows, want the taken one and the four others", n)
			}
			counts := audit.Counts{Attempts: 6, Persisted: 4, Failed: 2}
			if got := store.Stats().Total(); got != counts {
				t.Errorf("counts %+v, want %+v", got, counts)
			}
		})
	}
}

func wantOnlyTheSecondToFail(t *testing.T, call string, receipts []audit.Receipt, err, want error) {
	t.Helper()
	failed, ok := errors.AsType[*audit.BatchError](err)
	if !ok || len(failed.Failures) != 1 || failed.Failures[0].Index != 1 || !errors.Is(err, want) {
		t.Errorf("%s() = %v, want the record at index 1 alone to fail with %v", call, err, want)
	}
	for _, i := range []int{0, 2} {
		if receipts[i].Outcome != audit.Persisted || receipts[i].Seq == 0 {
			t.Errorf("%s(): receipt %d is %+v, want Persisted", call, i, receipts[i])
		}
	}
}
