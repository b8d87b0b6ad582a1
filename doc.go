// Package coordaudit keeps the audit trail of an optimization coordinator in
// PostgreSQL. Every decision of the coordinator becomes one row of
// coordination_audit_records, which is written once and never changed.
//
// # Words
//
// An envelope is a bounded change proposal, such as "lower this cache's lifetime, for
// an hour". Its class says what it optimizes for: safety, reliability, cost or
// performance. The coordinator applies an envelope, rejects it because another one
// conflicts with it, or later preempts it in favour of another one, its preemptor. Each
// of these decisions is one [audit.Record]. Package audit defines all words of the
// trail.
//
// # Writing
//
// A decision usually changes something in the service's own tables. Persist its record
// in the same transaction, and the trail holds the decision if and only if the decision
// took effect:
//
//	tx, err := pool.Begin(ctx)
//	…
//	result, err := store.PersistTx(ctx, tx, rec)
//	…
//	err = tx.Commit(ctx)
//
// PersistTx works inside a savepoint, so a record that fails leaves the transaction
// usable. The caller decides whether to commit a decision without its record. If there
// is no transaction to join, [Store.Persist] and [Store.PersistMany] use their own, and
// the records are durable when they return. [Store.PersistManyFast] is PersistMany by
// COPY, for imports.
//
// # Never waiting
//
// A [Recorder] groups the records of many callers into one commit, and keeps records
// while the database is away:
//
//	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{SpoolDir: "/var/lib/coordinator/audit"})
//	…
//	result, err := recorder.Record(ctx, rec) // durable on return, as with Persist
//	err = recorder.Enqueue(rec)              // returns in microseconds
//
// Each record that it accepts is stored, or waits in the queue or on disk, or is
// rejected or dropped. The last two are counted and reported.
//
// # Trying again
//
// A record's id makes persisting idempotent. The same record twice is one row, and the
// second call returns [audit.AlreadyPersisted] with the first row's result. Other
// content under the same id is an [audit.ConflictError] that names the fields. So a call
// that ended in [audit.ErrOutcomeUnknown] or [audit.ErrUnavailable] can be repeated with
// the id in its result.
//
// # Replays
//
// [Store.Replaying] returns the store for re-running decisions. It checks every record
// as the real store would, and writes nothing.
//
// # Reading
//
// Every reading call takes a scope, which says whose records it sees: those of one
// tenant, those of no tenant, or all. There is no default:
//
//	page, err := store.List(ctx, audit.Query{Scope: audit.Tenant("acme")})
//
// [Store.Get] and [Store.GetMany] read by id, [Store.List] reads keyset pages, and
// [Store.All] iterates over every page. [Store.Timeline] reads one envelope's history.
// [Store.Breakdown], [Store.Signals] and [Store.Trend] compute their figures in the
// database. [Store.Gaps] lists what is missing from the trail, and takes no scope.
// [Store.Follow] delivers each record once it is committed, and goes on with those that are
// stored later. docs/reading.md has the definitions, the indexes behind each query and the JSON forms.
//
// # The schema
//
// Package auditmigrate and the program cmd/migrate bring a database to the schema that
// this package needs, or adopt the table of its Python predecessor. docs/guarantees.md
// says what holds under which fault.
package coordaudit
