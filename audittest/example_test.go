package audittest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/audittest"
)

func ExampleNew() {
	t, end := inTest() // your test has its t
	defer end()

	db := audittest.New(t)

	result, err := db.Store.Persist(t.Context(), audit.Record{
		EnvelopeID: "retry-backoff-7", Decision: audit.Applied, Reason: "nothing stood in its way", DecisionTimestamp: time.Now(),
	})
	fmt.Println(result.Outcome, result.Seq, err)
	// Output: persisted 1 <nil>
}

// A deploy that adopts the predecessor's table keeps its rows.
func ExampleLegacy() {
	t, end := inTest() // your test has its t
	defer end()

	db := audittest.Legacy(t)

	migrator, err := auditmigrate.Open(db.URL, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := migrator.Up(t.Context()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(audittest.Records(t, t.Context(), db.Pool)), "records")
	// Output: 12 records
}

func ExampleRecords() {
	t, end := inTest() // your test has its t
	defer end()
	db := audittest.New(t)
	for _, envelope := range []string{"b", "a"} {
		if _, err := db.Store.Persist(t.Context(), audit.Record{
			EnvelopeID: envelope, Decision: audit.Applied, Reason: "nothing stood in its way", DecisionTimestamp: time.Now(),
		}); err != nil {
			log.Fatal(err)
		}
	}

	for _, rec := range audittest.Records(t, t.Context(), db.Pool) {
		fmt.Println(rec.EnvelopeID, rec.Decision)
	}
	// Output:
	// b APPLIED
	// a APPLIED
}

// It fails the test, with a diff, if the trail holds anything else.
func ExampleRequirePersisted() {
	t, end := inTest() // your test has its t
	defer end()
	db := audittest.New(t)
	decided := time.Now()
	rec := audit.Record{EnvelopeID: "a", Decision: audit.Applied, Reason: "nothing stood in its way", DecisionTimestamp: decided}
	if _, err := db.Store.Persist(t.Context(), rec); err != nil {
		log.Fatal(err)
	}

	audittest.RequirePersisted(t, t.Context(), db.Pool, audit.Record{
		EnvelopeID: "a", Decision: audit.Applied, Reason: "nothing stood in its way", DecisionTimestamp: decided,
	})
	// Output:
}

// Only the transaction itself sees what it has written, until it commits.
func ExampleRequireNoRecords() {
	t, end := inTest() // your test has its t
	defer end()
	db := audittest.New(t)
	rec := audit.Record{EnvelopeID: "a", Decision: audit.Applied, Reason: "nothing stood in its way", DecisionTimestamp: time.Now()}

	err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
		_, err := db.Store.PersistTx(t.Context(), tx, rec)
		audittest.RequirePersisted(t, t.Context(), tx, rec)
		audittest.RequireNoRecords(t, t.Context(), db.Pool)
		return err
	})
	fmt.Println(err)
	// Output: <nil>
}

// The database refuses the record once. The service's transaction survives, and the
// service decides what to do next.
func ExampleFaulty() {
	t, end := inTest() // your test has its t
	defer end()
	db := audittest.New(t)

	pool := audittest.Faulty(t, db.Pool, audittest.Fault{
		Statement: audittest.AuditInsert, Kind: audittest.Refused, SQLState: "40001", Times: 1,
	})
	store := coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})

	rec := audit.Record{EnvelopeID: "a", Decision: audit.Applied, Reason: "nothing stood in its way", DecisionTimestamp: time.Now()}
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		for range 2 {
			_, err := store.PersistTx(context.Background(), tx, rec)
			fmt.Println(errors.Is(err, audit.ErrUnavailable), err == nil)
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// true false
	// false true
	// <nil>
}
