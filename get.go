package coordaudit

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
)

// MaxGetMany is the maximum number of ids in one GetMany.
const MaxGetMany = 10_000

// Get reads one record. A record outside the scope is not found, as if it did not
// exist: the error wraps [audit.ErrNotFound] and names the id. ctx bounds the call.
// Other errors are those of [Store.List].
func (s *Store) Get(ctx context.Context, scope audit.Scope, id uuid.UUID) (_ audit.Record, err error) {
	defer wrap(&err, "getting audit record %s for %s", id, scope)
	if err := scope.Validate(); err != nil {
		return audit.Record{}, err
	}
	return read(s, func() (audit.Record, error) { return s.driver.Get(ctx, scope, id) })
}

// Explain says why a decision was made: the dominant reason, the other envelope's own
// decision, what came after, corrections, and signs that records near it are missing.
// [audit.Explanation] says how each part is found. All of it is of one moment. A record
// outside the scope is not found, as for [Store.Get].
//
// It reads a bounded number of rows through indexes, on a trail of any size. It needs SELECT
// on the records alone; without it on the gaps and the statements, it says that it could not
// read them. ctx bounds the call. Errors are those of Get.
func (s *Store) Explain(ctx context.Context, scope audit.Scope, id uuid.UUID) (_ audit.Explanation, err error) {
	defer wrap(&err, "explaining audit record %s for %s", id, scope)
	if err := scope.Validate(); err != nil {
		return audit.Explanation{}, err
	}
	found, err := read(s, func() (audit.Explanation, error) { return s.driver.Explain(ctx, scope, id) })
	if err != nil {
		return audit.Explanation{}, err
	}
	found.Cause = causeOf(&found)
	found.NextStep = nextStepAfter(&found)
	return found, nil
}

func causeOf(e *audit.Explanation) audit.Cause {
	switch {
	case e.Counterpart.EnvelopeID != "" && e.Counterpart.EnvelopeID == e.Record.EnvelopeID:
		return audit.CauseItself
	case e.Record.Decision == audit.Preempted && e.Counterpart.EnvelopeID != "":
		return audit.CausePreempted
	case e.Record.Decision == audit.Applied && len(e.Displaced.Records) > 0:
		return audit.CauseOutranks
	case e.Record.Decision == audit.Applied:
		return audit.CauseFree
	case e.Counterpart.EnvelopeID != "":
		return audit.CauseHeld
	default:
		return audit.CauseStated
	}
}

// oftenMet is how many conflicts make two envelopes a pair to separate.
const oftenMet = 3

// nextStepAfter chooses the first step that applies. What may change the answer comes first.
func nextStepAfter(e *audit.Explanation) audit.NextStep {
	switch {
	case len(e.Corrections.Records) > 0:
		return audit.StepCorrection
	case len(e.Losses.Gaps)+len(e.Losses.Ordinals) > 0:
		return audit.StepLosses
	case e.Meetings.Total() >= oftenMet:
		return audit.StepPair
	case e.Counterpart.Record != nil && e.Counterpart.Record.AuditID != e.Record.AuditID:
		return audit.StepCounterpart
	default:
		return audit.StepTimeline
	}
}

// GetMany reads the records with the given ids. It returns those that it found, in the
// order of the ids, and the ids that it did not find. A record outside the scope is
// missing, as if it did not exist. An id that occurs twice counts once.
//
// More than [MaxGetMany] ids are refused with [audit.ErrInvalidQuery]. Other errors
// are those of [Store.List]. ctx bounds the call.
func (s *Store) GetMany(ctx context.Context, scope audit.Scope, ids []uuid.UUID) (found []audit.Record, missing []uuid.UUID, err error) {
	defer wrap(&err, "getting %d audit records for %s", len(ids), scope)
	if err := scope.Validate(); err != nil {
		return nil, nil, err
	}
	if len(ids) > MaxGetMany {
		reason := fmt.Sprintf("are %d, at most %d are allowed", len(ids), MaxGetMany)
		return nil, nil, &audit.InvalidQueryError{Faults: []audit.Fault{{Field: "audit_ids", Reason: reason}}}
	}
	recs, err := read(s, func() ([]audit.Record, error) { return s.driver.GetMany(ctx, scope, ids) })
	if err != nil {
		return nil, nil, err
	}
	found, missing = inOrder(recs, ids)
	return found, missing, nil
}

// inOrder puts records into the order of the ids, each once.
func inOrder(recs []audit.Record, ids []uuid.UUID) (found []audit.Record, missing []uuid.UUID) {
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
	return found, missing
}
