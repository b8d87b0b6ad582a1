package doctor

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// sound is a cluster with which nothing is wrong.
func sound() cluster {
	return cluster{
		Distribution: catalog.Distribution{
			Version: "13.2", Coordinator: true, Workers: 2, CachedConnections: 4,
			Tables: []catalog.Distributed{{Name: recordsTable, Method: "h", Key: "audit_id", Shards: 8}},
		},
		RecoverEvery: 60_000, Commutative: true, Database: "audit",
		Workers: []answer{{Node: "a:5432", OK: true, Result: "0"}, {Node: "b:5432", OK: true, Result: "60"}},
	}
}

func TestAClusterIsJudged(t *testing.T) {
	t.Parallel()
	if list := sound().judge(defaultLimits()); len(list) > 0 {
		t.Errorf("a sound cluster: %v, want nothing", list)
	}
	for name, one := range map[string]struct {
		change   func(*cluster)
		severity Severity
		texts    []string
	}{
		"OnAWorker":  {func(c *cluster) { c.Coordinator = false }, Error, []string{"it leads to a worker", "name the coordinator"}},
		"Inactive":   {func(c *cluster) { c.Inactive = []string{"b:5432"} }, Error, []string{"node b:5432", "citus_activate_node"}},
		"Silent":     {func(c *cluster) { c.Workers[1] = answer{Node: "b:5432", Result: "connection refused"} }, Error, []string{"worker b:5432", "connection refused"}},
		"Prepared":   {func(c *cluster) { c.Workers[1].Result = "121" }, Warning, []string{"worker b:5432", "recover_prepared_transactions"}},
		"NoRecovery": {func(c *cluster) { c.RecoverEvery = -1 }, Error, []string{"citus.recover_2pc_interval", "RESET"}},
		"Triggers":   {func(c *cluster) { c.UnsafeTriggers = true }, Notice, []string{"citus.enable_unsafe_triggers"}},
		"Exclusive":  {func(c *cluster) { c.Commutative = false }, Warning, []string{"ALTER DATABASE audit SET citus.all_modifications_commutative = on"}},
		"OddShards":  {func(c *cluster) { c.Tables[0].Shards = 9 }, Warning, []string{"citus.max_cached_conns_per_worker = 5"}},
		"OneCached":  {func(c *cluster) { c.CachedConnections = 1 }, Warning, []string{"citus.max_cached_conns_per_worker = 4"}},
		"WithoutGuard": {func(c *cluster) {
			c.Unguarded = []guarded{{Table: recordsTable, Trigger: "guard", Shards: []string{"102008"}}}
		}, Error, []string{"102008", "guard"}},
		"WithoutRight": {func(c *cluster) { c.Rightless = []rightless{{recordsTable, "writer", "INSERT", []string{"102008"}}} }, Error, []string{"102008", "role writer has INSERT", "migrate grants"}},
		"WithoutLogin": {func(c *cluster) { c.Rightless = []rightless{{recordsTable, "writer", "LOGIN", []string{"102008"}}} }, Error, []string{"102008", "role writer may not log in", "CREATE ROLE writer LOGIN"}},
	} {
		c := sound()
		one.change(&c)
		list := c.judge(defaultLimits())
		if len(list) != 1 || list[0].Severity != one.severity || slices.ContainsFunc(one.texts, func(text string) bool { return !strings.Contains(list[0].String(), text) }) {
			t.Errorf("%s: %v, want %s with %q", name, list, one.severity, one.texts)
		}
	}
}

// Without Citus, and where nothing is distributed, there is nothing to say.
func TestNoClusterIsQuiet(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	examine(t, db.Pool, nil).mustBeQuiet(t, "cluster")
	migrated := testdb.New(t)
	if migrated.Distributed {
		t.Skip("the trail is distributed")
	}
	examine(t, migrated.Pool, nil).mustBeQuiet(t, "cluster")
}

