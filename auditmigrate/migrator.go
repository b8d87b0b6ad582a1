package auditmigrate

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/dsn"
)

// VersionTable records the applied versions. Its name is not goose's default, so that
// an application with its own migrations can share the database.
const VersionTable = "coordaudit_schema_version"

// Latest stands for the newest version that this program knows.
const Latest int64 = math.MaxInt64

const (
	defaultLockTimeout = time.Minute
	connectTimeout     = 5 * time.Second
)

// Config sets how migrations run. The zero value is ready for use.
type Config struct {
	// Logger gets audit_migration_applied and audit_migration_reverted at info level
	// when a migration is done. It gets the server's warnings at warn level, such as a
	// constraint that old rows violate. Defaults to slog.Default().
	Logger *slog.Logger

	// Schema is the schema that holds the trail, or will hold it. It must exist.
	// Defaults to the first schema on the search_path that holds a trail, or else the
	// first that exists. In the second case, a trail anywhere else in the database is
	// an [ErrSchema], so that no second one is created by accident.
	Schema string

	// LockTimeout bounds each wait for another migrating process, and each wait of a
	// migration for a table that others use. When it ends, the call returns
	// [ErrLocked]. The context bounds the work itself. Defaults to 1 minute.
	LockTimeout time.Duration

	// AllowDataLoss lets Down, DownTo and Redo drop records, gaps, statements, and
	// columns in which records have values. Defaults to false: these calls return
	// [ErrDataLoss].
	AllowDataLoss bool
}

// Migrator migrates one database. Each call opens and closes its own connections. A
// Migrator is safe for concurrent use.
type Migrator struct {
	connConfig *pgx.ConnConfig
	config     Config
}

// Migration is a migration that this program knows.
type Migration struct {
	Version int64

	// Name is the file's name without its extension, such as
	// "00001_create_coordination_audit_records".
	Name string

	// AppliedAt is when the migration was applied, in UTC. It is zero if it is
	// pending.
	AppliedAt time.Time
}

// Direction is whether a migration was applied or reverted.
type Direction string

// The directions.
const (
	DirectionUp   Direction = "up"
	DirectionDown Direction = "down"
)

// Change is a migration that a call applied or reverted.
type Change struct {
	Version   int64
	Name      string
	Direction Direction
	Duration  time.Duration
}

// Open returns a migrator for a database URL (postgres://user@host/database) or a
// key=value string. It only parses the text, so the database need not be reachable
// yet. Its errors never show the password, even if the text is too malformed to tell
// which part is the password.
func Open(databaseURL string, config Config) (*Migrator, error) {
	connConfig, err := dsn.Parse(databaseURL, pgx.ParseConfig)
	if err != nil {
		return nil, err
	}
	return New(connConfig, config), nil
}

// New returns a migrator for a database that the caller has a pool for:
//
//	auditmigrate.New(pool.Config().ConnConfig, auditmigrate.Config{})
//
// It copies connConfig, which must come from pgx. It ignores the pool's hooks, such as
// BeforeConnect.
func New(connConfig *pgx.ConnConfig, config Config) *Migrator {
	connConfig = connConfig.Copy()
	if connConfig.ConnectTimeout == 0 {
		connConfig.ConnectTimeout = connectTimeout
	}
	if connConfig.RuntimeParams["application_name"] == "" {
		connConfig.RuntimeParams["application_name"] = "coordaudit-migrate" // identifies the holder of a lock
	}
	m := &Migrator{connConfig: connConfig, config: config}
	m.setUpConnect()
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.LockTimeout <= 0 {
		config.LockTimeout = defaultLockTimeout
	}
	m.config = config
	return m
}

// Up applies the pending migrations. On a database that a newer program has migrated
// it does nothing. The changes made so far are also returned with an error.
func (m *Migrator) Up(ctx context.Context) ([]Change, error) {
	return m.UpTo(ctx, Latest)
}

// UpTo applies the pending migrations, up to and including a version. It never
// reverts. If this program does not have the version, it returns [ErrUnknownVersion].
func (m *Migrator) UpTo(ctx context.Context, version int64) ([]Change, error) {
	return m.run(ctx, "migrating up", func(s schema) ([]step, error) {
		return s.stepsUp(version)
	})
}

// Down reverts the newest applied migration. With nothing applied it does nothing. It
// does not drop what records hold. See [ErrDataLoss].
func (m *Migrator) Down(ctx context.Context) ([]Change, error) {
	return m.run(ctx, "migrating down", func(s schema) ([]step, error) {
		return s.stepsDown(s.previous(s.current()))
	})
}

// DownTo reverts every migration above a version, newest first. 0 reverts all. It
// never applies a migration, and it does not drop what records hold. See
// [ErrDataLoss]. Every migration's check runs before the first one is reverted.
func (m *Migrator) DownTo(ctx context.Context, version int64) ([]Change, error) {
	return m.run(ctx, "migrating down", func(s schema) ([]step, error) {
		return s.stepsDown(version)
	})
}

// Redo reverts the newest applied migration and applies it again. With nothing applied
// it does nothing.
func (m *Migrator) Redo(ctx context.Context) ([]Change, error) {
	return m.run(ctx, "redoing the last migration", func(s schema) ([]step, error) {
		steps, err := s.stepsDown(s.previous(s.current()))
		if err != nil || len(steps) == 0 {
			return nil, err
		}
		// What Redo drops, it creates again with its grants.
		return append(steps, step{direction: DirectionUp, version: s.current()}), nil
	})
}
