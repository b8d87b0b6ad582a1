package auditmigrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/hoc-analytics/coordaudit/migrations"
)

// run makes a plan from the state of the database and runs it one migration at a time,
// so that each is logged when it is done and not when all are.
func (m *Migrator) run(ctx context.Context, doing string, plan func(schema) ([]step, error)) ([]Change, error) {
	s, err := m.read(ctx)
	if err != nil {
		return nil, m.failure(ctx, doing, err)
	}
	steps, err := plan(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if err := s.check(m.config.Schema, steps); err != nil {
		return nil, m.failure(ctx, doing, err)
	}
	if len(steps) == 0 {
		return nil, nil
	}

	db := m.openDB(ctx, s.at)
	defer func() { _ = db.Close() }() // every statement has been answered
	if refused, err := m.ask(ctx, db, s, steps); err != nil {
		return nil, m.failure(ctx, doing+refused, err)
	}
	kept, err := m.keepGrants(ctx, db, s.at, steps)
	if err != nil {
		return nil, m.failure(ctx, doing, err)
	}
	provider, err := m.provider(db, s, steps, kept)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}

	var changes []Change
	for _, step := range steps {
		done, err := step.run(ctx, provider)
		m.log(ctx, done)
		changes = append(changes, done...)
		if err != nil {
			return changes, m.failure(ctx, doing+failedAt(err)+doneBefore(changes), err)
		}
	}
	m.sayLostGrants(ctx, db, kept)
	return changes, nil
}

// provider returns a goose provider for one run. It caches what it reads, so it serves
// one run only.
func (m *Migrator) provider(db *sql.DB, s schema, steps []step, kept *keptGrants) (*goose.Provider, error) {
	store := &versionStore{schema: s, table: s.at.name(VersionTable)}
	store.applied = func(ctx context.Context, db database.DBTxConn) error {
		return m.extendGrants(ctx, db, s.at, kept)
	}
	up := slices.ContainsFunc(steps, func(s step) bool { return s.direction == DirectionUp })
	locked := func(ctx context.Context, conn *sql.Conn) error {
		if !up {
			return nil
		}
		if err := m.lookAgain(ctx, conn, s.at); err != nil {
			return err
		}
		if err := store.CreateVersionTable(ctx, conn); err != nil {
			return err
		}
		return store.forgetAboveGap(ctx, conn)
	}
	return goose.NewProvider(goose.DialectCustom, db, migrations.FS(),
		goose.WithStore(store),
		goose.WithSessionLocker(sessionLock{timeout: m.config.LockTimeout, locked: locked}),
		goose.WithDisableGlobalRegistry(true), // it may hold the application's own Go migrations
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	)
}

// check refuses steps that this database does not allow. Without steps, it refuses a
// trail that must not count as up to date.
func (s schema) check(configured string, steps []step) error {
	if err := s.checkTables(); err != nil {
		return err
	}
	for _, step := range steps {
		if err := s.at.checkChange(configured); err != nil {
			return err
		}
		if err := s.at.checkEncoding(); err != nil && step.direction == DirectionUp {
			return err
		}
	}
	return nil
}

// lookAgain checks, under the lock, whether another process has created a trail in
// another schema since the first look.
func (m *Migrator) lookAgain(ctx context.Context, conn *sql.Conn, at location) error {
	if m.config.Schema != "" || at.records {
		return nil
	}
	return conn.Raw(func(driverConn any) error {
		stdConn, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("unexpected connection %T", driverConn)
		}
		places, err := readPlaces(ctx, stdConn.Conn(), "")
		if err != nil {
			return err
		}
		for _, p := range places {
			if p.records && p.schema != at.schema && !slices.Contains(at.others, p.schema) {
				at.others = []string{p.schema}
				return at.checkChange("")
			}
		}
		return nil
	})
}

func (s step) run(ctx context.Context, provider *goose.Provider) ([]Change, error) {
	goTo := provider.UpTo
	if s.direction == DirectionDown {
		goTo = provider.DownTo
	}
	results, err := goTo(ctx, s.version)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		results = partial.Applied
	}
	if errors.Is(err, goose.ErrVersionNotFound) {
		err = errors.New("a newer program has migrated the database further in the meantime: revert with the newer program")
	}
	changes := make([]Change, len(results))
	for i, result := range results {
		changes[i] = Change{
			Version:   result.Source.Version,
			Name:      nameOf(result.Source.Path),
			Direction: s.direction,
			Duration:  result.Duration,
		}
	}
	return changes, err
}

func (m *Migrator) log(ctx context.Context, changes []Change) {
	for _, change := range changes {
		attrs := []slog.Attr{
			slog.Int64("version", change.Version),
			slog.String("name", change.Name),
			slog.Int64("duration_ms", change.Duration.Milliseconds()),
		}
		if change.Direction == DirectionDown {
			m.config.Logger.LogAttrs(ctx, slog.LevelInfo, "audit_migration_reverted", attrs...)
		} else {
			m.config.Logger.LogAttrs(ctx, slog.LevelInfo, "audit_migration_applied", attrs...)
		}
	}
}

// failedAt names the migration that failed, if the run got to one.
func failedAt(err error) string {
	partial, ok := errors.AsType[*goose.PartialError](err)
	if !ok {
		return ""
	}
	verb := "applying"
	if partial.Failed.Direction == string(DirectionDown) {
		verb = "reverting"
	}
	return ": " + verb + " " + nameOf(partial.Failed.Source.Path)
}

// doneBefore lists the changes that remain although the run failed.
func doneBefore(changes []Change) string {
	if len(changes) == 0 {
		return ""
	}
	done := make([]string, len(changes))
	for i, change := range changes {
		verb := "applied "
		if change.Direction == DirectionDown {
			verb = "reverted "
		}
		done[i] = verb + change.Name
	}
	return ", having " + strings.Join(done, ", ")
}
