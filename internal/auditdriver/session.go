package auditdriver

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// session is what is known about one connection. Whoever has acquired the connection uses
// it, and so does the notice handler.
type session struct {
	// unreplicated: a commit's wait for its standby was cancelled.
	unreplicated atomic.Bool

	settings   settings
	identity   identity
	identified error     // why there is no identity
	lookedAt   time.Time // zero: never
	observedBy *Driver   // the driver that has seen the result of the last look

	// listens: the notice handler is set, so unreplicated is known unless the session's
	// settings hide the warning.
	listens bool

	tables map[string]*table // by quoted schema
}

// sessionOf returns the connection's session, which lives as long as the connection.
func sessionOf(conn *pgconn.PgConn) *session {
	const key = "coordaudit: session"
	s, ok := conn.CustomData()[key].(*session)
	if !ok {
		s = &session{}
		conn.CustomData()[key] = s
	}
	return s
}

const (
	// lookAgain is how long a session's settings are trusted. Behind a pooler a connection
	// outlives the server's sessions, and even the server.
	lookAgain = time.Minute

	// setUpTimeout bounds the look at a new connection. pgxpool does not bound it.
	setUpTimeout = 5 * time.Second
)

// errInTransaction: on such a connection a statement would be part of a transaction that is
// not its own, and would be rolled back with it.
const errInTransaction plainError = "the pool handed out a connection with an open transaction: " +
	"end the transaction in the pool's hooks (AfterConnect, PrepareConn, BeforeAcquire) before they return"

// idle refuses a connection that has a transaction open. The pool closes it when it is
// released.
func idle(conn *pgx.Conn) error {
	if conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
		return nil // pgx has its own error for a closed one
	}
	return refusedAll(errInTransaction)
}

// settings are those of a session that its promises rest on.
type settings struct {
	clientMinMessages, synchronousCommit, fsync, fullPageWrites string

	// pooled: the server's session is not this connection's own.
	pooled bool
}

func (s settings) hideWarnings() bool {
	return slices.Contains([]string{"error", "fatal", "panic"}, s.clientMinMessages)
}

// ready prepares an acquired connection for statements that are their own transactions. In
// the usual case it asks the server nothing.
func (d *Driver) ready(ctx context.Context, conn *pgx.Conn) (*session, error) {
	if err := idle(conn); err != nil {
		return nil, err
	}
	s := sessionOf(conn.PgConn())
	if time.Since(s.lookedAt) > lookAgain {
		if err := s.look(ctx, conn); err != nil {
			return nil, notSent(err)
		}
	}
	if s.observedBy != d {
		d.observe(ctx, s)
		s.observedBy = d
	}
	s.unreplicated.Store(false)
	return s, nil
}

// look asks the server what this session's promises rest on. What the server does not
// answer stays unknown. The only error is a lost connection.
func (s *session) look(ctx context.Context, conn *pgx.Conn) error {
	queries := dbgen.New()
	// This prepares nothing and uses no cache that a pooler would confuse.
	db := planned{DBTX: conn, mode: pgx.QueryExecModeExec}
	row, settingsErr := queries.GetSessionSettings(ctx, db)
	server, identityErr := queries.GetServerIdentity(ctx, db)
	if conn.IsClosed() || ctx.Err() != nil {
		return errors.Join(settingsErr, identityErr, context.Cause(ctx))
	}
	if settingsErr == nil {
		s.settings = settings{
			clientMinMessages: row.ClientMinMessages,
			synchronousCommit: row.SynchronousCommit,
			fsync:             row.Fsync,
			fullPageWrites:    row.FullPageWrites,
			pooled:            uint32(row.BackendPID) != conn.PgConn().PID(),
		}
	}
	if s.identified = identityErr; identityErr == nil {
		s.identity = identity{system: server.SystemIdentifier, timeline: server.Timeline}
	}
	s.lookedAt, s.observedBy = time.Now(), nil
	clear(s.tables)
	return nil
}

// setUp runs once per connection of a configured pool, before its first use.
func setUp(ctx context.Context, conn *pgx.Conn, raiseCommit bool) error {
	s := sessionOf(conn.PgConn())
	s.listens = true
	if conn.PgConn().TxStatus() != 'I' {
		return nil // refused when it is acquired
	}
	ctx, cancel := context.WithTimeout(ctx, setUpTimeout)
	defer cancel()
	if err := s.look(ctx, conn); err != nil {
		return err
	}
	return s.raise(ctx, conn, raiseCommit)
}

// raise changes the settings that would make a promise false. Behind a pooler it changes
// nothing: clients share the server's session, and the next statement may run in another
// one.
func (s *session) raise(ctx context.Context, conn *pgx.Conn, commit bool) error {
	set := func(to *string, value, sql string) error {
		if _, err := conn.Exec(ctx, sql); err != nil {
			if conn.IsClosed() {
				return err
			}
			return nil // the setting stays, and the store reports it
		}
		*to = value
		return nil
	}
	if s.settings.pooled {
		return nil
	}
	if s.settings.hideWarnings() {
		if err := set(&s.settings.clientMinMessages, "warning", "SET client_min_messages = warning"); err != nil {
			return err
		}
	}
	if commit && slices.Contains([]string{"off", "local"}, s.settings.synchronousCommit) {
		return set(&s.settings.synchronousCommit, "on", "SET synchronous_commit = on")
	}
	return nil
}
