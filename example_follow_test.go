package coordaudit_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// Follow delivers the records of the trail, then waits for new ones. A consumer keeps the cursor
// of the last record that it has dealt with, and goes on with it.
func ExampleStore_Follow() {
	store, drop := exampleTrail(context.Background())
	defer drop()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	var cursor audit.Cursor // as it was kept; empty at first
	query := audit.FollowQuery{Scope: audit.Tenant("acme"), From: audit.FromCursor(cursor), Decisions: []audit.Decision{audit.Preempted}}
	n := 0
	for rec, err := range store.Follow(ctx, query) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(rec.EnvelopeID, "was preempted by", rec.PreemptingEnvelopeID, "late:", rec.Late)
		cursor = rec.Cursor()
		if n++; n == 2 {
			stop() // on SIGTERM, say
		}
	}
	fmt.Println(cursor != "")
	// Output:
	// saver was preempted by guard late: false
	// saver was preempted by guard late: false
	// true
}

// A consumer that stores the cursor in the transaction of its own effect does each effect once,
// however often it is killed and started again.
func ExampleStore_FollowPage() {
	ctx := context.Background()
	store, pool, drop := exampleConsumer(ctx)
	defer drop()

	// consume counts the records of one page. It may fail at any point and be called again.
	consume := func() (more bool, err error) {
		var cursor audit.Cursor
		if err := pool.QueryRow(ctx, "SELECT cursor FROM consumer").Scan(&cursor); err != nil {
			return false, err
		}
		page, err := store.FollowPage(ctx, audit.FollowQuery{Scope: audit.AllTenants(), From: audit.FromCursor(cursor), Limit: 3})
		if err != nil {
			return false, err
		}
		return page.More, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			for _, rec := range page.Records {
				// The key is for records that come again, marked Repeated: see docs/following.md.
				_, err := tx.Exec(ctx, "INSERT INTO effects VALUES ($1, $2) ON CONFLICT DO NOTHING", rec.AuditID, rec.EnvelopeID)
				if err != nil {
					return err
				}
			}
			tag, err := tx.Exec(ctx, "UPDATE consumer SET cursor = $1 WHERE cursor = $2", page.Cursor, cursor)
			if err == nil && tag.RowsAffected() != 1 {
				err = errors.New("another consumer has moved the cursor")
			}
			return err
		})
	}
	for more := true; more; {
		var err error
		if more, err = consume(); err != nil {
			log.Fatal(err)
		}
	}
	var effects int
	if err := pool.QueryRow(ctx, "SELECT count(*) FROM effects").Scan(&effects); err != nil {
		log.Fatal(err)
	}
	fmt.Println(effects, "effects")
	// Output:
	// 7 effects
}

// Several processes consume one trail. One of them at a time holds the row with the cursor; the
// others skip it and try again later, so that one takes over when the other ends.
func ExampleStore_FollowPage_severalConsumers() {
	ctx := context.Background()
	store, pool, drop := exampleConsumer(ctx)
	defer drop()

	consume := func() (done bool, err error) {
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			var cursor audit.Cursor
			err := tx.QueryRow(ctx, "SELECT cursor FROM consumer FOR UPDATE SKIP LOCKED").Scan(&cursor)
			if errors.Is(err, pgx.ErrNoRows) {
				return nil // another process consumes
			}
			if err != nil {
				return err
			}
			page, err := store.FollowPage(ctx, audit.FollowQuery{Scope: audit.AllTenants(), From: audit.FromCursor(cursor), Limit: 1})
			if err != nil {
				return err
			}
			for _, rec := range page.Records {
				if _, err := tx.Exec(ctx, "INSERT INTO effects VALUES ($1, $2)", rec.AuditID, rec.EnvelopeID); err != nil {
					return err
				}
			}
			done = !page.More && len(page.Records) == 0
			_, err = tx.Exec(ctx, "UPDATE consumer SET cursor = $1", page.Cursor)
			return err
		})
		return done, err
	}
	var processes sync.WaitGroup
	for range 3 {
		processes.Go(func() {
			for {
				done, err := consume()
				if err != nil {
					log.Fatal(err)
				}
				if done {
					return // a service would wait for the poll interval
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	processes.Wait()
	var effects int
	if err := pool.QueryRow(ctx, "SELECT count(*) FROM effects").Scan(&effects); err != nil {
		log.Fatal(err)
	}
	fmt.Println(effects, "effects")
	// Output:
	// 7 effects
}

// exampleConsumer returns a trail of seven records and a database with a consumer's tables. Here
// it is the same one; a consumer may have its own.
func exampleConsumer(ctx context.Context) (*coordaudit.Store, *pgxpool.Pool, func()) {
	db, drop := exampleDB(ctx)
	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})
	recs := make([]audit.Record, 7)
	for i := range recs {
		recs[i] = audit.Record{
			EnvelopeID: fmt.Sprint("envelope-", i), EnvelopeClass: audit.Cost, Decision: audit.Applied,
			Reason: "recorded by an example", DecisionTimestamp: time.Now(),
		}
	}
	if _, err := store.PersistMany(ctx, recs); err != nil {
		log.Fatal(err)
	}
	_, err := db.Pool.Exec(ctx, `CREATE TABLE effects (audit_id uuid PRIMARY KEY, envelope text);
		CREATE TABLE consumer (cursor text); INSERT INTO consumer VALUES ('')`)
	if err != nil {
		log.Fatal(err)
	}
	return store, db.Pool, drop
}
