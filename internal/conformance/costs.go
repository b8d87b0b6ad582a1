package conformance

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func costs() []promise {
	return []promise{
		{"OnePersistTxIsOneRoundTrip", onePersistTxIsOneRoundTrip},
	}
}

// roundTrips counts how often a connection writes after it has read. It is for
// one connection, used by one goroutine at a time.
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

// The first use of a connection prepares or describes. describe_exec has no line
// here: docs/guarantees.md says three round trips, it takes four.
func onePersistTxIsOneRoundTrip(t *testing.T, db Database) {
	tests := map[pgx.QueryExecMode]struct{ first, then int64 }{
		pgx.QueryExecModeCacheStatement: {4, 1},
		pgx.QueryExecModeCacheDescribe:  {4, 3},
		pgx.QueryExecModeExec:           {1, 1},
		pgx.QueryExecModeSimpleProtocol: {1, 1},
	}
	for mode, want := range tests {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			db := db.another(t)
			var reads, trips atomic.Int64
			pool := openPool(t, db.URL, func(config *pgxpool.Config) {
				config.MaxConns = 1
				config.ConnConfig.DefaultQueryExecMode = mode
				dial := config.ConnConfig.DialFunc
				config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := dial(ctx, network, address)
					return roundTrips{conn, &reads, &trips}, err
				}
			})
			store := coordaudit.New(pool, quiet())
			tx := callersTx(t, pool)
			var got []int64
			for range 5 {
				before := trips.Load()
				txCalls(store, tx)[0].wantOutcome(t, newRecord(), audit.Persisted)
				got = append(got, trips.Load()-before)
			}
			commit(t, tx)
			// The second use prepares SAVEPOINT and RELEASE, where they are prepared.
			if got[0] != want.first || got[1] > 3 || got[2] != want.then || got[3] != want.then || got[4] != want.then {
				t.Errorf("round trips %v, want %d at first and then %d", got, want.first, want.then)
			}
		})
	}
}
