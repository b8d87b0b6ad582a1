// Package coordaudit keeps the audit trail of an optimization coordinator in
// PostgreSQL: every decision that it takes becomes one row of
// coordination_audit_records, written once and never changed.
//
// # Writing
//
// A decision usually changes something in the service's own tables. Persist its
// record in the same transaction, and both are true or neither is:
//
//	tx, err := pool.Begin(ctx)
//	…
//	receipt, err := store.PersistTx(ctx, tx, rec)
//	…
//	err = tx.Commit(ctx)
//
// A record that fails takes nothing with it: PersistTx works inside a savepoint,
// and the caller decides whether an unrecorded decision may stand. Where there
// is no transaction to join, [Store.Persist] and [Store.PersistMany] have their
// own and are durable when they return. [Store.Load] is PersistMany by COPY, for
// imports.
//
// # Never waiting
//
// A [Recorder] groups the records of many callers into one commit, and keeps what
// comes in while the database is away:
//
//	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{DeadLetterDir: "/var/lib/coordinator/audit"})
//	…
//	receipt, err := recorder.Record(ctx, rec) // durable on return, as Persist
//	err = recorder.Enqueue(rec)               // returns in microseconds
//
// What it accepts is stored, kept on disk until it is, or counted and told of.
//
// # Trying again
//
// A record's id makes persisting idempotent. The same record twice is one row,
// and the second call returns [audit.AlreadyPersisted] with the first row's
// receipt. Another content under the same id is an [audit.ConflictError] that
// names the fields. So a call that ended in [audit.ErrOutcomeUnknown] or
// [audit.ErrUnavailable] can simply be repeated, with the id that its receipt
// carries.
//
// # Replays
//
// [Store.Replaying] returns the store for re-running decisions: it checks every
// record as the real one would and writes nothing.
//
// # Reading
//
// Every reading call says whose records it may see; there is no default:
//
//	page, err := store.List(ctx, audit.Query{Scope: audit.Tenant("acme")})
//
// [Store.Get] and [Store.GetMany] read by id, [Store.List] in keyset pages,
// [Store.All] as an iterator over every page, [Store.Timeline] what happened to an
// envelope and because of it. [Store.Breakdown], [Store.Signals] and
// [Store.Trend] compute in the database what a window shows. [Store.Gaps] lists
// what is missing from the trail, and takes no scope. docs/reading.md has the
// definitions, the indexes behind each query and the JSON forms.
//
// # The schema
//
// Package auditmigrate and the program cmd/migrate bring a database up to the
// schema that this package needs, or adopt the table of its Python predecessor.
// docs/guarantees.md says what is promised under which fault.
package coordaudit
