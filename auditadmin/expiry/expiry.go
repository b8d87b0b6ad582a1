package expiry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/completeness"
	"github.com/hoc-analytics/coordaudit/internal/sealdriver"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// Config is the trail, and what is known of its log. All fields but Schema are required.
type Config struct {
	Pool *pgxpool.Pool

	// Checkpoint is a signed checkpoint as the sealer exported it. It must not come from the
	// database. Records that it does not cover stay.
	Checkpoint []byte

	// Verifier is the public key of the log.
	Verifier note.Verifier

	// Schema is the schema of the trail. Defaults to the first on the search_path that has
	// one.
	Schema string
}

// Filter says which records expire.
type Filter struct {
	// Scope says whose. Required.
	Scope audit.Scope

	// Classes are the classes of envelopes. Defaults to all.
	Classes []audit.EnvelopeClass

	// Before is the horizon: the database stored them earlier. Required.
	Before time.Time
}

// DefaultMinimumDays is how old a record must be to expire, where no one has set it. See
// [SetMinimumAge].
const DefaultMinimumDays = 365

func (f Filter) validate() error {
	if err := f.Scope.Validate(); err != nil {
		return err
	}
	if f.Before.IsZero() {
		return errors.New("a horizon is missing: say before when the records were stored")
	}
	for _, class := range f.Classes {
		if _, err := audit.ParseEnvelopeClass(string(class)); err != nil {
			return err
		}
	}
	return nil
}

func (f Filter) selection() sealdriver.Selection {
	return sealdriver.Select(f.Scope, f.Classes, f.Before)
}

// session is a connection, and the checkpoint that the caller holds against the database.
type session struct {
	config  Config
	conn    *sealdriver.Conn
	at      *sealdriver.Checkpoint // as the database has stored it
	through int64                  // the highest seq in a full tile of it
	awaited completeness.Set
}

func open(ctx context.Context, config Config, role sealdriver.Role) (*session, error) {
	if config.Verifier == nil || config.Checkpoint == nil {
		return nil, errors.New("an exported checkpoint and the public key of the log are needed")
	}
	conn, err := sealdriver.Open(ctx, config.Pool, config.Schema, role)
	if err != nil {
		return nil, err
	}
	s := &session{config: config, conn: conn}
	err = s.onOneServer(ctx)
	if err == nil {
		err = s.findCheckpoint(ctx)
	}
	if err != nil {
		conn.Close(ctx)
		return nil, err
	}
	return s, nil
}

func (s *session) close(ctx context.Context) { s.conn.Close(ctx) }

// onOneServer refuses a cluster, whose workers do not let the role of the retention in.
func (s *session) onOneServer(ctx context.Context) error {
	distributed, err := s.conn.Distributed(ctx)
	if err == nil && distributed {
		err = fmt.Errorf("%w: the trail is distributed over the workers of a Citus cluster, where the role that may change records cannot log in: keep what must expire or be erased in a trail on one server (docs/citus.md)", ErrNotAllowed)
	}
	return err
}

// findCheckpoint requires that the exported checkpoint is one of the log that the database has.
func (s *session) findCheckpoint(ctx context.Context) error {
	checkpoint, err := sealer.OpenCheckpoint(s.config.Checkpoint, s.config.Verifier)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	if s.at, err = s.stored(ctx, checkpoint); err != nil {
		return err
	}
	last, err := s.conn.LastCheckpoint(ctx)
	if err != nil {
		return err
	}
	if last == nil || last.Epoch != s.at.Epoch {
		return fmt.Errorf("%w: it is one of epoch %d, and the log has a newer epoch: take the last exported checkpoint", ErrCheckpoint, s.at.Epoch)
	}
	s.awaited = last.Awaited
	const width = seal.TileWidth
	if full := s.at.Size / width; full > 0 {
		tiles, err := s.conn.Tiles(ctx, s.at.Epoch, full-1, full)
		if err != nil {
			return err
		}
		if len(tiles) != 1 {
			return fmt.Errorf("%w: tile %d is missing: run coordaudit verify", ErrCheckpoint, full-1)
		}
		s.through = tiles[0].Through
	}
	return nil
}

// stored returns what the database has stored of a signed checkpoint.
func (s *session) stored(ctx context.Context, checkpoint seal.Checkpoint) (*sealdriver.Checkpoint, error) {
	epoch, err := seal.ParseOrigin(checkpoint.Origin, s.config.Verifier.Name())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	at, err := s.conn.CheckpointOf(ctx, epoch, checkpoint)
	if err != nil {
		return nil, err
	}
	if at == nil {
		return nil, fmt.Errorf("%w: the database has not stored the checkpoint of epoch %d and size %d, or has stored another one: run coordaudit verify with it", ErrCheckpoint, epoch, checkpoint.Size)
	}
	return at, nil
}

// oldEnough refuses a horizon that is nearer than the minimum, by the clock of the database.
func (s *session) oldEnough(ctx context.Context, before time.Time) (sealdriver.Retention, error) {
	retention, err := s.conn.Retention(ctx)
	if err != nil {
		return retention, err
	}
	switch {
	case before.After(retention.At):
		return retention, fmt.Errorf("%w: %s is in the future", ErrTooYoung, audit.FormatTime(before))
	case before.After(retention.At.AddDate(0, 0, -int(retention.MinimumDays))):
		return retention, fmt.Errorf("%w: %s is less than %d days ago, the minimum that the owner of the trail has set: coordaudit expire minimum shows it", ErrTooYoung, audit.FormatTime(before), retention.MinimumDays)
	}
	return retention, nil
}

// enabled refuses what the database cannot do yet, and says which role is missing.
func enabled(retention sealdriver.Retention, role string) error {
	if retention.Enabled {
		return nil
	}
	return fmt.Errorf("%w: no role owns the functions of the retention yet: let the owner of the trail run migrate grants --%s ROLE --apply", ErrNotAllowed, role)
}

// Plan is what an expiry would do.
type Plan struct {
	MinimumDays int32
	Records     int64 // that the filter selects
	Held        int64 // of them, those that a hold names
	Unsealed    int64 // of them, those that are in no full tile of the checkpoint

	FirstSeq, LastSeq         int64
	FirstCreated, LastCreated time.Time // zero if there are none
}

// MakePlan counts the records of a filter. It reads the table once, and changes nothing.
func MakePlan(ctx context.Context, config Config, filter Filter) (Plan, error) {
	plan, err := makePlan(ctx, config, filter)
	if err != nil {
		return Plan{}, fmt.Errorf("planning the expiry: %w", explained(err))
	}
	return plan, nil
}

func makePlan(ctx context.Context, config Config, filter Filter) (Plan, error) {
	if err := filter.validate(); err != nil {
		return Plan{}, err
	}
	s, err := open(ctx, config, sealdriver.Expirer)
	if err != nil {
		return Plan{}, err
	}
	defer s.close(ctx)
	return s.plan(ctx, filter)
}

func (s *session) plan(ctx context.Context, filter Filter) (Plan, error) {
	retention, err := s.oldEnough(ctx, filter.Before)
	if err != nil {
		return Plan{}, err
	}
	planned, err := s.conn.PlanExpiry(ctx, filter.selection(), s.through, s.awaited)
	return Plan{
		MinimumDays: retention.MinimumDays, Records: planned.Records, Held: planned.Held, Unsealed: planned.Unsealed,
		FirstSeq: planned.FirstSeq, LastSeq: planned.LastSeq, FirstCreated: planned.FirstCreated, LastCreated: planned.LastCreated,
	}, err
}
