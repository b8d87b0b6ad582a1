package importer

import (
	"context"
	"errors"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/format"
)

// number gives the batch's records ordinals of this import, which is a source. A record that
// carries one keeps it. An import whose role may not make statements stores the records
// without.
func (f *fileImport) number(ctx context.Context, b *batch) error {
	line := b.lines[0].number
	err := f.patiently(ctx, line, func() error {
		if f.all.source == nil && !f.all.unnumbered {
			source, err := f.all.config.Store.NewSource(ctx, "")
			if err != nil {
				return err
			}
			f.all.source = source
		}
		if f.all.unnumbered {
			return nil
		}
		return f.all.source.Number(ctx, b.records)
	})
	if errors.Is(err, audit.ErrRefused) {
		f.all.unnumbered = true
		f.notice(line, "the records get no ordinals, so no one can tell later whether one is missing: "+format.OneLine(err))
		return nil
	}
	return err
}

// batches stores batches: the import's source, or the store if there is none.
type batches interface {
	PersistMany(ctx context.Context, recs []audit.Record) ([]audit.Result, error)
	PersistManyFast(ctx context.Context, recs []audit.Record) (audit.Counts, error)
}

var _, _ batches = (*coordaudit.Store)(nil), (*coordaudit.Source)(nil)

func (im *Importer) batches() batches {
	if im.source == nil {
		return im.config.Store
	}
	return im.source
}

// decide notes which records the database refused.
func (im *Importer) decide(b *batch, refused map[int]error) {
	for i := range refused {
		if im.source != nil {
			im.source.Reject(&b.records[i])
		}
	}
}

// giveUp notes that a batch was given up.
func (im *Importer) giveUp(b *batch) {
	if im.source == nil {
		return
	}
	for i := range b.records {
		im.source.Drop(&b.records[i])
	}
}

// Close ends the import. It puts on record how far it came.
func (im *Importer) Close(ctx context.Context) error {
	if im.source == nil {
		return nil
	}
	return im.source.Close(context.WithoutCancel(ctx))
}
