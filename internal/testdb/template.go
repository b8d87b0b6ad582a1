package testdb

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/migrations"
)

// template returns the name of the migrated database that tests are cloned from,
// made once for each state of the migrations.
func (h *Host) template(ctx context.Context) (string, error) {
	h.templateOnce.Do(func() {
		h.templateName, h.templateErr = h.makeTemplate(ctx)
	})
	return h.templateName, h.templateErr
}

func (h *Host) makeTemplate(ctx context.Context) (string, error) {
	name, err := templateNameOf(migrations.FS())
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, h.admin)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()

	// On a shared server another package's tests may be making it at this moment.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
		return "", err
	}
	var finished bool
	err = conn.QueryRow(ctx, "SELECT datistemplate FROM pg_database WHERE datname = $1", name).Scan(&finished)
	if finished || (err != nil && !errors.Is(err, pgx.ErrNoRows)) {
		return name, err
	}
	return name, h.buildTemplate(ctx, conn, name)
}

// buildTemplate marks the database as a template last, so that one whose making
// was cut short is not taken for finished.
func (h *Host) buildTemplate(ctx context.Context, conn *pgx.Conn, name string) error {
	for _, sql := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	url, err := withDatabase(h.admin, name)
	if err != nil {
		return err
	}
	migrator, err := auditmigrate.Open(url, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := migrator.Up(ctx); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER DATABASE "+name+" IS_TEMPLATE true")
	return err
}

func templateNameOf(files fs.FS) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		fmt.Fprintf(hash, "%s %d\n%s", path, len(content), content)
		return err
	})
	return fmt.Sprintf("coordaudit_template_%x", hash.Sum(nil)[:6]), err
}
