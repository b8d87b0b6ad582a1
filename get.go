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

func (s *Store) get(ctx context.Context, scope audit.Scope, id uuid.UUID) (audit.Record, error) {
	if err := scope.Validate(); err != nil {
		return audit.Record{}, err
	}
	if err := s.calls.begin(); err != nil {
		return audit.Record{}, err
	}
	defer s.calls.end()
	return s.driver.Get(ctx, scope, id)
}
