package coordaudit

import (
	"cmp"
	"context"
	"iter"

	"github.com/hoc-analytics/coordaudit/audit"
)

// List reads one page of the records that match a query. [audit.Page.Next] leads to
// the page after it. Every page costs the same, however deep it lies.
//
// An error wraps [audit.ErrNoScope], [audit.ErrInvalidQuery] (with every fault of the
// query and its cursor), [audit.ErrUnavailable], [audit.ErrRefused],
// [audit.ErrNoPool] or [audit.ErrClosed]. One that wraps [audit.ErrLimit] wraps
// ErrUnavailable as well. ctx bounds the call; [Config.Timeout] does not.
func (s *Store) List(ctx context.Context, q audit.Query) (_ audit.Page, err error) {
	defer wrap(&err, "listing audit records for %s", q.Scope)
	if err := q.Validate(); err != nil {
		return audit.Page{}, err
	}
	q.Window = q.Window.Normalized()
	of := listFingerprint(&q)
	from, err := positionOf(q.After, of)
	if err != nil {
		return audit.Page{}, err
	}
	size := cmp.Or(q.Limit, audit.DefaultPageSize)
	recs, err := read(s, func() ([]audit.Record, error) { return s.driver.List(ctx, &q, from, size+1) })
	if err != nil {
		return audit.Page{}, err
	}
	recs, next := cutPage(recs, size, of)
	return audit.Page{Records: recs, Next: next}, nil
}

// cutPage takes one record more than a page holds. That record shows that another page
// follows.
func cutPage(recs []audit.Record, size int, of fingerprint) (page []audit.Record, next audit.Cursor) {
	if len(recs) <= size {
		return recs, ""
	}
	return recs[:size], cursorAt(of, &recs[size-1])
}

// All reads all records that match a query, from [audit.Query.After] on, page by page.
// It holds one page in memory, and no connection between pages. A page has
// [audit.Query.Limit] records or, if that is 0, [audit.MaxPageSize].
//
// Errors are those of [Store.List]. An error ends the iteration and comes with a zero
// record:
//
//	for rec, err := range store.All(ctx, query) {
//		if err != nil {
//			return err
//		}
//		…
//	}
func (s *Store) All(ctx context.Context, q audit.Query) iter.Seq2[audit.Record, error] {
	q.Limit = cmp.Or(q.Limit, audit.MaxPageSize)
	return func(yield func(audit.Record, error) bool) {
		q := q // a second iteration starts from the first page
		for {
			page, err := s.List(ctx, q)
			if err != nil {
				yield(audit.Record{}, err)
				return
			}
			for _, rec := range page.Records {
				if !yield(rec, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.After = page.Next
		}
	}
}

// Count counts the records that match a query, on all pages. ctx bounds the call.
// Errors are those of [Store.List].
func (s *Store) Count(ctx context.Context, q audit.Query) (_ int64, err error) {
	defer wrap(&err, "counting audit records for %s", q.Scope)
	if err := q.Validate(); err != nil {
		return 0, err
	}
	q.Window = q.Window.Normalized()
	return read(s, func() (int64, error) { return s.driver.Count(ctx, &q) })
}
