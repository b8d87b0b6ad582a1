// Package envelopes is a service that lets one optimization envelope act on each
// parameter. It makes a decision and puts it on record in one transaction, so that
// nothing acts that is not on record.
package envelopes

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

//go:embed schema.sql
var schema string

// The codes of the reasons, for programs that count them.
const (
	ParameterFree  = "PARAMETER_FREE"
	ParameterTaken = "PARAMETER_TAKEN"
)

// Actor is who decides. It is the service and not one of its instances: a request that is
// sent again may reach another instance, which must make the same record.
const Actor = "envelopes"

// Migrate creates the service's own table. coordaudit's migrations create the trail's.
func Migrate(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, schema); err != nil {
		return fmt.Errorf("making the service's table: %w", err)
	}
	return nil
}

// Request asks for an envelope to act on a parameter. The header Idempotency-Key, a
// UUID that the client makes, identifies it. A request that is sent again has the same
// key.
type Request struct {
	EnvelopeID  string    `json:"envelope_id"`
	Class       string    `json:"class"`
	Parameter   string    `json:"parameter"`
	RequestedAt time.Time `json:"requested_at"`
}

// Answer is the decision.
type Answer struct {
	Decision audit.Decision `json:"decision"`
	Outcome  audit.Outcome  `json:"outcome"`
}

// Service answers POST /envelopes.
type Service struct {
	pool  *pgxpool.Pool
	store *coordaudit.Store
}

// New returns a service on a migrated database.
func New(pool *pgxpool.Pool, store *coordaudit.Store) *Service {
	return &Service{pool: pool, store: store}
}

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, idErr := audit.ParseAuditID(r.Header.Get("Idempotency-Key"))
	var request Request
	if err := errors.Join(idErr, json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&request)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := s.decide(r.Context(), id, request)
	if err != nil {
		http.Error(w, err.Error(), statusOf(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // the client has gone, and will ask again
}

// statusOf tells the client what it can do: fix the request, or send it again.
func statusOf(err error) int {
	switch {
	case errors.Is(err, audit.ErrInvalidRecord):
		return http.StatusBadRequest
	case errors.Is(err, audit.ErrConflict):
		return http.StatusConflict
	default:
		return http.StatusServiceUnavailable
	}
}

// decide takes the parameter if it is free or already held by this envelope. No record
// means no decision: an error rolls back both.
func (s *Service) decide(ctx context.Context, id uuid.UUID, request Request) (answer Answer, err error) {
	class, err := audit.ParseEnvelopeClass(request.Class)
	if err != nil {
		return Answer{}, err
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var holder string
		if err := tx.QueryRow(ctx, `
			INSERT INTO active_envelopes (parameter, envelope_id)
			VALUES ($1, $2)
			ON CONFLICT (parameter) DO UPDATE SET parameter = excluded.parameter
			RETURNING envelope_id`, request.Parameter, request.EnvelopeID).Scan(&holder); err != nil {
			return fmt.Errorf("taking parameter %q: %w", request.Parameter, err)
		}
		rec := audit.Record{
			AuditID:           id,
			EnvelopeID:        request.EnvelopeID,
			EnvelopeClass:     class,
			Decision:          audit.Applied,
			Reason:            "parameter " + request.Parameter + " was free",
			DecisionTimestamp: request.RequestedAt, // the same if the request is sent again
			ReasonCode:        ParameterFree,
			Actor:             Actor,
		}
		if holder != request.EnvelopeID {
			rec.Decision, rec.ConflictingEnvelopeID = audit.Rejected, holder
			rec.ReasonCode, rec.Reason = ParameterTaken, "parameter "+request.Parameter+" is taken"
		}
		result, err := s.store.PersistTx(ctx, tx, rec)
		answer = Answer{Decision: rec.Decision, Outcome: result.Outcome}
		return err
	})
	return answer, err
}
