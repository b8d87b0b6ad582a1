package auditmigrate

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/databaseurl"
)

// VersionTable holds the versions applied. Its name is not goose's usual one, so
// that an application with migrations of its own can share the database.
const VersionTable = "coordaudit_schema_version"

// Latest stands for the newest version that this program knows.
const Latest int64 = math.MaxInt64

const (
	defaultLockTimeout = time.Minute
	connectTimeout     = 5 * time.Second
)

// Config sets how migrations are run. The zero value is ready for use.
type Config struct {
	// Logger gets audit_migration_applied and audit_migration_reverted at info
	// level as each is done, the server's warnings at warn level, such as a
	// constraint that old rows break, and its notices at debug level. Defaults to
	// slog.Default().
	Logger *slog.Logger

	// LockTimeout bounds each wait for another migrating process and each wait of
	// a migration for a table that others use; then comes [ErrLocked]. How long
	// the work itself may take is up to the context. Defaults to 1 minute.
	LockTimeout time.Duration

	// AllowDataLoss lets Down, DownTo and Redo drop records, gaps, and columns that
	// records have something in. Defaults to false: they return [ErrDataLoss].
	AllowDataLoss bool
}

// Migrator migrates one database. Each call opens connections of its own and
// closes them. It is safe for concurrent use.
type Migrator struct {
	connConfig *pgx.ConnConfig
	config     Config
}

// Migration is one of the migrations that this program knows.
type Migration struct {
	Version int64

	// Name is the file's name without its ending, such as
	// "00001_create_coordination_audit_records".
	Name string

	// AppliedAt is when the migration was applied, UTC; zero if it is pending.
	AppliedAt time.Time
}

// Direction is which way a migration was run.
type Direction string

// The directions.
const (
	DirectionUp   Direction = "up"
	DirectionDown Direction = "down"
)

// Change is one migration that a call has applied or reverted.
type Change struct {
	Version   int64
	Name      string
	Direction Direction
	Duration  time.Duration
}

// Open returns a migrator for a database URL (postgres://user@host/database) or
// key=value string. It only reads the text; the database need not answer yet. An
// error does not show the password, also where the text is too broken to say
// which part of it that is.
func Open(databaseURL string, config Config) (*Migrator, error) {
	connConfig, err := databaseurl.Parse(databaseURL, pgx.ParseConfig)
	if err != nil {
		return nil, err
	}
	return New(connConfig, config), nil
}

// New returns a migrator for a database that the caller has a pool for:
//
//	auditmigrate.New(pool.Config().ConnConfig, auditmigrate.Config{})
//
// It copies connConfig, which must come from pgx. What the pool does besides, as
// its BeforeConnect does, is not taken over.
func New(connConfig *pgx.ConnConfig, config Config) *Migrator {
	connConfig = connConfig.Copy()
	if connConfig.ConnectTimeout == 0 {
		connConfig.ConnectTimeout = connectTimeout
	}
	if connConfig.RuntimeParams["application_name"] == "" {
		connConfig.RuntimeParams["application_name"] = "coordaudit-migrate" // for whoever looks for the holder of a lock
	}
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.LockTimeout <= 0 {
		config.LockTimeout = defaultLockTimeout
	}
	return &Migrator{connConfig: connConfig, config: config}
}

// Up applies what is pending. On a database that a newer program has migrated it
// does nothing. The changes made come back next to an error, too.
func (m *Migrator) Up(ctx context.Context) ([]Change, error) {
	return m.UpTo(ctx, Latest)
}

// UpTo applies what is pending, up to and including a version. It never reverts.
// A version that this program does not have is an [ErrUnknownVersion].
func (m *Migrator) UpTo(ctx context.Context, version int64) ([]Change, error) {
	return m.run(ctx, "migrating up", func(s schema) ([]step, error) {
		return s.stepsUp(version)
	})
}

// Down reverts the migration that was applied last. With nothing applied it does
// nothing. It drops nothing that records hold: see [ErrDataLoss].
func (m *Migrator) Down(ctx context.Context) ([]Change, error) {
	return m.run(ctx, "migrating down", func(s schema) ([]step, error) {
		return s.stepsDown(s.previous(s.current()))
	})
}

// DownTo reverts every migration above a version, newest first; 0 reverts all.
// It never applies, and drops nothing that records hold: see [ErrDataLoss]; what
// was reverted before that stays reverted.
func (m *Migrator) DownTo(ctx context.Context, version int64) ([]Change, error) {
	return m.run(ctx, "migrating down", func(s schema) ([]step, error) {
		return s.stepsDown(version)
	})
}

// Redo reverts the migration that was applied last and applies it again. With
// nothing applied it does nothing.
func (m *Migrator) Redo(ctx context.Context) ([]Change, error) {
	return m.run(ctx, "redoing the last migration", func(s schema) ([]step, error) {
		steps, err := s.stepsDown(s.previous(s.current()))
		if err != nil || len(steps) == 0 {
			return nil, err
		}
		return append(steps, step{direction: DirectionUp, version: s.current()}), nil
	})
}
