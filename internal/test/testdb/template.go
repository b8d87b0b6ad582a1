package testdb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/clusterschema"
	"github.com/hoc-analytics/coordaudit/migrations"
)

const (
	stateObjectInUse       = "55006"
	stateDuplicateDatabase = "42P04"

	// inUseTimeout is how long a session may use a template before a test fails for it.
	// The server itself waits five seconds each time.
	inUseTimeout = 10 * time.Second
)

// template returns the name of the migrated database that test databases are cloned from. There is one
// for each state of the migrations.
func (h *Host) template(ctx context.Context) (string, error) {
	h.templateOnce.Do(func() {
		h.templateName, h.templateErr = h.makeTemplate(ctx)
	})
	return h.templateName, h.templateErr
}

// makeTemplate builds the template under the name of a test database and renames it at the end. So a
// database with the template's name is complete, and sweep drops what a killed process leaves.
func (h *Host) makeTemplate(ctx context.Context) (string, error) {
	name, err := templateNameOf(migrations.FS())
	if err != nil {
		return "", err
	}
	if h.cluster {
		hash := sha256.Sum256([]byte(clusterschema.Leaves()))
		name += fmt.Sprintf("_distributed_%x", hash[:3])
	}
	conn, err := pgx.ConnectConfig(ctx, h.address.admin)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()

	// On a shared server the tests of another package may make it at the same time.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
		return "", err
	}
	var made bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&made)
	if made || err != nil {
		return name, err
	}
	return name, h.buildTemplate(ctx, conn, name)
}

func (h *Host) buildTemplate(ctx context.Context, conn *pgx.Conn, name string) (err error) {
	building, err := h.newName(ctx)
	if err != nil {
		return err
	}
	if err := h.create(ctx, building, ""); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			h.drop(context.WithoutCancel(ctx), building)
		}
	}()
	_, config, err := h.address.in(building)
	if err != nil {
		return err
	}
	if err := migrateUp(ctx, config.ConnConfig); err != nil {
		return err
	}
	if h.cluster {
		if err := distribute(ctx, config.ConnConfig); err != nil {
			return err
		}
		return h.keepAsTemplate(ctx, building, name)
	}
	err = whileInUse(ctx, conn, building, "ALTER DATABASE "+building+" RENAME TO "+name)
	if sqlState(err) == stateDuplicateDatabase { // made from another database of the server, where our lock has no effect
		_, err = conn.Exec(ctx, "DROP DATABASE "+building)
		return err
	}
	if err == nil {
		_, err = conn.Exec(ctx, "ALTER DATABASE "+name+" IS_TEMPLATE true") // so that no one drops it by mistake
	}
	return err
}

func migrateUp(ctx context.Context, config *pgx.ConnConfig) error {
	_, err := auditmigrate.New(config, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)}).Up(ctx)
	return err
}

// whileInUse runs a statement that needs a database without sessions. It tries again while there are
// sessions, and its error names them.
func whileInUse(ctx context.Context, conn *pgx.Conn, database, sql string) error {
	for deadline := time.Now().Add(inUseTimeout); ; {
		_, err := conn.Exec(ctx, sql)
		if sqlState(err) != stateObjectInUse {
			return err
		}
		if time.Now().Before(deadline) && ctx.Err() == nil {
			continue
		}
		sessions, askErr := sessionsOf(ctx, conn, database)
		if askErr != nil {
			sessions = " (they could not be listed)"
		}
		return fmt.Errorf("%w\nNo session may look at %s while tests are cloned from it. End these, by closing the program or by SELECT pg_terminate_backend(process), and run the tests again:%s",
			err, database, sessions)
	}
}

func sqlState(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}

func templateNameOf(files fs.FS) (string, error) {
	hash := sha256.New()
	_, _ = fmt.Fprintln(hash, "built under another name") // older kits built it under its own name, so theirs may be incomplete
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		_, _ = fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content)
		return err
	})
	return fmt.Sprintf("coordaudit_template_%x", hash.Sum(nil)[:6]), err
}
