// Command quickstart is the integration that the README shows.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

func run(ctx context.Context, databaseURL string) error {
	pool, err := pgxpool.New(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	// In a deploy, cmd/migrate does this before the service starts.
	if _, err := auditmigrate.New(pool.Config().ConnConfig, auditmigrate.Config{}).Up(ctx); err != nil {
		return err
	}
	store := coordaudit.New(pool, coordaudit.Config{})

	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// … change your own tables here …
		result, err := store.PersistTx(ctx, tx, audit.Record{
			EnvelopeID:        "retry-backoff-7",
			EnvelopeClass:     audit.Reliability,
			Decision:          audit.Applied,
			Reason:            "applied, nothing stood in its way",
			DecisionTimestamp: time.Now(),
			TenantID:          "acme",
		})
		if err != nil {
			return err // no record, no decision: everything is rolled back
		}
		fmt.Fprintln(os.Stderr, result.Outcome, result.AuditID)
		return nil
	})
}

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL")); err != nil {
		log.Fatal(err)
	}
}
