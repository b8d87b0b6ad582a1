package coordaudit

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/hoc-analytics/coordaudit/audit"
)

// List reads one page of the records that a query asks for; [audit.Page.Next]
// leads to the page after it. A page costs the same however deep it lies.
//
// An error wraps [audit.ErrNoScope], [audit.ErrInvalidQuery] (every fault of the
// query, a cursor's included), [audit.ErrUnavailable], [audit.ErrRefused],
// [audit.ErrNoPool] or [audit.ErrClosed]. ctx bounds the call.
func (s *Store) List(ctx context.Context, q audit.Query) (audit.Page, error) {
	page, err := s.list(ctx, q)
	if err != nil {
		return audit.Page{}, fmt.Errorf("listing audit records for %s: %w", q.Scope, err)
	}
	return page, nil
}

func (s *Store) list(ctx context.Context, q audit.Query) (audit.Page, error) {
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
	var recs []audit.Record
	err = s.reading(func() (err error) {
		recs, err = s.driver.List(ctx, &q, from, size+1)
		return err
	})
	recs, next := cutPage(recs, size, of)
	return audit.Page{Records: recs, Next: next}, err
}

// cutPage: one record more than asked for was read, to see whether there is a
// page after this one.
func cutPage(recs []audit.Record, size int, of fingerprint) (page []audit.Record, next audit.Cursor) {
	if len(recs) <= size {
		return recs, ""
	}
	return recs[:size], cursorAt(of, &recs[size-1])
}

// All reads all records that a query asks for, from [audit.Query.After] on, page
// by page: it holds one page in memory and no connection between pages. The pages
// are of [audit.Query.Limit] records or, if that is 0, of [audit.MaxPageSize].
//
// An error is that of [Store.List]. It comes last, next to a zero record:
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
		q := q // each iteration begins anew
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

// Count counts the records that a query asks for, on all pages. Errors are those
// of [Store.List]. ctx bounds the call.
func (s *Store) Count(ctx context.Context, q audit.Query) (int64, error) {
	n, err := s.count(ctx, q)
	if err != nil {
		return 0, fmt.Errorf("counting audit records for %s: %w", q.Scope, err)
	}
	return n, nil
}

func (s *Store) count(ctx context.Context, q audit.Query) (n int64, err error) {
	if err := q.Validate(); err != nil {
		return 0, err
	}
	q.Window = q.Window.Normalized()
	err = s.reading(func() (err error) {
		n, err = s.driver.Count(ctx, &q)
		return err
	})
	return n, err
}

// reading runs a reading call, which [Store.Close] waits for.
func (s *Store) reading(work func() error) error {
	if err := s.calls.begin(); err != nil {
		return err
	}
	defer s.calls.end()
	return work()
}
