package auditmigrate

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/hoc-analytics/coordaudit/migrations"
)

// source is one embedded migration.
type source struct {
	version int64
	name    string
	file    string
}

// sources lists the embedded migrations by version, numbered as goose does it.
func sources() ([]source, error) {
	files, err := fs.Glob(migrations.FS(), "*.sql")
	if err != nil {
		return nil, fmt.Errorf("listing the embedded migrations: %w", err)
	}
	list := make([]source, 0, len(files))
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			return nil, fmt.Errorf("numbering the embedded migration %s: %w", file, err)
		}
		list = append(list, source{version: version, name: nameOf(file), file: file})
	}
	slices.SortFunc(list, func(a, b source) int { return cmp.Compare(a.version, b.version) })
	return list, nil
}

func nameOf(file string) string {
	return strings.TrimSuffix(path.Base(file), ".sql")
}

// schema is what this program knows beside what the database has.
type schema struct {
	sources []source
	applied map[int64]time.Time // by version
}

// target is the newest version that this program knows.
func (s schema) target() int64 {
	if len(s.sources) == 0 {
		return 0
	}
	return s.sources[len(s.sources)-1].version
}

// current is the newest version that the database has, 0 with none.
func (s schema) current() int64 {
	return s.previous(Latest)
}

// previous is the newest version that the database has below another.
func (s schema) previous(version int64) int64 {
	newest := int64(0)
	for applied := range s.applied {
		if applied < version {
			newest = max(newest, applied)
		}
	}
	return newest
}

func (s schema) pending() []int64 {
	var versions []int64
	for _, source := range s.sources {
		if _, ok := s.applied[source.version]; !ok {
			versions = append(versions, source.version)
		}
	}
	return versions
}

func (s schema) knows(version int64) bool {
	return slices.ContainsFunc(s.sources, func(source source) bool { return source.version == version })
}

// step is one call of goose. Each is told where to end, not what to do, so that a
// step that another process has taken meanwhile does nothing.
type step struct {
	direction Direction
	version   int64
}

func (s schema) stepsUp(target int64) ([]step, error) {
	if target != Latest && !s.knows(target) {
		return nil, s.unknown(target)
	}
	var steps []step
	for _, version := range s.pending() {
		if version <= target {
			steps = append(steps, step{direction: DirectionUp, version: version})
		}
	}
	return steps, nil
}

func (s schema) stepsDown(target int64) ([]step, error) {
	if target != 0 && !s.knows(target) {
		return nil, s.unknown(target)
	}
	var steps []step
	for _, version := range slices.Backward(slices.Sorted(maps.Keys(s.applied))) {
		if version <= target {
			break
		}
		if !s.knows(version) {
			return nil, fmt.Errorf("the database is at version %d, this program knows versions up to %d only: revert with the newer program", version, s.target())
		}
		steps = append(steps, step{direction: DirectionDown, version: max(target, s.previous(version))})
	}
	return steps, nil
}

func (s schema) unknown(version int64) error {
	return fmt.Errorf("%w %d: this program knows versions 1 to %d", ErrUnknownVersion, version, s.target())
}

// Status returns every migration that this program knows, by version, and when
// the database got it. It takes no lock and changes nothing.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	s, err := m.read(ctx)
	if err != nil {
		return nil, m.failure(ctx, "reading the schema's status", err)
	}
	list := make([]Migration, len(s.sources))
	for i, source := range s.sources {
		list[i] = Migration{Version: source.version, Name: source.name, AppliedAt: s.applied[source.version]}
	}
	return list, nil
}

// Version returns the newest version that the database has, 0 with none, and the
// newest that this program knows. It takes no lock and changes nothing.
func (m *Migrator) Version(ctx context.Context) (current, target int64, err error) {
	s, err := m.read(ctx)
	if err != nil {
		return 0, 0, m.failure(ctx, "reading the schema's version", err)
	}
	return s.current(), s.target(), nil
}

// Validate returns nil when the database has every migration that this program
// knows, and a [PendingError] when it lacks some. A database that a newer program
// has migrated is valid, so that a deploy can be rolled back without its schema.
// It takes no lock and changes nothing, which makes it fit for a readiness check.
func (m *Migrator) Validate(ctx context.Context) error {
	const doing = "validating the schema"
	s, err := m.read(ctx)
	if err != nil {
		return m.failure(ctx, doing, err)
	}
	if pending := s.pending(); len(pending) > 0 {
		return fmt.Errorf("%s: %w: run the migrations (migrate up)", doing, &PendingError{Versions: pending})
	}
	return nil
}

// read looks at the version table by a SELECT of our own: goose's reading calls
// take the lock or create the table.
func (m *Migrator) read(ctx context.Context) (schema, error) {
	list, err := sources()
	if err != nil {
		return schema{}, err
	}
	s := schema{sources: list, applied: map[int64]time.Time{}}
	conn, err := pgx.ConnectConfig(ctx, m.connConfig)
	if err != nil {
		return schema{}, err
	}
	defer closeConn(ctx, conn)

	// Asked first, as a SELECT that fails is an error in the server's log, once
	// for every try of everyone who waits.
	var stands bool
	err = conn.QueryRow(ctx, "SELECT to_regclass('"+VersionTable+"') IS NOT NULL", pgx.QueryExecModeExec).Scan(&stands)
	if err != nil || !stands {
		return s, err
	}
	rows, err := conn.Query(ctx, "SELECT version_id, max(tstamp) FROM "+VersionTable+" WHERE version_id > 0 GROUP BY version_id", pgx.QueryExecModeExec)
	if err != nil {
		return s, err
	}
	var version int64
	var appliedAt time.Time
	_, err = pgx.ForEachRow(rows, []any{&version, &appliedAt}, func() error {
		s.applied[version] = appliedAt
		return nil
	})
	if pgErr := pgError(err); pgErr != nil && pgErr.Code == stateUndefinedTable {
		err = nil // dropped since we asked
	}
	return s, err
}

// closeConn says goodbye to the server also after ctx has ended, but not for long.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // how it ended changes nothing for the caller
}
