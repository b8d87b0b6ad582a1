package auditdriver

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The context ends between two statements of a call. The request finds nothing to cancel, and the
// second statement would run on until the connection is given up.
func TestCancelBetweenStatementsIsRepeated(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testdb.New(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	var d Driver
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	missed, err := d.bounded(ctx, conn.PgConn(), func(ctx context.Context) error {
		cancel()
		<-time.After(cancelAgain / 2) // the server has had the request
		_, err := conn.Exec(ctx, "SELECT pg_sleep(5)")
		return err
	})
	if sqlState(err) != stateQueryCanceled || !missed {
		t.Errorf("bounded() = %v, %v, want %s of the second statement and a request that missed", missed, err, stateQueryCanceled)
	}
	if conn.IsClosed() {
		t.Error("the connection was given up")
	}
}
