package expiry

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
)

// Hold stops the expiry and the erasure of the records that it names. What is zero limits
// nothing.
type Hold struct {
	ID                          uuid.UUID // of [PlaceHold]
	TenantID, EnvelopeID, Class string
	Since, Until                time.Time // when the database stored them; Until is not included
	Why, By                     string
	PlacedAt                    time.Time

	// ReleasedAt is zero if the hold is in force.
	ReleasedAt              time.Time
	ReleasedWhy, ReleasedBy string
}

// Holds lists the holds that were ever placed, in that order. schema may be empty.
func Holds(ctx context.Context, pool *pgxpool.Pool, schema string) (holds []Hold, err error) {
	err = with(ctx, pool, schema, sealdriver.Reader, func(conn *sealdriver.Conn) error {
		stored, err := conn.Holds(ctx)
		if err != nil {
			return err
		}
		for _, of := range stored {
			holds = append(holds, holdOf(of))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the holds: %w", explained(err))
	}
	return holds, nil
}

func holdOf(stored sealdriver.Hold) Hold {
	return Hold{
		ID: stored.ID, TenantID: stored.TenantID, EnvelopeID: stored.EnvelopeID, Class: stored.Class, Why: stored.Why, By: stored.By,
		Since: stored.Since.UTC(), Until: stored.Until.UTC(), PlacedAt: stored.PlacedAt.UTC(), // the zero time stays one
		ReleasedAt: stored.ReleasedAt.UTC(), ReleasedWhy: stored.ReleasedWhy, ReleasedBy: stored.ReleasedBy,
	}
}

// PlaceHold puts a hold on record and returns its id. It takes what the hold names and Why,
// which says for what. An expiry that is at work then ends with its current batch.
func PlaceHold(ctx context.Context, pool *pgxpool.Pool, schema string, hold Hold) (id uuid.UUID, err error) {
	if hold.Class != "" { // one of no record would stop nothing
		class, err := audit.ParseEnvelopeClass(hold.Class)
		if err != nil {
			return uuid.Nil, fmt.Errorf("placing the hold: %w", err)
		}
		hold.Class = string(class)
	}
	err = with(ctx, pool, schema, sealdriver.Holder, func(conn *sealdriver.Conn) (err error) {
		id, err = conn.PlaceHold(ctx, sealdriver.HoldParams{
			TenantID: hold.TenantID, EnvelopeID: hold.EnvelopeID, Class: hold.Class, Since: hold.Since, Until: hold.Until, Why: hold.Why,
		})
		return err
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("placing the hold: %w", explained(err))
	}
	return id, nil
}

// ReleaseHold puts the release of a hold on record. released is false if it was released
// before. The error matches [ErrNoSuch] if there is no such hold.
func ReleaseHold(ctx context.Context, pool *pgxpool.Pool, schema string, id uuid.UUID, why string) (released bool, err error) {
	err = with(ctx, pool, schema, sealdriver.Holder, func(conn *sealdriver.Conn) (err error) {
		released, err = conn.ReleaseHold(ctx, id, why)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("releasing hold %s: %w", id, explained(err))
	}
	return released, nil
}

// MinimumAge returns how many days old a record must be to expire.
func MinimumAge(ctx context.Context, pool *pgxpool.Pool, schema string) (days int, err error) {
	err = with(ctx, pool, schema, sealdriver.Reader, func(conn *sealdriver.Conn) error {
		retention, err := conn.Retention(ctx)
		days = int(retention.MinimumDays)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("reading the minimum age: %w", explained(err))
	}
	return days, nil
}

// MaxMinimumDays bounds [SetMinimumAge].
const MaxMinimumDays = 100_000

// SetMinimumAge puts another minimum age on record. Only the owner of the trail may.
func SetMinimumAge(ctx context.Context, pool *pgxpool.Pool, schema string, days int, why string) error {
	if days < 0 || days > MaxMinimumDays || why == "" {
		return fmt.Errorf("setting the minimum age: it must be 0 to %d days, and say why", MaxMinimumDays)
	}
	body, err := json.Marshal(struct {
		MinimumDays int    `json:"minimum_days"`
		Why         string `json:"why"`
	}{days, why})
	if err == nil {
		err = with(ctx, pool, schema, sealdriver.Owner, func(conn *sealdriver.Conn) error { return conn.SetMinimumDays(ctx, string(body)) })
	}
	if err != nil {
		return fmt.Errorf("setting the minimum age: %w", explained(err))
	}
	return nil
}

func with(ctx context.Context, pool *pgxpool.Pool, schema string, role sealdriver.Role, work func(conn *sealdriver.Conn) error) error {
	conn, err := sealdriver.Open(ctx, pool, schema, role)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return work(conn)
}
