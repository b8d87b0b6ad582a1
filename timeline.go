package coordaudit

import (
	"cmp"
	"context"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Timeline reads one page of an envelope's history, oldest first. It holds the
// envelope's own records and those that name it as the conflicting envelope or as the
// preemptor, each once. The order is total: by decision time, then by seq, then by
// audit id. ctx bounds the call. Errors are those of [Store.List].
func (s *Store) Timeline(ctx context.Context, q audit.TimelineQuery) (_ audit.Timeline, err error) {
	defer wrap(&err, "reading the timeline of envelope %q for %s", clip(q.EnvelopeID), q.Scope)
	if err := q.Validate(); err != nil {
		return audit.Timeline{}, err
	}
	q.Window = q.Window.Normalized()
	of := timelineFingerprint(&q)
	from, err := positionOf(q.After, of)
	if err != nil {
		return audit.Timeline{}, err
	}
	size := cmp.Or(q.Limit, audit.DefaultPageSize)
	recs, err := read(s, func() ([]audit.Record, error) { return s.driver.Timeline(ctx, &q, from, size+1) })
	if err != nil {
		return audit.Timeline{}, err
	}
	recs, next := cutPage(recs, size, of)
	entries := make([]audit.TimelineEntry, len(recs))
	for i, rec := range recs {
		entries[i] = audit.TimelineEntry{Record: rec, Role: rec.RoleOf(q.EnvelopeID)}
	}
	return audit.Timeline{Entries: entries, Next: next}, nil
}
