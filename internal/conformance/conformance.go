// Package conformance states the guarantees of docs/guarantees.md as tests that run
// on any PostgreSQL (written for version 13 and later): local programs, a container,
// another version or engine.
//
// Adding an engine is one line, a call of [Run] with a function that opens a
// migrated database on it. Its role must be a superuser: some promises are about
// what even that one cannot do, others terminate sessions. Connections must reach
// the server without TLS, since package faultproxy reads what it breaks.
//
// Adding a promise is one line too, in the table of its section's file. What needs
// a server or process of its own to kill is in the root package's crash_test.go.
package conformance

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Database is a migrated database of one test's own.
type Database struct {
	// URL opens the database; it may hold a password.
	URL string

	// Pool is the test's own; whoever opened the database closes it.
	Pool *pgxpool.Pool

	open func(t *testing.T) Database
}

// another opens one more database on the same server, for a subtest.
func (db Database) another(t *testing.T) Database {
	t.Helper()
	other := db.open(t)
	other.open = db.open
	return other
}

// promise is one guarantee. Its name says it in words, which the documents quote.
type promise struct {
	name  string
	holds func(t *testing.T, db Database)
}

// Run states every guarantee as a subtest, in parallel, each on a database of its own.
func Run(t *testing.T, open func(t *testing.T) Database) {
	t.Helper()
	for _, p := range promises() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.holds(t, Database{open: open}.another(t))
		})
	}
}

// promises stand in the order of docs/guarantees.md. Those that the predecessor
// broke say so: "row" is a row of the table of its faults on the write path.
func promises() []promise {
	return slices.Concat(
		durability(), idempotency(), inputs(), contexts(), batches(), loads(), scopes(),
		reads(), listings(), signals(), gaps(),
		refusals(), faults(), connections(), retries(), transactions(), transactionFaults(),
		bounds(), callBounds(), closing(), costs(), immutability(), logging(),
		recorders(), recorderFaults(), recorderRefusals(), recorderKeeping(),
	)
}