func TestADistributedTrailIsExamined(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, true)
	x := examine(t, db.Pool, nil)
	before := x.run(t, "cluster")
	for _, f := range before {
		if f.Severity == Error || f.Severity == Unchecked {
			t.Errorf("a new cluster: %v", f)
		}
	}
	// On the worker, as one does who wants to change a row there.
	fixture.MustExec(t, db.Pool, "SELECT run_command_on_shards('coordination_audit_gaps', 'ALTER TABLE %s DISABLE TRIGGER USER')")
	x.mustFind(t, "cluster", Error, "shards of coordination_audit_gaps", "8 shards", "coordination_audit_gaps_refuse_update_delete")
	x.mustFind(t, "cluster", Error, "shards of coordination_audit_gaps", "8 shards", "coordination_audit_gaps_refuse_truncate")
	x.mustBeQuiet(t, "guards")
	for _, f := range x.run(t, "cluster") {
		if f.Object == "shards of coordination_audit_gaps" {
			if _, err := db.Pool.Exec(t.Context(), f.Repair, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Errorf("%s: %v", f.Repair, err)
			}
		}
	}
	if after := x.run(t, "cluster"); !slices.Equal(after, before) {
		t.Errorf("after the repair: %v, want %v", after, before)
	}
	answers := fixture.QueryText(t, db.Pool, `SELECT string_agg(result, ' ') FROM run_command_on_shards('coordination_audit_gaps',
		$cmd$ DO $do$ BEGIN PERFORM set_config('citus.enable_manual_changes_to_shards', 'on', true); TRUNCATE %s; END $do$ $cmd$)`)
	if n := strings.Count(answers, "immutable"); n != 8 {
		t.Errorf("%d of 8 shards refuse TRUNCATE after the repair: %s", n, answers)
	}
}

// A shard that was moved has lost the rights of writers, who are refused there.
func TestAMovedShardWithoutRightsIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, true)
	writer, reader := newRole(t, db), newRole(t, db)
	fixture.MustExec(t, db.Pool, "ALTER ROLE "+writer+" LOGIN")
	migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: fixture.Quiet().Logger})
	grant := func() {
		t.Helper()
		if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Writers: []string{writer}}); err != nil {
			t.Fatal(err)
		}
	}
	grant()
	sealer := newRole(t, db)
	fixture.MustExec(t, db.Pool, "ALTER ROLE "+sealer+" LOGIN")
	if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Sealers: []string{sealer}}); err != nil {
		t.Fatal(err)
	}
	x := examine(t, db.Pool, nil)
	for _, f := range x.run(t, "cluster") {
		if f.Severity == Error || f.Severity == Unchecked {
			t.Errorf("with the rights of a writer: %v", f)
		}
	}
	fixture.MustExec(t, db.Pool, `
		SELECT citus_move_shard_placement(p.shardid, p.nodename, p.nodeport, n.nodename, n.nodeport, 'block_writes')
		FROM pg_dist_shard_placement AS p
		JOIN pg_dist_node AS n ON n.groupid > 0 AND (n.nodename, n.nodeport) <> (p.nodename, p.nodeport)
		WHERE p.shardid = (SELECT min(shardid) FROM pg_dist_shard WHERE logicalrelid = 'coordination_audit_records'::regclass)`)
	x.mustFind(t, "cluster", Error, "shards of coordination_audit_records", writer+" has INSERT", "1 shard (", "migrate grants")
	for _, f := range x.run(t, "cluster") {
		if strings.Contains(f.Evidence, sealer) {
			t.Errorf("a sealer may set every column: %v", f)
		}
	}
	grant()
	for _, f := range x.run(t, "cluster") {
		if f.Severity == Error {
			t.Errorf("after the grants: %v", f)
		}
	}
	fixture.MustExec(t, db.Pool, "GRANT SELECT ON coordination_audit_records TO "+reader)
	fixture.MustExec(t, db.Pool, "SELECT run_command_on_shards('coordination_audit_records', 'REVOKE SELECT ON %s FROM "+reader+"')")
	x.mustFind(t, "cluster", Error, "shards of coordination_audit_records", reader+" has SELECT", "8 shards", "migrate grants")
}

// Of the shards of a worker that is away, nothing is said but that it is.
func TestAWorkerThatIsAwayIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.NewOnCluster(t, true)
	x := examine(t, db.Pool, nil)
	name, back := db.LoseWorker(t)
	x.mustFind(t, "cluster", Error, "worker "+name, "does not answer")
	for _, f := range x.run(t, "cluster") {
		if strings.HasPrefix(f.Object, "shards") {
			t.Errorf("a worker is away: %v", f)
		}
	}
	back()
	for _, f := range x.run(t, "cluster") {
		if f.Severity == Error {
			t.Errorf("the worker is back: %v", f)
		}
	}
}
