package recorder

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// onOneShard executes a statement on the first shard of each worker. Its %s is the shard's name.
func onOneShard(t *testing.T, db frame.Database, statement string) {
	t.Helper()
	frame.OnWorkers(t, db, fmt.Sprintf(`
		DO $do$ BEGIN EXECUTE format($fmt$%s$fmt$, (
			SELECT c.oid::regclass FROM pg_class AS c WHERE c.relname ~ '^coordination_audit_records_[0-9]+$' ORDER BY c.relname LIMIT 1
		)); END $do$`, statement))
}

// shardFaultBlamesNoRecord: a shard is a table of its own. That another one accepts a record
// proves nothing about those that it refuses.
func shardFaultBlamesNoRecord(t *testing.T, db frame.Database) {
	for name, fault := range map[string]struct{ breaks, repair string }{
		"Rights": { // as those of a shard that was moved
			"REVOKE INSERT ON %s FROM writer", "GRANT INSERT ON %s TO writer",
		},
		"Check": {
			"ALTER TABLE %s ADD CONSTRAINT dba CHECK (false) NOT VALID", "ALTER TABLE %s DROP CONSTRAINT dba",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := db.Another(t)
			pool, writer := frame.PoolAsPlainRole(t, db, "INSERT, SELECT ON coordination_audit_records", "INSERT, SELECT ON coordination_audit_gaps", "INSERT, SELECT ON coordination_audit_statements")
			config := frame.Hasty(t)
			recorder := frame.NewRecorder(t, coordaudit.New(pool, fixture.Quiet()), config)
			onOneShard(t, db, strings.ReplaceAll(fault.breaks, "writer", writer))
			frame.EnqueueAll(t, recorder, fixture.NewRecords(200))
			fixture.EventuallyWithin(t, time.Minute, func() bool {
				return recorder.Stats().Retries >= 5 || recorder.Stats().Total().Rejected > 0
			})
			if total := recorder.Stats().Total(); total.Rejected != 0 || total.Dropped != 0 {
				t.Errorf("records are blamed for a fault of a shard: %+v", total)
			}
			if n := fixture.CountRecords(t, db.Pool); n == 0 {
				t.Error("records of the other shards wait, too")
			}
			onOneShard(t, db, strings.ReplaceAll(fault.repair, "writer", writer))
			fixture.EventuallyWithin(t, time.Minute, func() bool { return fixture.CountRecords(t, db.Pool) == 200 })
			frame.CloseRecorder(t, recorder)
			if kept := rejected(t, config.SpoolDir); len(kept) > 0 {
				t.Errorf("%d records are in rejected, the first since %q", len(kept), kept[0].Reason)
			}
		})
	}
}
