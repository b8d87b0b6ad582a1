package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
)

// exporter writes records of the trail. It remembers only numbers of what it wrote.
type exporter struct {
	out      io.Writer
	form     exportForm
	progress *term.Progress
	prover   *exportProver // nil if no proofs are asked for

	hash        hash.Hash // of the bytes written
	count       int64
	bytes       int64
	first, last int64 // the lowest and the highest seq
}

func newExporter(out io.Writer, form exportForm) *exporter {
	return &exporter{out: out, form: form, hash: sha256.New()}
}

// ExportManifest says what an export contains.
type ExportManifest struct {
	Count    int64             `json:"count"`
	FirstSeq *int64            `json:"first_seq"` // the lowest; null if there is no record
	LastSeq  *int64            `json:"last_seq"`  // the highest, the same way
	SHA256   string            `json:"sha256"`
	Scope    string            `json:"scope"`
	Window   shared.WindowJSON `json:"window"`

	// Format is left out for JSON Lines, and Filters if there are none.
	Format  string         `json:"format,omitempty"`
	Filters map[string]any `json:"filters,omitempty"`
}

func (ex *exporter) manifest(q audit.Query) ExportManifest {
	m := ExportManifest{
		Count:  ex.count,
		SHA256: hex.EncodeToString(ex.hash.Sum(nil)),
		Scope:  q.Scope.String(),
		Window: shared.WindowObject(q.Window),

		Filters: filtersOf(q),
	}
	if ex.form.name != formatLines {
		m.Format = ex.form.name
	}
	if ex.count > 0 {
		m.FirstSeq, m.LastSeq = &ex.first, &ex.last
	}
	return m
}

// run writes all records of a query. One page is in memory. Each page has exportTimeout to
// arrive, which does not include the time to write its records.
func (ex *exporter) run(ctx context.Context, store *coordaudit.Store, q audit.Query, tried string) error {
	late := fmt.Errorf("the database did not answer within %s", exportTimeout)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(exportTimeout, func() { cancel(late) })
	defer watch.Stop()
	if err := ex.put(ex.form.header); err != nil {
		return err
	}
	for rec, err := range store.All(ctx, q) {
		watch.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return shared.ReadFailed(tried, err)
		}
		if err := ex.write(rec); err != nil {
			return err
		}
		if ex.prover != nil {
			if err := ex.prover.write(ctx, rec.AuditID); err != nil {
				return err
			}
		}
		watch.Reset(exportTimeout)
	}
	return nil
}

func (ex *exporter) write(rec audit.Record) error {
	text, err := ex.form.line(&rec)
	if err != nil {
		return fmt.Errorf("writing record %s: %w", rec.AuditID, err)
	}
	if err := ex.put(text); err != nil {
		return err
	}
	if ex.count == 0 {
		ex.first = rec.Seq
	}
	ex.first, ex.last = min(ex.first, rec.Seq), max(ex.last, rec.Seq)
	ex.count++
	ex.progress.Update(term.Done{Count: ex.count, Noun: "record"})
	return nil
}

func (ex *exporter) put(text []byte) error {
	if _, err := ex.out.Write(text); err != nil {
		return fmt.Errorf("writing the records: %w", err)
	}
	_, _ = ex.hash.Write(text) // never fails
	ex.bytes += int64(len(text))
	return nil
}
