package coordaudit

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Timeline reads a page of what happened to an envelope and because of it: its
// own records and those that name it as the conflicting or the preempting
// envelope, each once, in one total order: by the decision's time, and by seq
// where times are equal. Errors are those of [Store.List]. ctx bounds the call.
func (s *Store) Timeline(ctx context.Context, q audit.TimelineQuery) (audit.Timeline, error) {
	timeline, err := s.timeline(ctx, q)
	if err != nil {
		return audit.Timeline{}, fmt.Errorf("reading the timeline of envelope %q for %s: %w", clip(q.EnvelopeID), q.Scope, err)
	}
	return timeline, nil
}

func (s *Store) timeline(ctx context.Context, q audit.TimelineQuery) (audit.Timeline, error) {
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
	var recs []audit.Record
	err = s.reading(func() (err error) {
		recs, err = s.driver.Timeline(ctx, &q, from, size+1)
		return err
	})
	recs, next := cutPage(recs, size, of)
	entries := make([]audit.TimelineEntry, len(recs))
	for i, rec := range recs {
		entries[i] = audit.TimelineEntry{Record: rec, Role: rec.RoleOf(q.EnvelopeID)}
	}
	return audit.Timeline{Entries: entries, Next: next}, err
}
