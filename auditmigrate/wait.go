package auditmigrate

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const connectPoll = 250 * time.Millisecond

// Wait returns nil as soon as the database accepts a connection. It tries four times a
// second until ctx ends. The error then states why the last try failed.
//
// Wait keeps trying if the host has no address, the port is closed, or the server is
// starting or has no connection left. It returns at once on an error that does not go
// away with time: a wrong user or password, a database that does not exist or may not
// be connected to, a URL parameter that the server refuses, or an untrusted
// certificate.
func (m *Migrator) Wait(ctx context.Context) error {
	return m.WaitReporting(ctx, func(error) {})
}

// WaitReporting is Wait that also calls report with the reason of each failed try that
// is followed by another.
func (m *Migrator) WaitReporting(ctx context.Context, report func(reason error)) error {
	const doing = "waiting for the database"
	var last error
	for {
		err := m.ping(ctx)
		if err == nil {
			return nil
		}
		if final(err) {
			return m.failure(ctx, doing, err)
		}
		if last == nil || !ended(ctx) {
			last = err
			report(m.failure(ctx, doing, err))
		}
		select {
		case <-ctx.Done():
			return m.gaveUp(ctx, doing, last)
		case <-time.After(connectPoll):
		}
	}
}

// ended reports whether the time is over. The clock may show that to a connection
// attempt before ctx ends.
func ended(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || (ok && !time.Now().Before(deadline))
}

func (m *Migrator) ping(ctx context.Context) error {
	conn, err := pgx.ConnectConfig(ctx, m.connConfig)
	if err != nil {
		return err
	}
	closeConn(ctx, conn)
	return nil
}

// final reports whether an error is a refusal that does not go away with time.
func final(err error) bool {
	if pgErr := pgError(err); pgErr != nil {
		switch pgErr.Code {
		case stateInvalidPassword, stateInvalidAuthorization, stateInvalidCatalogName, stateInsufficientPrivilege:
			return true
		case stateUndefinedObject, stateInvalidParameter, stateCannotChangeParameter:
			return isConnectError(err) // the database URL's own parameters
		}
		return false
	}
	return isCertificateError(err)
}

// gaveUp states why the wait ended and why the last try failed.
func (m *Migrator) gaveUp(ctx context.Context, doing string, last error) error {
	f := &failure{causes: []error{context.Cause(ctx), last}}
	// Explain the error as if ctx had not ended. The text already says that.
	cause, next := m.explain(context.WithoutCancel(ctx), f, last)
	f.text = doing + ": " + context.Cause(ctx).Error() + "; the last try: " + cause
	if next != "" {
		f.text += ": " + next
	}
	return f
}
