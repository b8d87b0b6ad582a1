package auditmigrate_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A deploy gives every program the service's URL, which may set the pool's size.
func TestURLWithPoolParameters(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	migrator, err := auditmigrate.Open(db.URL+"&pool_max_conns=3&pool_min_conns=1&pool_max_conn_lifetime=1h", quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := migrator.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if err := migrator.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

// The server's answer about a parameter does not change with time.
func TestWaitRefusedParameter(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	for _, parameters := range []string{"&statement_timeout=soon", "&options=-c%20no_such_setting%3D1"} {
		if _, err := pgx.Connect(t.Context(), db.URL+parameters); err == nil {
			t.Fatalf("%s is taken", parameters)
		}
		migrator, err := auditmigrate.Open(db.URL+parameters, quiet())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err = migrator.Wait(ctx)
		if ctx.Err() != nil || err == nil || !strings.HasSuffix(err.Error(), ": correct or remove this parameter in the database URL, or in its options") {
			t.Errorf("%s: %v, %v", parameters, err, ctx.Err())
		}
		cancel()
	}
}
