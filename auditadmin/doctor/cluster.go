package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// cluster is what the nodes of a Citus cluster say.
type cluster struct {
	catalog.Distribution

	UnsafeTriggers bool        `json:"unsafe_triggers"` // for every session
	Commutative    bool        `json:"commutative"`     // batches do not wait for each other
	Database       string      `json:"database"`        // quoted
	RecoverEvery   int         `json:"recover_every"`   // milliseconds; negative: never
	Workers        []answer    `json:"answers"`         // the age of the oldest prepared transaction of Citus on each worker
	Unguarded      []guarded   `json:"unguarded"`
	Rightless      []rightless `json:"rightless"`
}

// answer is what a node says, or why it says nothing.
type answer struct {
	Node   string `json:"node"`
	OK     bool   `json:"ok"`
	Result string `json:"result"`
}

// guarded is a table with shards that lack a trigger.
type guarded struct {
	Table   string   `json:"table"`
	Trigger string   `json:"trigger"`
	Shards  []string `json:"shards"`
	repair  string
}

// checkCluster looks at the workers of a trail that is distributed. Where it is not, there is
// nothing to look at: Citus may serve others.
func checkCluster(ctx context.Context, x *examination) ([]Finding, error) {
	if !x.has(recordsTable) {
		return nil, nil
	}
	var found cluster
	err := x.reading(ctx, func(tx pgx.Tx) (err error) {
		found.Distribution, err = catalog.ReadDistribution(ctx, tx, x.trail.Schema, x.trail.Tables)
		return err
	})
	if err != nil || len(found.Tables) == 0 {
		return nil, err
	}
	if found.Coordinator && len(found.Inactive) == 0 { // a node that is away would fail what follows
		if err := x.askWorkers(ctx, &found); err != nil {
			return nil, err
		}
	}
	return found.judge(x.limits), nil
}

func (x *examination) askWorkers(ctx context.Context, found *cluster) error {
	if err := x.ask(ctx, found, `
		SELECT pg_catalog.jsonb_build_object(
			'unsafe_triggers', pg_catalog.current_setting('citus.enable_unsafe_triggers') = 'on',
			'commutative', pg_catalog.current_setting('citus.all_modifications_commutative') = 'on',
			'database', pg_catalog.quote_ident(pg_catalog.current_database()),
			'recover_every', (SELECT s.setting::int FROM pg_catalog.pg_settings AS s WHERE s.name = 'citus.recover_2pc_interval'),
			'answers', (
				SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('node', w.nodename || ':' || w.nodeport, 'ok', w.success, 'result', w.result)), '[]')
				FROM pg_catalog.run_command_on_workers($cmd$
					SELECT coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.min(p.prepared)), 0)::bigint
					FROM pg_catalog.pg_prepared_xacts AS p
					WHERE p.database = pg_catalog.current_database() AND p.gid LIKE 'citus!_%' ESCAPE '!'
				$cmd$) AS w
			)
		)::text`); err != nil {
		return err
	}
	for _, table := range found.Tables {
		if err := x.askShards(ctx, found, table.Name); err != nil {
			return err
		}
		if err := x.askRights(ctx, found, table.Name); err != nil {
			return err
		}
	}
	return nil
}

// askShards looks for shards whose triggers are missing or not ENABLE ALWAYS. Those of a
// TRUNCATE are on a shard only if the table had them when it was distributed.
func (x *examination) askShards(ctx context.Context, found *cluster, table string) error {
	for trigger, kind := range map[string]int{
		catalog.Guard(table, "update_delete"): catalog.TriggerRow | catalog.TriggerBefore | catalog.TriggerUpdate | catalog.TriggerDelete,
		catalog.Guard(table, "truncate"):      catalog.TriggerBefore | catalog.TriggerTruncate,
	} {
		g := guarded{Table: table, Trigger: trigger, repair: x.guardShards(table, trigger, kind)}
		err := x.ask(ctx, &g.Shards, `
			SELECT coalesce(pg_catalog.jsonb_agg(s.shardid::text ORDER BY s.shardid), '[]')::text
			FROM pg_catalog.run_command_on_shards($1::text::regclass, pg_catalog.format($cmd$
				SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = '%%s'::regclass AND tgenabled = 'A' AND tgtype = %s
			$cmd$, $2::int)) AS s
			WHERE s.success AND s.result = '0'`, x.table(table), kind) // of a worker that is away, nothing is known
		if err != nil {
			return err
		}
		if len(g.Shards) > 0 {
			found.Unguarded = append(found.Unguarded, g)
		}
	}
	return nil
}

