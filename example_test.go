package coordaudit_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// exampleDB is a database of the example's own, migrated.
func exampleDB(ctx context.Context) (db *testdb.DB, drop func()) {
	db, drop, err := testdb.ForExample(ctx)
	if err != nil {
		log.Fatal(err)
	}
	return db, drop
}

func ExampleStore_Persist() {
	ctx := context.Background()
	db, drop := exampleDB(ctx)
	defer drop()

	store, err := coordaudit.Open(ctx, db.URL, coordaudit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	result, err := store.Persist(ctx, audit.Record{
		EnvelopeID:           "retry-backoff-7",
		EnvelopeClass:        audit.Reliability,
		Decision:             audit.Applied,
		Reason:               "applied, nothing stood in its way",
		DecisionTimestamp:    time.Now(),
		ActiveEnvelopesCount: 1,
		TenantID:             "acme",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Outcome, result.Seq)
	// Output: persisted 1
}

// The service's own change and its record are committed together.
func ExampleStore_PersistTx() {
	ctx := context.Background()
	db, drop := exampleDB(ctx)
	defer drop()
	store := coordaudit.New(db.Pool, coordaudit.Config{})
	if _, err := db.Pool.Exec(ctx, "CREATE TABLE active_envelopes (envelope_id text PRIMARY KEY)"); err != nil {
		log.Fatal(err)
	}

	err := pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO active_envelopes VALUES ($1)", "retry-backoff-7"); err != nil {
			return err
		}
		_, err := store.PersistTx(ctx, tx, audit.Record{
			EnvelopeID:        "retry-backoff-7",
			EnvelopeClass:     audit.Reliability,
			Decision:          audit.Applied,
			Reason:            "applied, nothing stood in its way",
			DecisionTimestamp: time.Now(),
		})
		return err // no record, no decision: both are rolled back
	})
	fmt.Println(err)
	// Output: <nil>
}

// A batch stores every record that can be stored and names the others.
func ExampleStore_PersistMany() {
	ctx := context.Background()
	db, drop := exampleDB(ctx)
	defer drop()
	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})

	good := audit.Record{EnvelopeID: "a", Decision: audit.Applied, Reason: "why", DecisionTimestamp: time.Now()}
	bad := audit.Record{EnvelopeID: "b", Decision: audit.Preempted, Reason: "why", DecisionTimestamp: time.Now()}
	results, err := store.PersistMany(ctx, []audit.Record{good, bad})

	fmt.Println(results[0].Outcome)
	if failed, ok := errors.AsType[*audit.BatchError](err); ok {
		for _, failure := range failed.Failures {
			fmt.Println(failure.Index, failure.Err.Err)
		}
	}
	// Output:
	// persisted
	// 1 invalid audit record: preempting_envelope_id is required when the decision is PREEMPTED
}

// After a lost acknowledgement the outcome is unknown. Persisting the same id again resolves
// it.
func ExampleStore_Persist_retry() {
	ctx := context.Background()
	db, drop := exampleDB(ctx)
	defer drop()
	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})

	rec := audit.Record{
		AuditID:    uuid.MustParse("9d191c61-c4ee-457d-9aa0-563922ea4db1"),
		EnvelopeID: "a", Decision: audit.Applied, Reason: "why", DecisionTimestamp: time.Now(),
	}
	for range 2 {
		result, err := store.Persist(ctx, rec)
		fmt.Println(result.Outcome, err)
	}
	rec.Reason = "another story"
	_, err := store.Persist(ctx, rec)
	fmt.Println(err)
	// Output:
	// persisted <nil>
	// already_persisted <nil>
	// persisting audit record 9d191c61-c4ee-457d-9aa0-563922ea4db1: audit id is taken by a record with other content: it differs in reason
}

// A replay checks every record and writes nothing.
func ExampleStore_Replaying() {
	ctx := context.Background()
	db, drop := exampleDB(ctx)
	defer drop()
	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler)})

	replay := store.Replaying()
	result, err := replay.Persist(ctx, audit.Record{EnvelopeID: "a", Decision: audit.Applied, Reason: "why", DecisionTimestamp: time.Now()})
	fmt.Println(result.Outcome, err)
	_, err = replay.Persist(ctx, audit.Record{EnvelopeID: "a", Decision: "EXPIRED", Reason: "why", DecisionTimestamp: time.Now()})
	fmt.Println(errors.Is(err, audit.ErrInvalidRecord))
	// Output:
	// skipped <nil>
	// true
}

// Whose trail is read is never left to a default.
func ExampleStore_Get() {
	ctx := context.Background()
	db, drop := exampleDB(ctx)
	defer drop()
	store := coordaudit.New(db.Pool, coordaudit.Config{})

	result, err := store.Persist(ctx, audit.Record{
		EnvelopeID: "a", Decision: audit.Applied, Reason: "why", DecisionTimestamp: time.Now(), TenantID: "acme",
	})
	if err != nil {
		log.Fatal(err)
	}
	rec, err := store.Get(ctx, audit.Tenant("acme"), result.AuditID)
	fmt.Println(rec.EnvelopeID, rec.EnvelopeClass, err)
	_, err = store.Get(ctx, audit.Tenant("emu"), result.AuditID)
	fmt.Println(errors.Is(err, audit.ErrNotFound))
	// Output:
	// a UNKNOWN <nil>
	// true
}
