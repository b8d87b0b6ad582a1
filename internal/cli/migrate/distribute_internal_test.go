package migrate

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestDistributeWithoutACluster(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	got := migrate(t, db.URL, "distribute")
	if got.code != exitPending {
		t.Errorf("distribute without a trail: exit %d, want %d", got.code, exitPending)
	}
	checkStream(t, "stderr", got.stderr, []string{"migrate: distributing the trail: there is no complete trail: migrate up first"})
	for args, want := range map[string]string{"--shards=-1": "--shards must be positive", "--lock-timeout=0s": "--lock-timeout must be positive"} {
		if got := migrate(t, db.URL, "distribute", args); got.code != cli.ExitUsage {
			t.Errorf("distribute %s: exit %d, want wrong usage", args, got.code)
		} else {
			checkStream(t, "stderr", got.stderr, []string{want})
		}
	}
}

func TestDistribute(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, false)
	execute(t, db, insertRecord)
	got := migrate(t, db.URL, "distribute", "--shards", "4")
	checkStream(t, "stdout", got.stdout, []string{
		"distributed  coordination_audit_records by audit_id, 4 shards, 1 row moved\n",
		"distributed  coordination_audit_gaps by gap_id, 4 shards, 0 rows moved\n",
		"distributed  coordination_audit_statements by source_id, 4 shards, 0 rows moved\n",
	})
	again := migrate(t, db.URL, "distribute", "--json")
	checkStream(t, "stdout", again.stdout, []string{`{"tables":[{"name":"coordination_audit_records","key":"audit_id","shards":4,"moved":0,"now":false},`})
	if valid := migrate(t, db.URL, "validate"); got.code != cli.ExitDone || again.code != cli.ExitDone || valid.code != cli.ExitDone {
		t.Errorf("exits %d, %d and %d: %s%s%s", got.code, again.code, valid.code, got.stderr, again.stderr, valid.stderr)
	}
}