// guardShards returns the statements that make a trigger on every shard. One that is made on the
// table does not reach the shards if it is for TRUNCATE.
func (x *examination) guardShards(table, trigger string, kind int) string {
	fires := "BEFORE UPDATE OR DELETE ON %s FOR EACH ROW"
	if kind&catalog.TriggerTruncate != 0 {
		fires = "BEFORE TRUNCATE ON %s FOR EACH STATEMENT"
	}
	return fmt.Sprintf("SELECT * FROM run_command_on_shards('%[1]s', 'CREATE OR REPLACE TRIGGER %[2]s %[3]s EXECUTE FUNCTION %[4]s()'); "+
		"SELECT * FROM run_command_on_shards('%[1]s', 'ALTER TABLE %%s ENABLE ALWAYS TRIGGER %[2]s')",
		x.table(table), trigger, fires, x.table("coordination_audit_refuse_change"))
}

func (c cluster) judge(l limits) []Finding {
	list := c.judgeNodes()
	for _, g := range c.Unguarded {
		list = append(list, Finding{
			Severity: Error, Object: "shards of " + g.Table,
			Evidence: fmt.Sprintf("%s (%s) without trigger %s ENABLE ALWAYS: rows can be changed there, on the worker",
				format.Plural(int64(len(g.Shards)), "shard"), strings.Join(g.Shards, ", "), g.Trigger),
			Repair: g.repair,
		})
	}
	for _, r := range c.Rightless {
		list = append(list, r.judge())
	}
	if !c.Coordinator || len(c.Inactive) > 0 {
		return list
	}
	for _, w := range c.Workers {
		list = append(list, c.judgeWorker(w, l)...)
	}
	return append(list, c.judgeSettings()...)
}

func (c cluster) judgeNodes() []Finding {
	var list []Finding
	if !c.Coordinator {
		list = append(list, Finding{
			Severity: Error, Object: "this database URL", Evidence: "it leads to a worker: rows that are written here get seqs of another range, so their order is lost",
			Repair: "name the coordinator in the database URL of every service",
		})
	}
	for _, node := range c.Inactive {
		list = append(list, Finding{
			Severity: Error, Object: "node " + node, Evidence: "Citus does not use it: reads fail, and so do writes to its shards",
			Repair: "start it, then SELECT citus_activate_node with its name and port",
		})
	}
	return list
}

// judgeWorker reports a commit that came to only some of the workers. Citus completes it.
func (c cluster) judgeWorker(w answer, l limits) []Finding {
	if !w.OK {
		return []Finding{{
			Severity: Error, Object: "worker " + w.Node, Evidence: "it does not answer: " + w.Result,
			Repair: "start it, and see that the coordinator may log in there as this role (pg_hba.conf)",
		}}
	}
	var seconds int64
	if _, err := fmt.Sscan(w.Result, &seconds); err != nil || time.Duration(seconds)*time.Second < l.prepared {
		return nil
	}
	return []Finding{{
		Severity: Warning, Object: "worker " + w.Node,
		Evidence: fmt.Sprintf("a transaction has been prepared there for %s: a batch that was acknowledged is short until it is completed", format.Age(time.Duration(seconds)*time.Second)),
		Repair:   "SELECT recover_prepared_transactions();",
	}}
}

func (c cluster) judgeSettings() []Finding {
	var list []Finding
	if c.RecoverEvery < 0 {
		list = append(list, Finding{
			Severity: Error, Object: "setting citus.recover_2pc_interval", Evidence: "off: a commit that came to only some of the workers is never completed",
			Repair: "ALTER SYSTEM RESET citus.recover_2pc_interval; SELECT pg_reload_conf();",
		})
	}
	if c.UnsafeTriggers {
		list = append(list, Finding{
			Severity: Notice, Object: "setting citus.enable_unsafe_triggers", Evidence: "on for every session, and migrate sets it by itself where it is needed",
			Repair: "reset it where it is set: ALTER SYSTEM, ALTER DATABASE or ALTER ROLE … RESET citus.enable_unsafe_triggers",
		})
	}
	if !c.Commutative {
		list = append(list, Finding{
			Severity: Warning, Object: "setting citus.all_modifications_commutative",
			Evidence: "off: a batch locks its shards, so that one in an open transaction holds up the batches of all others",
			Repair:   "ALTER DATABASE " + c.Database + " SET citus.all_modifications_commutative = on; records are only added, in any order",
		})
	}
	records := c.Table(recordsTable)
	if records == nil || c.Distribution.Workers == 0 {
		return list
	}
	// Rounded up: a batch opens a connection for each shard of a worker.
	each := (records.Shards + c.Distribution.Workers - 1) / c.Distribution.Workers
	if c.CachedConnections < each {
		list = append(list, Finding{
			Severity: Warning, Object: "setting citus.max_cached_conns_per_worker",
			Evidence: fmt.Sprintf("%d, and each worker has %s of %s: every batch opens the other connections again", c.CachedConnections, format.Plural(int64(each), "shard"), recordsTable),
			Repair:   fmt.Sprintf("ALTER SYSTEM SET citus.max_cached_conns_per_worker = %d; SELECT pg_reload_conf(); if the workers' max_connections allows that many for each session", each),
		})
	}
	return list
}
