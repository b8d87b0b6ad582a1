// Package frame is what the guarantees of package conformance are made of: the guarantee
// with its needs, the database that it runs on, and the helpers that several sections use.
package frame

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Section is a group of guarantees about one subject, and a subtest.
type Section struct {
	Name       string
	Guarantees []Guarantee
}

// Guarantee is one statement about the library, and a subtest of its section.
type Guarantee struct {
	Name  string
	Holds func(t *testing.T, db Database)

	// Needs is what a database must offer, else the guarantee is not run on it.
	Needs Need

	// EveryMode runs the guarantee in each exec mode of an engine. Most guarantees run in
	// the first mode only. Those with EveryMode make every call between them.
	EveryMode bool
}

// Need is what a guarantee needs of a database besides the migrated schema.
type Need uint

const (
	// Superuser makes roles and databases, and switches triggers off.
	Superuser Need = 1 << iota

	// Direct means that a client's connection is a session of the server: it keeps its
	// settings, starts with any setting, and ends when the server or the network ends it.
	Direct

	// DefaultSettings means that a session starts with PostgreSQL's default settings. The
	// guarantee sets other ones itself, or counts on READ COMMITTED or on round trips.
	DefaultSettings

	// Timing means that the guarantee is about time limits and broken sockets. It waits
	// long, and no setting that changes a statement's meaning changes its result.
	Timing

	// OneServer means that the rows are on the server that answers. docs/guarantees.md names
	// each promise that is not kept on a cluster, or is kept in another way.
	OneServer

	// LocalTable means that the fault which the guarantee is about can be made on a local
	// table alone: Citus refuses the statement that makes it.
	LocalTable

	// Cluster means that the trail is distributed.
	Cluster
)

// Database is a migrated database of one test's own.
type Database struct {
	// URL opens the database. It may hold a password.
	URL string

	// Pool is a pool on URL. The function that opened the database closes it.
	Pool *pgxpool.Pool

	// Admin is a pool that reaches the server itself, for locks and for looking at other
	// sessions. Defaults to Pool.
	Admin *pgxpool.Pool

	// Distributed: the rows are on the workers of a Citus cluster, and URL is its
	// coordinator's.
	Distributed bool

	// Modes are the exec modes that work on URL. Defaults to all.
	Modes []pgx.QueryExecMode

	open func(t *testing.T) Database
}

// Open returns a database from open.
func Open(t *testing.T, open func(t *testing.T) Database) Database {
	t.Helper()
	db := open(t)
	db.open = open
	if db.Admin == nil {
		db.Admin = db.Pool
	}
	return db
}

// Another opens one more database on the same server, for a subtest.
func (db Database) Another(t *testing.T) Database {
	t.Helper()
	return Open(t, db.open)
}

// ExecModes are the ways to send a statement that work on this database. A caller's pool
// may be set to any of them.
func (db Database) ExecModes() []pgx.QueryExecMode {
	if db.Modes != nil {
		return db.Modes
	}
	return AllModes()
}

// AllModes are all ways in which pgx can send a statement, its default first.
func AllModes() []pgx.QueryExecMode {
	return []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	}
}
