package auditdriver

import (
	"context"
	"errors"
	"strings"
)

// A table that is distributed over the workers of a Citus cluster takes the same statements as
// any other, but for what this file is about. docs/citus.md has the rest.

// distributed reports whether the rows of the trail are on workers. The usual call asks the
// server nothing.
func (d *Driver) distributed(ctx context.Context, db located) (bool, error) {
	found, err := d.tableLately(ctx, db)
	return err == nil && found.distributed, err
}

// distributed reports whether a statement of this session may have run on a worker, as far as
// the session knows.
func (s *session) distributed() bool {
	for _, t := range s.tables {
		if t.distributed {
			return true
		}
	}
	return false
}

// shardSQL returns a statement's text as a coordinator takes it. What is returned of a row that
// is stored on a worker must not depend on the session, which is the coordinator's. So nothing
// is returned of the settings, and a statement is compared with what is stored in a query of
// its own.
func (t *trail) shardSQL(text string) string {
	if known, ok := t.shardTexts.Load(text); ok {
		return known.(string) //nolint:forcetypeassert // nothing else is stored
	}
	changed := withoutSession(t.sql(text))
	t.shardTexts.Store(text, changed)
	return changed
}

// withoutSession replaces what RETURNING takes from the session, or computes with a function
// that the session may change, as reading a multirange is.
func withoutSession(text string) string {
	into, returning, found := strings.Cut(text, "RETURNING")
	if !found {
		return text
	}
	const settings, none = "current_setting('client_min_messages') || '/' || current_setting('synchronous_commit'))::", "''::"
	returning = strings.NewReplacer("(SELECT "+settings, none, "("+settings, none).Replace(returning)
	before, compared, found := strings.Cut(returning, "(\n        source_id = ")
	if _, after, intact := strings.Cut(compared, ")::boolean AS intact"); found && intact {
		returning = before + "true AS intact" + after
	}
	return into + "RETURNING" + returning
}

// workerError is an answer of a coordinator after which its worker may have committed. A single
// row is committed on the worker before the coordinator hears of it, so neither a cancel
// request nor a lost connection to the worker says that nothing is stored.
type workerError struct{ cause error }

// Error is the cause's.
func (e *workerError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *workerError) Unwrap() error { return e.cause }

// onWorker marks an answer of a cluster that leaves the commit in doubt. What a worker itself
// refuses, it has not stored.
func onWorker(err error) error {
	if _, named := errors.AsType[*StatementError](err); named || pgError(err) == nil {
		return err
	}
	state := sqlState(err)
	if strings.HasPrefix(state, classConnectionException) || strings.HasPrefix(state, classOperatorIntervention) {
		return &workerError{err}
	}
	return err
}

// unclearCopyError is a COPY on a cluster that failed and does not say why: a taken id, which refuses
// all of them, comes as the same SQLSTATE as a worker that is lost during the commit.
type unclearCopyError struct{ cause error }

// Error is the cause's.
func (e *unclearCopyError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *unclearCopyError) Unwrap() error { return e.cause }

// CopyUnclear reports whether a COPY's answer does not say why it failed. To send the records
// again by INSERT is safe, and its answer says which of them are stored.
func CopyUnclear(err error) bool {
	_, unclear := errors.AsType[*unclearCopyError](err)
	return unclear
}
