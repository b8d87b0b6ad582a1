package coordaudit

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// Completeness accounts for every ordinal that a source has given: the record is stored,
// explained, waiting, in the last block of a source that never closed, or unexplained, which
// means lost or removed. It compares statements and rows of one moment.
//
// It needs SELECT on the records and the statements. It reads the whole table of records in
// one pass, for any window: a few seconds for 20 million records. ctx bounds the call.
// It changes nothing, so it may run on a standby.
//
// An error wraps [audit.ErrInvalidQuery], [audit.ErrUnavailable], [audit.ErrRefused],
// [audit.ErrNoPool] or [audit.ErrClosed]. It is ErrRefused if row-level security may hide
// rows from the role: then nothing can be said about what is missing.
func (s *Store) Completeness(ctx context.Context, q audit.CompletenessQuery) (_ audit.Completeness, err error) {
	defer wrap(&err, "accounting for the audit records")
	if err := q.Validate(); err != nil {
		return audit.Completeness{}, err
	}
	window := q.Window.Normalized()
	testimony, err := read(s, func() (auditdriver.Testimony, error) { return s.driver.Testify(ctx, window) })
	if err != nil {
		return audit.Completeness{}, err
	}
	result := audit.Completeness{At: testimony.At, Unnumbered: testimony.Unnumbered}
	for id, source := range testimony.Sources {
		result.Sources = append(result.Sources, completeness.Judge(id, source.Statements, source.Rows))
	}
	slices.SortFunc(result.Sources, byOpening)
	return result, nil
}

// byOpening orders sources by their first statement. Those without one come last.
func byOpening(a, b audit.SourceAccount) int {
	if a.OpenedAt.IsZero() != b.OpenedAt.IsZero() {
		if a.OpenedAt.IsZero() {
			return 1
		}
		return -1
	}
	return cmp.Or(a.OpenedAt.Compare(b.OpenedAt), bytes.Compare(a.SourceID[:], b.SourceID[:]))
}
