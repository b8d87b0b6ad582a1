package coordinator_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// A service lets its coordinator decide. Each decision and its record take effect
// together.
func Example() {
	ctx := context.Background()
	pool, stop, err := exampleDatabase(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	store := coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
	c := coordinator.New(pool, store, coordinator.Config{})
	for _, env := range []coordinator.Envelope{
		{ID: "turbo-cache-1", TenantID: "acme", Class: audit.Performance, Subsystem: "cache", Parameter: "ttl"},
		{ID: "cache-guard-4", TenantID: "acme", Class: audit.Safety, Subsystem: "cache", Parameter: "ttl"},
		{ID: "spot-saver-2", TenantID: "acme", Class: audit.Cost, Subsystem: "cache", Parameter: "ttl"},
		{ID: "mystery-1", TenantID: "acme", Subsystem: "cache", Parameter: "size"},
	} {
		decision, err := c.Apply(ctx, env)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(env.ID, decision)
	}
	total := store.Stats().Total()
	fmt.Println(total.Persisted, "records, the preempted envelope's among them;", total.Failed, "failed")
	// Output:
	// turbo-cache-1 APPLIED
	// cache-guard-4 APPLIED
	// spot-saver-2 REJECTED
	// mystery-1 REJECTED
	// 5 records, the preempted envelope's among them; 0 failed
}

// exampleDatabase has both schemas. A service already has a database, and its deploy
// migrates it.
func exampleDatabase(ctx context.Context) (pool *pgxpool.Pool, stop func(), err error) {
	server, err := pglocal.Start(ctx, pglocal.Config{})
	if err != nil {
		return nil, nil, err
	}
	stop = func() { _ = server.Stop() }
	if pool, err = pgxpool.New(ctx, server.URL()); err != nil {
		return nil, stop, err
	}
	stop = func() {
		pool.Close()
		_ = server.Stop()
	}
	migrator := auditmigrate.New(pool.Config().ConnConfig, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if _, err := migrator.Up(ctx); err != nil {
		return nil, stop, err
	}
	return pool, stop, coordinator.CreateTables(ctx, pool)
}
