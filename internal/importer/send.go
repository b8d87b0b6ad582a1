package importer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

const (
	// sampledRecords of a refused batch are sent one by one, to see whether the
	// database refuses some of them or all.
	sampledRecords = 128

	// shortestPatience is what a database gets to answer for the first time.
	shortestPatience = 2 * time.Second

	// lastProbe is what it gets to answer when the patience is over.
	lastProbe = 500 * time.Millisecond
)

// load stores the batch's records, and waits for a database that is away. Sending them
// again is safe, even if the outcome is unknown. The error is never one that a record
// caused: those are in refused, by the record's index.
func (f *fileImport) load(ctx context.Context, b *batch) (loaded audit.Counts, refused map[int]error, err error) {
	if len(b.records) == 0 {
		return audit.Counts{}, nil, nil
	}
	if err := f.reach(ctx, b.lines[0].number); err != nil {
		return audit.Counts{}, nil, err
	}
	if err := f.number(ctx, b); err != nil {
		return audit.Counts{}, nil, err
	}
	err = f.patiently(ctx, b.lines[0].number, func() (err error) {
		loaded, err = f.all.batches().PersistManyFast(ctx, b.records)
		refused, err = refusals(err)
		return err
	})
	if errors.Is(err, audit.ErrRefused) {
		return f.split(ctx, b, err)
	}
	return loaded, refused, err
}

func (f *fileImport) sayAway(line int64, err error) {
	f.notice(line, fmt.Sprintf("%s; trying again for up to %s", format.OneLine(err), f.all.config.Patience))
}
