package auditmigrate

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"

	"github.com/hoc-analytics/coordaudit/migrations"
)

// source is an embedded migration.
type source struct {
	version int64
	name    string
	file    string
}

// sources lists the embedded migrations by version. The numbers are goose's.
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

// schema is what this program knows, together with what the database has.
type schema struct {
	sources []source
	applied map[int64]time.Time // by version
	gap     int64               // a missing version below an applied one; 0 is none
	at      location
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

// previous is the newest version of the database below another one.
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

// step is one call of goose. It has a target version, not an action, so that it does
// nothing if another process has taken the step in the meantime.
type step struct {
	direction Direction
	version   int64
}

func (s schema) stepsUp(target int64) ([]step, error) {
	if target != Latest && !s.knows(target) {
		return nil, s.unknown(target)
	}
	if err := s.checkGap(DirectionUp); err != nil {
		return nil, err
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
	if err := s.checkGap(DirectionDown); err != nil {
		return nil, err
	}
	var steps []step
	for _, version := range slices.Backward(s.sorted()) {
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

// Status returns every migration that this program knows, by version, and when it was
// applied. It takes no lock and changes nothing. It logs other problems, such as an
// encoding other than UTF8, at warn level. [Migrator.Validate] returns them.
func (m *Migrator) Status(ctx context.Context) ([]Migration, error) {
	const doing = "reading the schema's status"
	s, err := m.read(ctx)
	if err != nil {
		return nil, m.failure(ctx, doing, err)
	}
	for _, err := range []error{s.at.checkEncoding(), s.checkTables()} {
		if err != nil {
			m.config.Logger.LogAttrs(ctx, slog.LevelWarn, "audit_schema_unsound", slog.String("cause", err.Error()))
		}
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

// Validate returns nil if the database has every migration that this program knows,
// and a [PendingError] if it lacks some. A database that a newer program has migrated
// is valid, so that a deploy can be rolled back without its schema. A database whose
// encoding is not UTF8 is invalid ([ErrEncoding]), and so is one whose version table
// is not in the records' schema ([ErrSchema]). Validate takes no lock and changes
// nothing, which makes it suitable for a readiness check.
func (m *Migrator) Validate(ctx context.Context) error {
	const doing = "validating the schema"
	s, err := m.read(ctx)
	if err != nil {
		return m.failure(ctx, doing, err)
	}
	for _, err := range []error{s.at.checkEncoding(), s.checkTables()} {
		if err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	if pending := s.pending(); len(pending) > 0 {
		next := cmp.Or(s.at.hint(), "run the migrations (migrate up)")
		return fmt.Errorf("%s: %w: %s", doing, &PendingError{Versions: pending}, next)
	}
	return nil
}

// Schema returns the schema that holds the trail, or in which it would be created. It
// takes no lock and changes nothing.
func (m *Migrator) Schema(ctx context.Context) (string, error) {
	s, err := m.read(ctx)
	if err != nil {
		return "", m.failure(ctx, "looking for the trail", err)
	}
	return s.at.schema, nil
}

// read queries the version table itself, because goose's reading calls take the lock
// or create the table.
func (m *Migrator) read(ctx context.Context) (schema, error) {
	list, err := sources()
	if err != nil {
		return schema{}, err
	}
	s := schema{sources: list, applied: map[int64]time.Time{}}
	conn, err := pgx.ConnectConfig(ctx, m.connConfig)
	if err != nil {
		return schema{}, encodingError(err)
	}
	defer closeConn(ctx, conn)
	if _, err := conn.Exec(ctx, beginReading); err != nil {
		return s, err
	}
	err = m.readIn(ctx, conn, &s)
	s.gap = s.closeGap()
	return s, err
}

// readIn ends the transaction. Otherwise a pooler would drop the server's connection.
func (m *Migrator) readIn(ctx context.Context, conn *pgx.Conn, s *schema) (err error) {
	defer func() { _, _ = conn.Exec(ctx, "ROLLBACK") }() // it only read
	if s.at, err = m.locate(ctx, conn); err != nil {
		return err
	}
	// Check first: a SELECT that fails leaves an error in the server's log, once per
	// attempt of every waiting process.
	if s.at.versions {
		s.applied, err = readVersions(ctx, conn, s.at.name(VersionTable))
	} else if s.at.adrift != "" && !holdsVersions(ctx, conn, s.at.adrift) {
		s.at.adrift = ""
	}
	if pgErr := pgError(err); pgErr != nil && pgErr.Code == stateUndefinedTable {
		s.applied, err = map[int64]time.Time{}, nil // dropped since the check
	}
	return err
}

// holdsVersions distinguishes a version table that was left behind empty, or that this
// role may not read, from one that belongs to records in another schema.
func holdsVersions(ctx context.Context, conn *pgx.Conn, schema string) bool {
	applied, err := readVersions(ctx, conn, quote(schema)+"."+VersionTable)
	return err == nil && len(applied) > 0
}

// closeConn closes the connection in order even after ctx has ended, within a short
// time.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // the caller has its result already
}
