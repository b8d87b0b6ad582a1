// Package sealing runs the sealer next to every kind of writer, through kills of the sealer and
// of the server, and requires that verifying finds nothing.
package sealing_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

const (
	urlVariable      = "COORDAUDIT_TEST_SEALER_URL"
	keyVariable      = "COORDAUDIT_TEST_SEALER_KEY"
	exportsVariable  = "COORDAUDIT_TEST_SEALER_EXPORTS"
	patienceVariable = "COORDAUDIT_TEST_SEALER_PATIENCE"
)

// TestMain lets the test start this binary as the sealer that it kills.
func TestMain(m *testing.M) {
	if url := os.Getenv(urlVariable); url != "" {
		if err := sealUntilKilled(context.Background(), url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func sealUntilKilled(ctx context.Context, url string) error {
	signer, err := seal.LoadSigner(os.Getenv(keyVariable))
	if err != nil {
		return err
	}
	patience, err := time.ParseDuration(os.Getenv(patienceVariable))
	if err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	running, err := sealer.New(pool, sealer.Config{
		Signer: signer, Export: sealer.Directory(os.Getenv(exportsVariable)), Interval: 20 * time.Millisecond, Patience: patience,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	return running.Run(ctx)
}
