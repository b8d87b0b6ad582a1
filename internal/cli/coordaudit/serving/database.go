package serving

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/dsn"
)

// reads says how the console reads.
type reads struct {
	longest     time.Duration // of a statement
	connections int
}

// reads has room for the queries, the follower, and a statement that goes on for a moment
// after its reader has left.
func (c *Serve) reads() reads {
	const spare = 4
	const most = math.MaxInt32 * time.Millisecond // that statement_timeout takes
	return reads{longest: min(max(c.Timeout, c.Account), most-time.Second) + time.Second, connections: c.MaxQueries + spare}
}

// openReading opens a pool whose sessions cannot write, and whose statements end by
// themselves if the console cannot cancel them. It does not wait for the database: the console
// says on its pages when that is away.
func openReading(ctx context.Context, db *shared.Database, tried string, of reads) (*pgxpool.Pool, *coordaudit.Store, error) {
	if err := db.Check(tried); err != nil {
		return nil, nil, err
	}
	config, err := dsn.Parse(db.URL, pgxpool.ParseConfig)
	if err != nil {
		return nil, nil, &cli.ShownError{Tried: tried, Cause: err}
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if !strings.Contains(db.URL, "pool_max_conns") {
		config.MaxConns = int32(of.connections)
	}
	given := config.ConnConfig.RuntimeParams
	params := map[string]string{
		"application_name": "coordaudit serve", "default_transaction_read_only": "on",
		"statement_timeout": strconv.FormatInt(of.longest.Milliseconds(), 10),
	}
	for name := range params {
		if name != "default_transaction_read_only" && (given[name] != "" || strings.Contains(given["options"], name)) {
			delete(params, name) // the URL sets its own
		}
	}
	maps.Copy(given, params)
	coordaudit.ConfigurePool(config)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, &cli.ShownError{Tried: tried, Cause: err}
	}
	return pool, coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Retries: -1}), nil
}
