package coordaudit_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// A SAFETY decision waits for its commit. The others do not wait for the database.
func ExampleRecorder_Emit() {
	ctx := context.Background()
	db, drop := exampleDB(ctx)
	defer drop()
	directory, err := os.MkdirTemp("", "spool")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(directory) }()

	recorder, err := coordaudit.New(db.Pool, coordaudit.Config{}).NewRecorder(coordaudit.RecorderConfig{
		SpoolDir: directory, // in a service: on a disk that outlives the process
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, class := range []audit.EnvelopeClass{audit.Safety, audit.Cost} {
		accepted := recorder.Emit(ctx, audit.Record{
			EnvelopeID:        "retry-backoff-7",
			EnvelopeClass:     class,
			Decision:          audit.Applied,
			Reason:            "applied, nothing stood in its way",
			DecisionTimestamp: time.Now(),
		})
		fmt.Println(class, accepted)
	}
	if err := recorder.Close(ctx); err != nil { // stores what is queued
		log.Fatal(err)
	}
	total := recorder.Stats().Total()
	fmt.Println(total.Accepted, "accepted,", total.Persisted, "persisted")
	// Output:
	// SAFETY true
	// COST true
	// 2 accepted, 2 persisted
}

// A pending record is not lost: the recorder keeps it while the database is away.
func ExampleRecorder_Record() {
	ctx := context.Background()
	directory, err := os.MkdirTemp("", "spool")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(directory) }()
	quiet := slog.New(slog.DiscardHandler)
	store, err := coordaudit.Open(ctx, "postgres://none@127.0.0.1:1/none", coordaudit.Config{Logger: quiet})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: directory, WaitTimeout: 50 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}

	_, err = recorder.Record(ctx, audit.Record{
		EnvelopeID:        "retry-backoff-7",
		EnvelopeClass:     audit.Safety,
		Decision:          audit.Applied,
		Reason:            "applied, nothing stood in its way",
		DecisionTimestamp: time.Now(),
	})
	fmt.Println("pending:", errors.Is(err, audit.ErrPending))

	end, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := recorder.Close(end); err != nil {
		log.Fatal(err)
	}
	fmt.Println("kept on disk:", recorder.Stats().Total().Spooled)
	// Output:
	// pending: true
	// kept on disk: 1
}
