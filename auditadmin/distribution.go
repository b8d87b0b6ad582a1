package auditadmin

import (
	"fmt"
	"slices"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/internal/clusterschema"
)

// placement says where the rows of a table are on a Citus cluster.
type placement struct {
	table string
	key   string // the distribution column; "" keeps the table on the coordinator
}

// placements are the tables whose rows go to the workers. Each key is in the table's primary
// key, because nothing else can be kept unique across nodes, and each statement that is sent
// for one row names it, so it is sent to one shard.
//
// The other tables of the seal stay on the coordinator. A checkpoint and its tiles are one commit
// of one node, which no worker can leave half done, and a checkpoint allows one successor
// for each size, by a second unique key that no distributed table can have. So does the
// version table. docs/citus.md has the sizes.
func placements() []placement {
	return []placement{
		{catalog.Records, "audit_id"},                  // a retry finds its record in one shard, and records spread evenly
		{"coordination_audit_gaps", "gap_id"},          // the same for gaps
		{"coordination_audit_statements", "source_id"}, // the statements of a source are read together
		{clusterschema.LeavesTable, "row_id"},          // next to the row that is sealed, with which it is joined
	}
}

// compareDistribution reports tables that are not where `migrate distribute` puts them. A
// database in which nothing is distributed differs in nothing: Citus may serve others.
func compareDistribution(found catalog.Distribution, tables catalog.Schema, schema string) []Difference {
	if len(found.Tables) == 0 {
		return nil
	}
	var list []Difference
	for _, want := range placements() {
		d := Difference{Object: "table " + schema + "." + want.table, Severity: Error, Want: "distributed by a hash of " + want.key}
		got := found.Table(want.table)
		switch {
		case got == nil && tables.Table(want.table) == nil && want.table == clusterschema.LeavesTable:
			d.Severity, d.Got = Notice, "missing: the trail can be neither sealed nor followed"
			d.Repair = "migrate distribute"
		case got == nil:
			d.Severity, d.Got = Notice, "on the coordinator only, next to tables that are distributed"
			d.Repair = "migrate distribute"
		case got.Method != "h" || got.Key != want.key:
			d.Got = distributedHow(*got)
			d.Repair = "cannot be repaired without moving rows: " + takeBack(tables.Table(want.table), schema, want.table) + "; then migrate distribute"
		default:
			continue
		}
		list = append(list, d)
	}
	return append(list, compareLocal(found, tables, schema)...)
}

// takeBack returns how the rows of a table come back to the coordinator.
func takeBack(table *catalog.Table, schema, name string) string {
	if table != nil && slices.ContainsFunc(table.Columns, func(c catalog.Column) bool { return c.Identity != "" }) {
		return "Citus takes back no table with an identity column, so dump the whole database and restore it on one server (docs/backup.md)"
	}
	return fmt.Sprintf("SELECT undistribute_table('%s.%s')", schema, name)
}

// compareLocal reports tables that should not be distributed.
func compareLocal(found catalog.Distribution, tables catalog.Schema, schema string) []Difference {
	var list []Difference
	for _, got := range found.Tables {
		wanted := false
		for _, want := range placements() {
			wanted = wanted || want.table == got.Name
		}
		if !wanted {
			list = append(list, Difference{
				Object: "table " + schema + "." + got.Name, Severity: Error, Want: "on the coordinator only", Got: distributedHow(got),
				Repair: takeBack(tables.Table(got.Name), schema, got.Name),
			})
		}
	}
	return list
}

func distributedHow(got catalog.Distributed) string {
	switch got.Method {
	case "h":
		return "distributed by a hash of " + got.Key
	case "n":
		return "a reference table, or one of a distributed schema"
	default:
		return "distributed in another way (" + got.Method + ")"
	}
}
