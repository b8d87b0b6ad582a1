package auditdriver

import (
	"cmp"
	"context"
	"math/bits"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Testimony is what statements and rows say of the sources of a window, at one moment.
type Testimony struct {
	At         time.Time
	Sources    map[uuid.UUID]Source
	Unnumbered int64
}

// Source is the testimony about one source. Its statements are in order.
type Source struct {
	Statements []completeness.Statement
	Rows       completeness.Rows
}

const errHiddenRows plainError = "row-level security may hide records from this role, so nothing can be said about what is missing: " +
	"ask as a role that it does not apply to"

// roomToGather lets the server count the buckets of some ten million rows in memory. Spilled
// to disk, they take twice the time. It ends with the moment's transaction.
const roomToGather = "SET LOCAL work_mem = '64MB'"

// Testify reads what there is to judge the completeness of the sources that made a statement
// in a normalized, valid window, or whose rows were inserted in it.
func (d *Driver) Testify(ctx context.Context, window audit.Window) (t Testimony, err error) {
	t.Sources = map[uuid.UUID]Source{}
	since, last := bounds(window)
	var all gathered
	err = d.readMoment(ctx, func(ctx context.Context, db dbgen.DBTX) error {
		_, err := db.Exec(ctx, roomToGather)
		return err
	}, func(ctx context.Context, db dbgen.DBTX) error {
		row, err := d.queries.HidesFromCompleteness(ctx, db)
		if err == nil && row.Hides {
			err = &StatementError{Kind: audit.ErrRefused, cause: errHiddenRows}
		}
		t.At = fromPGTime(row.At)
		return err
	}, func(ctx context.Context, db dbgen.DBTX) error {
		rows, err := d.queries.GatherOrdinals(ctx, db)
		if err != nil {
			return err
		}
		all, err = gather(rows)
		t.Unnumbered = all.unnumbered
		return err
	}, func(ctx context.Context, db dbgen.DBTX) error {
		return t.addStatements(ctx, db, d.queries, dbgen.ListAuditStatementsParams{
			Sources: allToPG(all.between(since, last)), Since: toPGTime(since), Last: toPGTime(last),
		})
	}, func(ctx context.Context, db dbgen.DBTX) error { return d.findRepeated(ctx, db, all) },
		func(ctx context.Context, db dbgen.DBTX) error { return d.findExpired(ctx, db, t) })
	t.addRows(all, since, last)
	return t, err
}

func (t *Testimony) addStatements(ctx context.Context, db dbgen.DBTX, queries *dbgen.Queries, params dbgen.ListAuditStatementsParams) error {
	rows, err := queries.ListAuditStatements(ctx, db, params)
	if err != nil {
		return err
	}
	for i := range rows {
		statement, err := fromStatementRow(rows[i])
		if err != nil {
			return err
		}
		source := t.Sources[statement.SourceID]
		source.Statements = append(source.Statements, statement)
		t.Sources[statement.SourceID] = source
	}
	return nil
}

func (t *Testimony) addRows(all gathered, since, last time.Time) {
	for _, id := range all.between(since, last) {
		t.Sources[id] = Source{Statements: t.Sources[id].Statements, Rows: completeness.Rows{Expired: t.Sources[id].Rows.Expired}}
	}
	for id, source := range t.Sources {
		if of := all.sources[id]; of != nil {
			expired := source.Rows.Expired
			source.Rows = of.rows
			source.Rows.Expired = expired
			t.Sources[id] = source
		}
	}
}

// bucketSize is the number of ordinals that GatherOrdinals counts together.
const bucketSize = 64

// gathered are the rows of all sources.
type gathered struct {
	sources    map[uuid.UUID]*sourceRows
	unnumbered int64
}

type sourceRows struct {
	rows        completeness.Rows
	first, last time.Time // when rows were inserted
	repeated    []int64   // the buckets in which ordinals are repeated
}

// between returns the sources whose rows were inserted in a window that includes its end.
func (g gathered) between(since, last time.Time) (sources []uuid.UUID) {
	for id, of := range g.sources {
		if !of.last.Before(since) && !of.first.After(last) {
			sources = append(sources, id)
		}
	}
	return sources
}

func gather(rows []dbgen.GatherOrdinalsRow) (gathered, error) {
	all := gathered{sources: map[uuid.UUID]*sourceRows{}}
	for i := range rows {
		row := &rows[i]
		if !row.SourceID.Valid {
			all.unnumbered = row.Records
			continue
		}
		of := &sourceRows{first: fromPGTime(row.FirstCreated), last: fromPGTime(row.LastCreated)}
		full, err := completeness.ParseSet(row.FullBuckets)
		if err != nil {
			return all, err
		}
		of.add(full, row)
		all.sources[row.SourceID.Bytes] = of
	}
	return all, nil
}

// add takes over the ordinals of the full buckets and of the others, in ascending order: a set
// grows fast at its end only.
func (of *sourceRows) add(full completeness.Set, row *dbgen.GatherOrdinalsRow) {
	places := make([]int, len(row.OtherBuckets))
	for i := range places {
		places[i] = i
	}
	slices.SortFunc(places, func(a, b int) int { return cmp.Compare(row.OtherBuckets[a], row.OtherBuckets[b]) })
	for _, i := range places {
		bucket := row.OtherBuckets[i]
		for len(full) > 0 && full[0].First < bucket {
			of.addFull(full[0])
			full = full[1:]
		}
		ordinals := uint64(row.OtherOrdinals[i])
		addBucket(&of.rows.Present, bucket, ordinals)
		if int64(bits.OnesCount64(ordinals)) != row.OtherRecords[i] {
			of.repeated = append(of.repeated, bucket)
		}
	}
	for _, buckets := range full {
		of.addFull(buckets)
	}
}

func (of *sourceRows) addFull(buckets completeness.Range) {
	of.rows.Present.Add(buckets.First*bucketSize, buckets.Last*bucketSize+bucketSize-1)
}

func addBucket(present *completeness.Set, bucket int64, ordinals uint64) {
	for ordinals != 0 {
		first := bits.TrailingZeros64(ordinals)
		run := bits.TrailingZeros64(^(ordinals >> first))
		present.Add(bucket*bucketSize+int64(first), bucket*bucketSize+int64(first+run)-1)
		if first+run >= bucketSize {
			return
		}
		ordinals &^= 1<<(first+run) - 1
	}
}

// findRepeated finds the ordinals that several rows carry. There are none unless someone has
// forged a row or set a database back.
func (d *Driver) findRepeated(ctx context.Context, db dbgen.DBTX, all gathered) error {
	for id, of := range all.sources {
		if len(of.repeated) == 0 {
			continue
		}
		ordinals, err := d.queries.ListRepeatedOrdinals(ctx, db, dbgen.ListRepeatedOrdinalsParams{SourceID: toPG(id), Buckets: of.repeated})
		if err != nil {
			return err
		}
		of.rows.Repeated = completeness.SetOf(ordinals...)
	}
	return nil
}

// findExpired finds the ordinals of the records that have left for an archive. A role that may
// not read the events gets none, so it takes these ordinals for unexplained.
func (d *Driver) findExpired(ctx context.Context, db dbgen.DBTX, t Testimony) error {
	reads, err := d.queries.ReadsExpired(ctx, db)
	if err != nil || !reads {
		return err
	}
	rows, err := d.queries.ListExpiredOrdinals(ctx, db)
	if err != nil {
		return err
	}
	expired := map[uuid.UUID][]completeness.Set{}
	for _, row := range rows {
		if _, asked := t.Sources[row.SourceID.Bytes]; !asked {
			continue // it made no statement in the window
		}
		ordinals, err := completeness.ParseSet(row.Ordinals)
		if err != nil {
			return unreadableOrdinals("an event says that ordinals of source " + uuid.UUID(row.SourceID.Bytes).String() + " have expired")
		}
		expired[row.SourceID.Bytes] = append(expired[row.SourceID.Bytes], ordinals)
	}
	for id, sets := range expired {
		source := t.Sources[id]
		source.Rows.Expired = completeness.Union(sets...)
		t.Sources[id] = source
	}
	return nil
}
