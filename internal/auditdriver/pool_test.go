package auditdriver_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A pool's own hooks run as before, and what they refuse is refused. Parameters that the driver
// relies on replace the pool's, however they are spelled, and the others stay.
func TestConfiguredPoolKeepsItsHooks(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	open := func(connect error) (pool *pgxpool.Pool, notices, connects *atomic.Int64) {
		notices, connects = &atomic.Int64{}, &atomic.Int64{}
		config, err := pgxpool.ParseConfig(db.URL)
		if err != nil {
			t.Fatal(err)
		}
		config.ConnConfig.RuntimeParams["DateStyle"], config.ConnConfig.RuntimeParams["application_name"] = "German", "theirs"
		config.ConnConfig.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) { notices.Add(1) }
		config.AfterConnect = func(context.Context, *pgx.Conn) error { connects.Add(1); return connect }
		auditdriver.ConfigurePool(config)
		pool, err = pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool, notices, connects
	}
	pool, notices, connects := open(nil)
	var style, name string
	if err := pool.QueryRow(t.Context(), "SELECT current_setting('DateStyle'), current_setting('application_name')").Scan(&style, &name); err != nil {
		t.Fatal(err)
	}
	if style[:3] != "ISO" || name != "theirs" {
		t.Errorf("DateStyle is %s and application_name %s", style, name)
	}
	if _, err := pool.Exec(t.Context(), "DO $$ BEGIN RAISE WARNING 'heard'; END $$"); err != nil {
		t.Fatal(err)
	}
	if notices.Load() != 1 || connects.Load() != 1 {
		t.Errorf("%d notices and %d connections reached the pool's hooks, want one each", notices.Load(), connects.Load())
	}
	refusal := errors.New("the pool's own")
	refusing, _, _ := open(refusal)
	if err := refusing.Ping(t.Context()); !errors.Is(err, refusal) {
		t.Errorf("%v, want the refusal of the pool's hook", err)
	}
}
