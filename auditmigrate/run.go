package auditmigrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/hoc-analytics/coordaudit/migrations"
)

// run makes a plan from what the database has and goes through it, one migration
// at a time, so that each is logged when it is done and not when all are.
func (m *Migrator) run(ctx context.Context, doing string, plan func(schema) ([]step, error)) ([]Change, error) {
	s, err := m.read(ctx)
	if err != nil {
		return nil, m.failure(ctx, doing, err)
	}
	steps, err := plan(s)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if len(steps) == 0 {
		return nil, nil
	}

	db := m.openDB(ctx)
	defer func() { _ = db.Close() }() // every statement was answered by then
	// A provider serves one call only: after one failure to make the version table
	// it would never try again.
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS(),
		goose.WithTableName(VersionTable),
		goose.WithSessionLocker(sessionLock{timeout: m.config.LockTimeout}),
		goose.WithDisableGlobalRegistry(true), // the application's own Go migrations
		goose.WithSlog(slog.New(slog.DiscardHandler)),
	)
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
	return changes, nil
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
		err = errors.New("another process, a newer one, has migrated further meanwhile: revert with the newer program")
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
			slog.Duration("duration", change.Duration.Round(time.Millisecond)),
		}
		if change.Direction == DirectionDown {
			m.config.Logger.LogAttrs(ctx, slog.LevelInfo, "audit_migration_reverted", attrs...)
		} else {
			m.config.Logger.LogAttrs(ctx, slog.LevelInfo, "audit_migration_applied", attrs...)
		}
	}
}

// failedAt names the migration that failed, if it came to one.
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

// doneBefore tells what stays done although the run failed.
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
