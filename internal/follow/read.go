package follow

import (
	"context"
	"fmt"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/fence"
)

// read reads a page up to the fence: first the holes that have a row by now, then what comes
// after the place. If a transaction is open, on sees one moment.
func (l *look) read(ctx context.Context, on *auditdriver.Follower, page *Page) error {
	full, err := l.readLate(ctx, on, page)
	if err != nil || full {
		return err
	}
	s := &l.state
	f := fence.Fence{Around: s.around}
	final := f.Finished() // nothing, if no transaction has ended
	s.around = f.Around
	s.holes = s.holes.Minus(completeness.Span(1, final)) // what is missing was rolled back
	return l.readFresh(ctx, on, page, nil)
}

// readLate reads the holes that have a row by now. It reports whether the page is full. Then
// the sets stay as they are, and so do the holes that it did not come to.
func (l *look) readLate(ctx context.Context, on *auditdriver.Follower, page *Page) (full bool, err error) {
	s := &l.state
	page.before = s.clone()
	if !s.late {
		return false, nil
	}
	stored, err := on.Stored(ctx, s.holes)
	if err != nil {
		return false, fmt.Errorf("looking for late records: %w", err)
	}
	for len(stored) > 0 && len(page.late) < l.Limit {
		seqs := firstOf(stored, l.Limit-len(page.late)) // rows with the same seq are not parted
		found, err := on.Late(ctx, &l.Query, seqs)
		if err != nil {
			return false, fmt.Errorf("reading late records: %w", err)
		}
		page.late = append(page.late, found...)
		seen := completeness.Span(1, seqs[len(seqs)-1])
		page.stored.AddAll(stored.And(seen))
		stored = stored.Minus(seen)
	}
	s.holes = s.holes.Minus(page.stored)
	s.late = len(page.late) >= l.Limit
	return s.late, nil
}

// firstOf returns the n lowest members of a set, or all of them.
func firstOf(set completeness.Set, n int) (members []int64) {
	for _, r := range set {
		for member := r.First; member <= r.Last; member++ {
			if len(members) == n {
				return members
			}
			members = append(members, member)
		}
	}
	return members
}

// readFresh reads what comes after the place. While a transaction is open, seqs without a row
// become holes. If awaited is not nil, only those in it do.
func (l *look) readFresh(ctx context.Context, on *auditdriver.Follower, page *Page, awaited *completeness.Set) (err error) {
	s := &l.state
	page.between = s.clone()
	size := l.Limit - len(page.late)
	if page.fresh, err = l.fresh(ctx, on, size); err != nil {
		return fmt.Errorf("reading new records: %w", err)
	}
	s.reading = len(page.fresh) == size
	end, moved := s.place, len(page.fresh) > 0
	if moved {
		end = placeOf(&page.fresh[len(page.fresh)-1])
	}
	if !s.reading && on.Filters(&l.Query) {
		last, found, err := on.LastThrough(ctx, s.place.Seq, s.fence)
		if err != nil {
			return fmt.Errorf("looking for the end of the new records: %w", err)
		}
		if found && last.Compare(end) > 0 {
			end, moved = last, true
		}
	}
	if !moved {
		return nil
	}
	if len(s.around) > 0 || awaited != nil {
		if page.missing, err = l.missing(ctx, on, page.fresh, end.Seq, awaited); err != nil {
			return err
		}
		s.holes.AddAll(page.missing)
	}
	s.pass(end)
	return nil
}

// fresh reads records from the place up to the fence. It goes by windows of seqs, so that a
// plan that sorts all rows of a window costs little, and by larger ones as long as few rows
// match.
func (l *look) fresh(ctx context.Context, on *auditdriver.Follower, size int) (recs []audit.Record, err error) {
	after, window := l.state.place, int64(size)
	for {
		through := l.state.fence
		if through-after.Seq > window {
			through = after.Seq + window
		}
		found, err := on.Records(ctx, &l.Query, after, through, size-len(recs))
		if err != nil {
			return nil, err
		}
		if recs = append(recs, found...); len(recs) == size || through == l.state.fence {
			return recs, nil
		}
		after, window = endOf(through), 2*window
	}
}

// missing returns the seqs between the place and a seq that have no row.
func (l *look) missing(ctx context.Context, on *auditdriver.Follower, fresh []audit.Record, end int64, awaited *completeness.Set) (completeness.Set, error) {
	between := completeness.Span(l.state.place.Seq+1, end-1)
	if awaited != nil {
		between = between.And(*awaited)
	}
	if !on.Filters(&l.Query) {
		var stored completeness.Set
		for i := range fresh {
			stored.Add(fresh[i].Seq, fresh[i].Seq)
		}
		return between.Minus(stored), nil
	}
	stored, err := on.Stored(ctx, between)
	if err != nil {
		return nil, fmt.Errorf("looking for seqs without a record: %w", err)
	}
	return between.Minus(stored), nil
}

func placeOf(rec *audit.Record) auditdriver.SeqID {
	return auditdriver.SeqID{Seq: rec.Seq, AuditID: rec.AuditID}
}
