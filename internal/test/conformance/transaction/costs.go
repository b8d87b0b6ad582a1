package transaction

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// roundTrips counts how often a connection writes after it has read. It serves one connection that
// one goroutine uses at a time.
type roundTrips struct {
	net.Conn
	reads, trips *atomic.Int64
}

func (c roundTrips) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.reads.Add(1)
	}
	return n, err
}

func (c roundTrips) Write(p []byte) (int, error) {
	if c.reads.Swap(0) > 0 {
		c.trips.Add(1)
	}
	return c.Conn.Write(p)
}

// The first use of a connection prepares or describes the statement. describe_exec describes it each
// time.
func persistTxIsOneRoundTrip(t *testing.T, db frame.Database) {
	tests := map[pgx.QueryExecMode]struct{ first, then int64 }{
		pgx.QueryExecModeCacheStatement: {2, 1},
		pgx.QueryExecModeCacheDescribe:  {2, 1},
		pgx.QueryExecModeDescribeExec:   {2, 2},
		pgx.QueryExecModeExec:           {1, 1},
		pgx.QueryExecModeSimpleProtocol: {1, 1},
	}
	const table = 2  // the question what the table is, once a minute
	const lookup = 2 // needed unless Config.Schema names the schema
	for mode, want := range tests {
		for schema, lookup := range map[string]int64{"": lookup, "public": 0} {
			t.Run(mode.String()+"/schema "+schema, func(t *testing.T) {
				t.Parallel()
				got := roundTripsOf(t, db.Another(t), mode, schema)
				if got[0] != lookup+table+want.first || got[1] != want.then || got[2] != want.then || got[3] != want.then || got[4] != want.then {
					t.Errorf("round trips %v, want %d at first and then %d", got, lookup+table+want.first, want.then)
				}
			})
		}
	}
}

// roundTripsOf counts the round trips of each of five calls in one transaction.
func roundTripsOf(t *testing.T, db frame.Database, mode pgx.QueryExecMode, schema string) (got []int64) {
	t.Helper()
	var reads, trips atomic.Int64
	pool := fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.MaxConns = 1
		config.ConnConfig.DefaultQueryExecMode = mode
		dial := config.ConnConfig.DialFunc
		config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return roundTrips{conn, &reads, &trips}, err
		}
	})
	config := fixture.Quiet()
	config.Schema = schema
	store := coordaudit.New(pool, config)
	tx := frame.CallersTx(t, pool)
	for range 5 {
		before := trips.Load()
		frame.TxCalls(store, tx)[0].WantOutcome(t, fixture.NewRecord(), audit.Persisted)
		got = append(got, trips.Load()-before)
	}
	frame.Commit(t, tx)
	return got
}
