package coordaudit_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// write commits, rolls back and delays transactions at random, with savepoints that are
// rolled back.
func (tr *trail) write(ctx context.Context, tb testing.TB, transactions int) {
	tb.Helper()
	for range transactions {
		if ctx.Err() != nil {
			return
		}
		tx, err := tr.pool.Begin(ctx)
		if err != nil {
			tb.Error(err)
			return
		}
		for range 1 + rand.IntN(4) {
			rollBack := rand.IntN(3) == 0
			if rollBack {
				if _, err := tx.Exec(ctx, "SAVEPOINT maybe"); err != nil {
					tb.Error(err)
				}
			}
			if _, err := tr.store.PersistTx(ctx, tx, fixture.NewRecord()); err != nil {
				tb.Error(err)
			}
			if rollBack {
				if _, err := tx.Exec(ctx, "ROLLBACK TO SAVEPOINT maybe"); err != nil {
					tb.Error(err)
				}
			}
		}
		time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		end := tx.Commit
		if rand.IntN(4) == 0 {
			end = tx.Rollback
		}
		if err := end(ctx); err != nil {
			tb.Error(err)
		}
	}
}
