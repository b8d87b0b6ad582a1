// Command cmd writes the description of what the migrations create. make generate runs
// it, on a private server of the installed PostgreSQL:
//
//	go run ./auditadmin/internal/describe/cmd auditadmin/internal/catalog/schema.json
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditadmin/internal/describe"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "describe:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) != 1 {
		return errors.New("want one argument, the file to write")
	}
	server, err := pglocal.Start(ctx, pglocal.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }() //nolint:contextcheck // it stops the server even after ctx has ended
	migrator, err := auditmigrate.Open(server.URL(), auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if _, err := migrator.Up(ctx); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // the server ends with it
	schema, err := describe.Schema(ctx, conn)
	if err != nil {
		return err
	}
	text, err := describe.JSON(schema)
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[0], text, 0o600); err != nil { //nolint:gosec // the Makefile names the file
		return fmt.Errorf("writing the description: %w", err)
	}
	return nil
}
