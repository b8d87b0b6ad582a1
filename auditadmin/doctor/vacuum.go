package doctor

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

type tableActivity struct {
	Name     string `json:"name"`
	Rows     int64  `json:"rows"`     // as the planner believes, -1: no one has looked
	Changed  int64  `json:"changed"`  // since the last ANALYZE
	Analyzed bool   `json:"analyzed"` // ever, as far as the statistics go
	Off      bool   `json:"off"`      // autovacuum, for this table
	Age      int64  `json:"age"`      // of the oldest transaction
	MXAge    int64  `json:"mxage"`    // of the oldest multixact
}

const activityQuery = `
	SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(x) ORDER BY x.name), '[]')::text
	FROM (
		SELECT
			pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
			c.reltuples::bigint AS rows,
			pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS changed,
			coalesce(pg_catalog.pg_stat_get_last_analyze_time(c.oid), pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)) IS NOT NULL AS analyzed,
			EXISTS (
				SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) AS o
				WHERE o.option_name = 'autovacuum_enabled' AND o.option_value IN ('false', 'off', 'no', '0')
			) AS off,
			pg_catalog.age(c.relfrozenxid) AS age,
			pg_catalog.mxid_age(c.relminmxid) AS mxage
		FROM pg_catalog.pg_class AS c
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE c.oid = ANY ($1::text[]::regclass[]) AND c.relkind = 'r'
	) AS x`

func (x *examination) activity(ctx context.Context) (list []tableActivity, err error) {
	return list, x.ask(ctx, &list, activityQuery, x.tables())
}

// checkStatistics finds tables of which the planner has an old picture, as after a restore or
// a large import.
func checkStatistics(ctx context.Context, x *examination) ([]Finding, error) {
	if x.server.Recovery { // a standby has no counters of its own, and the primary's statistics
		return nil, nil
	}
	tables, err := x.activity(ctx)
	if err != nil {
		return nil, err
	}
	var list []Finding
	for _, t := range tables {
		f := Finding{Severity: Warning, Object: "table " + t.Name, Repair: "ANALYZE " + t.Name + ";"}
		switch {
		case t.Changed < x.limits.changedRows:
			continue
		case t.Rows < 0:
			f.Evidence = format.Plural(t.Changed, "new row") + ", and the planner has no statistics: it may read the whole table where an index would do"
		case float64(t.Changed) >= x.limits.changedShare*float64(t.Rows):
			f.Evidence = fmt.Sprintf("%s since the statistics were made of %s: plans may be those of a small table", format.Plural(t.Changed, "row"), format.Plural(t.Rows, "row"))
		default:
			continue
		}
		list = append(list, f)
	}
	return list, nil
}

func checkAutovacuum(ctx context.Context, x *examination) ([]Finding, error) {
	var list []Finding
	for _, setting := range []struct{ name, meaning string }{
		{"autovacuum", "no one freezes rows, makes statistics and maintains the visibility map, until the server does the first by force"},
		{"track_counts", "autovacuum does not learn what to do"},
	} {
		found, err := x.settingOff(ctx, setting.name, setting.meaning)
		if err != nil {
			return list, err
		}
		for i := range found {
			found[i].Severity = Warning
		}
		list = append(list, found...)
	}
	tables, err := x.activity(ctx)
	if err != nil {
		return list, err
	}
	for _, t := range tables {
		if t.Off {
			list = append(list, Finding{
				Severity: Warning, Object: "table " + t.Name, Evidence: "autovacuum is off for it", Repair: "ALTER TABLE " + t.Name + " RESET (autovacuum_enabled);",
			})
		}
	}
	return list, nil
}

type freezing struct {
	Database string `json:"database"`
	Age      int64  `json:"age"`
	MXAge    int64  `json:"mxage"`
	Max      int64  `json:"max"`   // autovacuum_freeze_max_age
	MXMax    int64  `json:"mxmax"` // autovacuum_multixact_freeze_max_age
}

// checkWraparound compares the age of the oldest transaction with the bound at which
// autovacuum freezes by force. At about 2 billion the server refuses all writes.
func checkWraparound(ctx context.Context, x *examination) ([]Finding, error) {
	var found freezing
	err := x.ask(ctx, &found, `
		SELECT pg_catalog.jsonb_build_object(
			'database', pg_catalog.quote_ident(d.datname),
			'age', pg_catalog.age(d.datfrozenxid),
			'mxage', pg_catalog.mxid_age(d.datminmxid),
			'max', pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint,
			'mxmax', pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::bigint
		)::text
		FROM pg_catalog.pg_database AS d
		WHERE d.datname = pg_catalog.current_database()`)
	if err != nil {
		return nil, err
	}
	var list []Finding
	add := func(object, what string, age, most int64, repair string) {
		if float64(age) < x.limits.freezeFactor*float64(most) && age < x.limits.failAge {
			return
		}
		f := Finding{Severity: Warning, Object: object, Repair: repair}
		if age >= x.limits.failAge {
			f.Severity = Error
		}
		f.Evidence = fmt.Sprintf("its oldest %s is %s old, and vacuum should have frozen it at %s: at about 2 billion the server refuses every write. See the check fence, replication slots and old sessions for what holds vacuum up",
			what, format.Thousands(age), format.Thousands(most))
		list = append(list, f)
	}
	database := "database " + found.Database
	add(database, "transaction", found.Age, found.Max, "VACUUM (FREEZE); as a superuser, in this database")
	add(database, "multixact", found.MXAge, found.MXMax, "VACUUM (FREEZE); as a superuser, in this database")
	tables, err := x.activity(ctx)
	if err != nil {
		return list, err
	}
	for _, t := range tables {
		add("table "+t.Name, "transaction", t.Age, found.Max, "VACUUM (FREEZE) "+t.Name+";")
		add("table "+t.Name, "multixact", t.MXAge, found.MXMax, "VACUUM (FREEZE) "+t.Name+";")
	}
	return list, nil
}
