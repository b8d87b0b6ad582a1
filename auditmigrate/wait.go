package auditmigrate

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

const connectPoll = 250 * time.Millisecond

// Wait returns nil as soon as the database takes a connection. It tries four
// times a second until ctx ends, and its error then tells why the last try failed.
//
// A host without an address, a closed port, a server that is starting or has no
// connection left are waited out. An answer that time alone does not change is
// returned at once: a wrong user or password, a database that does not exist or
// may not be entered, a certificate that is not trusted.
func (m *Migrator) Wait(ctx context.Context) error {
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
		}
		select {
		case <-ctx.Done():
			return m.gaveUp(ctx, doing, last)
		case <-time.After(connectPoll):
		}
	}
}

// ended reports that the time is up, which a connection attempt may know from the
// clock before ctx does.
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

// final reports a refusal that waiting does not end.
func final(err error) bool {
	if pgErr := pgError(err); pgErr != nil {
		switch pgErr.Code {
		case stateInvalidPassword, stateInvalidAuthorization, stateInvalidCatalogName, stateInsufficientPrivilege:
			return true
		}
		return false
	}
	return isCertificateError(err)
}

// gaveUp says why waiting ended and what it had been waiting for.
func (m *Migrator) gaveUp(ctx context.Context, doing string, last error) error {
	f := &failure{causes: []error{context.Cause(ctx), last}}
	// Explained as if ctx had not ended, which is said already.
	cause, next := m.explain(context.WithoutCancel(ctx), f, last)
	f.text = doing + ": " + context.Cause(ctx).Error() + "; the last try: " + cause
	if next != "" {
		f.text += ": " + next
	}
	return f
}
