package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/catalog"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// size is what the trail takes on the disk, with its indexes.
type size struct {
	Bytes   int64 `json:"bytes"`   // of all tables
	Records int64 `json:"records"` // of the table of records
	Rows    int64 `json:"rows"`    // about, -1: no one has looked
}

// row is a record at the edge of a window.
type row struct {
	Seq     int64     `json:"seq"`
	Created time.Time `json:"created"`
	Now     time.Time `json:"now"`
}

// growthWindow is the time that the rate is taken from: a week has all its days.
const growthWindow = 7 * 24 * time.Hour

// checkGrowth says when the disk is full if the trail grows as in the last week. SQL does not
// tell how much is free: without Config.DiskFree only the rate is known.
func checkGrowth(ctx context.Context, x *examination) ([]Finding, error) {
	if !x.has(recordsTable) {
		return nil, nil
	}
	var now size
	err := x.ask(ctx, &now, `
		SELECT pg_catalog.jsonb_build_object(
			'bytes', (SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(t::regclass)) FROM pg_catalog.unnest($1::text[]) AS t),
			'records', pg_catalog.pg_total_relation_size($2::text::regclass),
			'rows', (SELECT c.reltuples::bigint FROM pg_catalog.pg_class AS c WHERE c.oid = $2::text::regclass)
		)::text`, x.tables(), x.table(recordsTable))
	if err != nil {
		return nil, err
	}
	rate, err := x.rate(ctx)
	if err != nil || rate <= 0 || now.Rows <= 0 {
		return nil, err
	}
	// Gaps, statements and seals grow with the records.
	daily := rate * float64(now.Bytes) / float64(now.Rows)
	f := Finding{
		Severity: Notice, Object: "the trail",
		Evidence: fmt.Sprintf("%s in about %s records, and %s more each day (%.0f records)", format.Bytes(now.Bytes), format.Thousands(now.Rows), format.Bytes(int64(daily)), rate),
	}
	if x.config.DiskFree <= 0 {
		f.Evidence += "; the free space of its disk is not known to SQL"
		f.Repair = "--disk-free BYTES, as df says on the server, tells when it is full"
		return []Finding{f}, nil
	}
	days := float64(x.config.DiskFree) / daily
	f.Evidence += fmt.Sprintf("; %s free last for %d days", format.Bytes(x.config.DiskFree), int64(days))
	f.Repair = "a larger disk, or expiry of what need not be kept (coordaudit expire), before the server stops for lack of room"
	switch {
	case days < x.limits.daysError:
		f.Severity = Error
	case days < x.limits.daysWarning:
		f.Severity = Warning
	default:
		return nil, nil
	}
	return []Finding{f}, nil
}

// rate returns how many records a day were stored in the last week, or since the first one.
// Numbers that were given in that time and not used count as records.
func (x *examination) rate(ctx context.Context) (perDay float64, err error) {
	err = x.reading(ctx, func(tx pgx.Tx) error {
		last, err := x.edge(ctx, tx, "ORDER BY t.seq DESC", 0)
		if err != nil || last == nil {
			return err
		}
		first, err := x.firstSince(ctx, tx, last.Now.Add(-growthWindow), last)
		if err != nil {
			return err
		}
		if since := last.Now.Sub(first.Created); since >= time.Hour { // less says nothing of a day
			perDay = float64(last.Seq-first.Seq+1) / since.Hours() * 24
		}
		return nil
	})
	return perDay, err
}

// firstSince returns the first record that was stored since a time, or the last one. created_at
// has no index, but it grows with seq, which has: it is found by halving.
func (x *examination) firstSince(ctx context.Context, tx pgx.Tx, since time.Time, last *row) (*row, error) {
	found := last
	low, bound := int64(0), last.Seq // before the time up to low, not looked at between them
	for bound-low > 1 {
		middle := low + (bound-low)/2
		next, err := x.edge(ctx, tx, "ORDER BY t.seq", middle)
		switch {
		case err != nil:
			return nil, err
		case next == nil || next.Seq >= bound:
			bound = middle
		case next.Created.Before(since):
			low = next.Seq
		default:
			found, bound = next, middle
		}
	}
	return found, nil
}

// edge returns the first record in an order, from a seq on, or nil.
func (x *examination) edge(ctx context.Context, tx pgx.Tx, order string, from int64) (*row, error) {
	var found *row
	err := catalog.Query(ctx, tx, "asking for a record", &found, `
		SELECT coalesce((
			SELECT pg_catalog.jsonb_build_object('seq', t.seq, 'created', t.created_at, 'now', pg_catalog.clock_timestamp())
			FROM `+x.table(recordsTable)+` AS t
			WHERE t.seq >= $1::bigint
			`+order+`
			LIMIT 1
		), 'null')::text`, from)
	return found, err
}
