package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/hoc-analytics/coordaudit/internal/test/baseline"
)

// work is one thing to measure, for every contender that offers it.
type work struct {
	name    string
	callers int
	rows    int // records written per call; 0 for reads

	// of prepares the contender's calls. It returns nil if the contender does not offer the work.
	of func(c *contender, f *facts) preparing
}

// preparing makes the input of a call. A single caller's time does not include it.
type preparing func() (call, error)

type call func(ctx context.Context) error

// writes are measured on tables of every size.
func writes() []work {
	return []work{
		inserts(1), inserts(8), inserts(16), inserts(64),
		{name: insertInTx, callers: 1, rows: 1, of: insertTx},
		batches(100), batches(1000), batches(10_000),
	}
}

// reads are measured where the table has records to find.
func reads(f *facts) []work {
	if f.records == 0 {
		return nil
	}
	works := []work{
		{name: "get by id", callers: 1, of: get},
		{name: firstPage, callers: 1, of: page(f.firstPage)},
		{name: "timeline, first page", callers: 1, of: timeline},
		{name: "signals of 7 days", callers: 1, of: signals},
	}
	if f.deepPage.limit > 0 {
		works = append(works, work{
			name: fmt.Sprintf("page %d by tenant, of %d", f.deepPage.number(), f.deepPage.limit), callers: 1, of: page(f.deepPage),
		})
	}
	return works
}

// The names that the command check looks for.
const (
	insertInTx = "insert in a caller's transaction"
	firstPage  = "first page by tenant"
)

func insertName(callers int) string {
	if callers == 1 {
		return "insert, 1 caller"
	}
	return fmt.Sprintf("insert, %d callers", callers)
}

func batchName(rows int) string { return fmt.Sprintf("batch of %d", rows) }

func inserts(callers int) work {
	return work{name: insertName(callers), callers: callers, rows: 1, of: func(c *contender, _ *facts) preparing {
		if c.insert == nil {
			return nil
		}
		return func() (call, error) {
			rec, err := baseline.Record()
			return func(ctx context.Context) error { return c.insert(ctx, rec) }, err
		}
	}}
}

func insertTx(c *contender, _ *facts) preparing {
	if c.insertTx == nil {
		return nil
	}
	return func() (call, error) {
		rec, err := baseline.Record()
		return func(ctx context.Context) error { return c.insertTx(ctx, rec) }, err
	}
}

func batches(rows int) work {
	return work{name: batchName(rows), callers: 1, rows: rows, of: func(c *contender, _ *facts) preparing {
		if c.insertMany == nil {
			return nil
		}
		return func() (call, error) {
			recs, err := baseline.Records(rows)
			return func(ctx context.Context) error { return c.insertMany(ctx, recs) }, err
		}
	}}
}

func get(c *contender, f *facts) preparing {
	if c.get == nil {
		return nil
	}
	var next atomic.Uint64
	return func() (call, error) {
		id := f.ids[next.Add(1)%uint64(len(f.ids))]
		return expect(1, func(ctx context.Context) (answer, error) { return c.get(ctx, id) }), nil
	}
}

func page(q pageQuery) func(*contender, *facts) preparing {
	return func(c *contender, _ *facts) preparing {
		if c.page == nil {
			return nil
		}
		return always(expect(q.limit, func(ctx context.Context) (answer, error) { return c.page(ctx, q) }))
	}
}

func timeline(c *contender, _ *facts) preparing {
	if c.timeline == nil {
		return nil
	}
	return always(expect(1, func(ctx context.Context) (answer, error) { return c.timeline(ctx, envelope, 100) }))
}

func signals(c *contender, f *facts) preparing {
	if c.signals == nil {
		return nil
	}
	return always(expect(1, func(ctx context.Context) (answer, error) { return c.signals(ctx, f.since, f.until) }))
}

func always(c call) preparing { return func() (call, error) { return c, nil } }

// expect fails a call that found fewer rows than the others find.
func expect(rows int, read func(ctx context.Context) (answer, error)) call {
	return func(ctx context.Context) error {
		found, err := read(ctx)
		if err == nil && found.rows < rows {
			return fmt.Errorf("reading: %d rows came back, %d were expected", found.rows, rows)
		}
		return err
	}
}
