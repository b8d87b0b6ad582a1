package auditdriver

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/databaseurl"
)

// OpenPool opens a pool on a database URL or key=value string. What the URL does
// not set and pgx leaves unbounded is bounded here. The database need not answer yet.
func OpenPool(ctx context.Context, databaseURL string, tracer pgx.QueryTracer) (*pgxpool.Pool, error) {
	config, err := databaseurl.Parse(databaseURL, pgxpool.ParseConfig)
	if err != nil {
		return nil, err
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if config.MaxConnLifetimeJitter == 0 {
		// Else connections that were opened together are closed together.
		config.MaxConnLifetimeJitter = config.MaxConnLifetime / 10
	}
	if tracer != nil {
		config.ConnConfig.Tracer = tracer
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening the connection pool: %w", err)
	}
	return pool, nil
}
