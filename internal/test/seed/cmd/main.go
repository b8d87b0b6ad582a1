// Command seed fills an empty trail with made-up records, to try and to measure the reading calls. The
// database is the one of DATABASE_URL.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/dsn"
	"github.com/hoc-analytics/coordaudit/internal/test/seed"
)

type commandLine struct {
	Records int    `default:"1000000" help:"How many records."`
	Seed    uint64 `default:"1" help:"The same seed makes the same records."`
}

func main() {
	var cli commandLine
	kong.Parse(&cli, kong.Description("Fills an empty, migrated trail with made-up records. They cannot be taken out again."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cli); err != nil {
		fmt.Fprintln(os.Stderr, "seed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cli commandLine) error {
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		return errors.New("no database is given: set DATABASE_URL")
	}
	config, err := dsn.Parse(url, pgxpool.ParseConfig)
	if err != nil {
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer pool.Close()
	start := time.Now()
	n, err := seed.Copy(ctx, pool, seed.Records(seed.Config{Records: cli.Records, Seed: cli.Seed}))
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "seed: %d records in %.1f s\n", n, time.Since(start).Seconds())
	return nil
}
