package coordaudit

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Get reads one record. A record outside the scope is not found, as if it did
// not exist: the error matches [audit.ErrNotFound] and names the id. A scope that
// says nothing is refused with [audit.ErrNoScope]. ctx bounds the call.
func (s *Store) Get(ctx context.Context, scope audit.Scope, id uuid.UUID) (audit.Record, error) {
	rec, err := s.get(ctx, scope, id)
	if err != nil {
		return audit.Record{}, fmt.Errorf("getting audit record %s for %s: %w", id, scope, err)
	}
	return rec, nil
}

func (s *Store) get(ctx context.Context, scope audit.Scope, id uuid.UUID) (rec audit.Record, err error) {
	if err := scope.Validate(); err != nil {
		return audit.Record{}, err
	}
	err = s.reading(func() (err error) {
		rec, err = s.driver.Get(ctx, scope, id)
		return err
	})
	return rec, err
}

// MaxGetMany is how many ids one GetMany takes.
const MaxGetMany = 10_000

// GetMany reads the records under the ids. It returns those that it found, in the
// order of the ids, and the ids that it did not find: a record outside the scope
// is missing, as if it did not exist. An id that comes twice counts once.
//
// More than [MaxGetMany] ids are refused with [audit.ErrInvalidQuery]. Other errors
// are those of [Store.List]. ctx bounds the call.
func (s *Store) GetMany(ctx context.Context, scope audit.Scope, ids []uuid.UUID) (found []audit.Record, missing []uuid.UUID, err error) {
	recs, err := s.getMany(ctx, scope, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("getting %d audit records for %s: %w", len(ids), scope, err)
	}
	byID := make(map[uuid.UUID]*audit.Record, len(recs))
	for i := range recs {
		byID[recs[i].AuditID] = &recs[i]
	}
	seen := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		switch rec := byID[id]; {
		case seen[id]:
		case rec == nil:
			missing = append(missing, id)
		default:
			found = append(found, *rec)
		}
		seen[id] = true
	}
	return found, missing, nil
}

func (s *Store) getMany(ctx context.Context, scope audit.Scope, ids []uuid.UUID) (recs []audit.Record, err error) {
	if err := scope.Validate(); err != nil {
		return nil, err
	}
	if len(ids) > MaxGetMany {
		reason := fmt.Sprintf("are %d, at most %d are allowed", len(ids), MaxGetMany)
		return nil, &audit.InvalidQueryError{Faults: []audit.Fault{{Field: "audit_ids", Reason: reason}}}
	}
	err = s.reading(func() (err error) {
		recs, err = s.driver.GetMany(ctx, scope, ids)
		return err
	})
	return recs, err
}
