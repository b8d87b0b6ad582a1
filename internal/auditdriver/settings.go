package auditdriver

import (
	"context"
	"slices"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// The planner's settings for what reads a window of time. An index of two columns counts as less
// ordered than it is: the planner takes a day of records for pages all over the table, and reads
// years of records instead.
const (
	// searchSettings make such a page cost as much as the next one. A window that is most of the table
	// is still read as a whole. No expressions are compiled, which takes longer than a page does.
	searchSettings = "SET LOCAL jit = off; SELECT pg_catalog.set_config('random_page_cost', pg_catalog.current_setting('seq_page_cost'), true)"

	// windowSettings are those of the signals:
	//
	//   - No expressions are compiled. That takes seconds, and a scan of a week gains less.
	//   - Records are read by an index, or by bitmaps where no index has their order.
	//   - Hashing only, where it can replace a sort or a nested loop. What a query has collected has no
	//     statistics, so the planner expects a row or two, or a group a row. Then a nested loop over a
	//     week of records takes minutes, and a sort of them most of a signal's time.
	//   - Parallel workers may pass many records on. By default the planner takes that for the work of
	//     ten reads, and it takes that of one.
	windowSettings = "SET LOCAL jit = off; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; " +
		"SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off; SET LOCAL parallel_tuple_cost = 0.01"
)

// readUnder is readMoment under settings of the planner. A savepoint ends them: what a caller reads
// next in the same moment needs other plans.
func (d *Driver) readUnder(ctx context.Context, settings string, steps ...func(context.Context, dbgen.DBTX) error) error {
	set := execute("SAVEPOINT coordaudit_settings; " + settings)
	all := slices.Concat([]func(context.Context, dbgen.DBTX) error{set}, steps)
	if d.moment != nil {
		all = append(all, execute("ROLLBACK TO SAVEPOINT coordaudit_settings; RELEASE SAVEPOINT coordaudit_settings"))
	}
	return d.readMoment(ctx, all...)
}

func execute(sql string) func(context.Context, dbgen.DBTX) error {
	return func(ctx context.Context, db dbgen.DBTX) error {
		_, err := db.Exec(ctx, sql)
		return err
	}
}

// search is readUnder for one statement that looks for records in a window.
func (d *Driver) search(ctx context.Context, work func(db dbgen.DBTX) error) error {
	return d.readUnder(ctx, searchSettings, func(_ context.Context, db dbgen.DBTX) error { return work(db) })
}
