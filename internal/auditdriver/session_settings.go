package auditdriver

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// sessionParams are the session settings that the driver relies on. They go into the startup
// message of a pool that is ours, or that the caller lets us configure. PgBouncer tracks all
// of them; it refuses a connection that asks for others. No other session setting changes
// what the driver's statements mean or how their answers are read. If a session begins
// without these, or is changed, each call sets them for its duration: see
// [borrowed.adjust].
func sessionParams() map[string]string {
	return map[string]string{"client_encoding": "UTF8", "datestyle": "ISO", "standard_conforming_strings": "on"}
}

// setting is one session setting that is not as the driver needs it.
type setting struct{ name, ours, theirs string }

// unfit returns the settings that a call must change for its duration, on a connection whose
// settings belong to its owner. The server reports these settings unasked.
func unfit(conn *pgx.Conn) []setting {
	reported := conn.PgConn().ParameterStatus
	encoding, mode := reported("client_encoding"), execMode(conn)
	asText := mode == pgx.QueryExecModeExec || mode == pgx.QueryExecModeSimpleProtocol
	if encoding == "UTF8" && !asText {
		return nil
	}

	var found []setting
	if encoding != "UTF8" && encoding != "" {
		found = append(found, setting{"client_encoding", "UTF8", encoding})
	}
	// The other modes read times in binary form and send no literals.
	if style := reported("DateStyle"); asText && style != "" && !strings.HasPrefix(style, "ISO") {
		found = append(found, setting{"DateStyle", "ISO", style})
	}
	if mode == pgx.QueryExecModeSimpleProtocol && reported("standard_conforming_strings") == "off" {
		found = append(found, setting{"standard_conforming_strings", "on", "off"})
	}
	return found
}

// unfitForShards returns the settings that a call must change where the rows are on workers. A
// coordinator passes values on as texts in its session's style, and a worker reads them in its
// own: a day would silently become a month. The server reports these settings unasked.
func unfitForShards(conn *pgx.Conn) []setting {
	reported := conn.PgConn().ParameterStatus
	var found []setting
	if style := reported("DateStyle"); style != "" && !strings.HasPrefix(style, "ISO") {
		found = append(found, setting{"DateStyle", "ISO", style})
	}
	if reported("standard_conforming_strings") == "off" {
		found = append(found, setting{"standard_conforming_strings", "on", "off"})
	}
	return found
}

// assignments returns the statements that set each setting to one of its two values.
func assignments(set string, settings []setting, value func(setting) string) string {
	var sql strings.Builder
	for _, s := range settings {
		sql.WriteString(set + s.name + " TO '" + strings.ReplaceAll(value(s), "'", "''") + "'; ")
	}
	return sql.String()
}

func ours(s setting) string   { return s.ours }
func theirs(s setting) string { return s.theirs }

// sending is how a connection sends statements. pgx gives it only with a copy of the
// connection's whole configuration, so it is read once per connection.
type sending struct {
	mode     pgx.QueryExecMode
	uncached bool // mode is not the connection's default, which has no cache
	tracer   pgx.BatchTracer
	build    pgx.ExtendedQueryBuilder
}

func sendingOf(conn *pgx.Conn) *sending {
	const key = "coordaudit: sending"
	memory := conn.PgConn().CustomData()
	how, ok := memory[key].(*sending)
	if !ok {
		config := conn.Config()
		how = &sending{mode: possibleMode(config, config.DefaultQueryExecMode)}
		how.uncached = how.mode != config.DefaultQueryExecMode
		how.tracer, _ = config.Tracer.(pgx.BatchTracer)
		memory[key] = how
	}
	return how
}

func execMode(conn *pgx.Conn) pgx.QueryExecMode { return sendingOf(conn).mode }

// possibleMode replaces a mode whose cache the configuration switches off. pgx would refuse
// every statement with arguments. The replacement works behind a pooler, which is why most
// people switch the cache of statements off.
func possibleMode(config *pgx.ConnConfig, mode pgx.QueryExecMode) pgx.QueryExecMode {
	if mode == pgx.QueryExecModeCacheStatement && config.StatementCacheCapacity <= 0 {
		mode = pgx.QueryExecModeCacheDescribe
	}
	if mode == pgx.QueryExecModeCacheDescribe && config.DescriptionCacheCapacity <= 0 {
		mode = pgx.QueryExecModeExec
	}
	return mode
}

// possible gives a connection's statements a mode that works on it.
func possible(db dbgen.DBTX, conn *pgx.Conn) dbgen.DBTX {
	if how := sendingOf(conn); how.uncached {
		return planned{DBTX: db, mode: how.mode}
	}
	return db
}

// borrowed is a connection for the duration of one call. It comes from a pool or, with a
// transaction, from the caller.
type borrowed struct {
	conn *pgx.Conn
	tx   pgx.Tx
}

// adjust gives the session the settings that the call needs. restore sets the old ones
// again. In the usual case both send nothing.
func (b borrowed) adjust(ctx context.Context, settings []setting) (restore func(), err error) {
	switch {
	case len(settings) == 0:
		return func() {}, nil
	case b.tx != nil:
		return b.adjustTx(ctx, settings)
	}
	if _, err := b.conn.PgConn().Exec(ctx, assignments("SET ", settings, ours)).ReadAll(); err != nil {
		return nil, err
	}
	return func() { b.restore(ctx, settings) }, nil
}

// restore closes the connection if it fails. A pool does not hand out a closed one.
func (b borrowed) restore(ctx context.Context, settings []setting) {
	if b.conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := b.conn.PgConn().Exec(ctx, assignments("SET ", settings, theirs)).ReadAll(); err != nil {
		discard(ctx, b.conn)
	}
}

// adjustTx uses SET LOCAL in a savepoint. If the old settings cannot be restored, as when the
// connection breaks, the transaction keeps ours.
func (b borrowed) adjustTx(ctx context.Context, settings []setting) (restore func(), err error) {
	if err := b.setLocal(ctx, assignments("SET LOCAL ", settings, ours)); err != nil {
		return nil, err
	}
	return func() {
		for range 3 {
			if b.conn.IsClosed() || b.conn.PgConn().TxStatus() != 'T' {
				return
			}
			// A cancel request for the call may hit this statement instead.
			if err := b.setLocal(ctx, assignments("SET LOCAL ", settings, theirs)); sqlState(err) != stateQueryCanceled {
				return
			}
		}
	}, nil
}

func (b borrowed) setLocal(ctx context.Context, sql string) error {
	_, err := b.tx.Exec(ctx, setSavepoint+"; "+sql+releaseSavepoint)
	if sqlState(err) != "" {
		return savepoint{tx: b.tx}.undo(ctx, err)
	}
	return err
}

// onTrail gives the session the settings that work needs, and passes it the trail.
func (d *Driver) onTrail(ctx context.Context, b borrowed, work func(*trail) error) error {
	restore, err := b.adjust(ctx, unfit(b.conn))
	if err != nil {
		return err
	}
	defer restore()
	found, err := d.locate(ctx, b)
	if err != nil {
		return err
	}
	if settings := unfitForShards(b.conn); len(settings) > 0 { // which few sessions have
		distributed, err := d.distributed(ctx, located{trail: found, on: b})
		if err != nil {
			return err
		}
		if distributed {
			restore, err := b.adjust(ctx, settings)
			if err != nil {
				return err
			}
			defer restore()
		}
	}
	err = work(found)
	d.forgetMoved(b, found, err)
	return foreignEncoding(b.conn, err)
}

// foreignEncoding names the database's encoding as a cause if it may be one.
func foreignEncoding(conn *pgx.Conn, err error) error {
	encoding := conn.PgConn().ParameterStatus("server_encoding")
	suspects := []string{stateUntranslatable, stateNotInRepertoire, stateTextTooLong, stateCheckViolation}
	if encoding == "UTF8" || encoding == "" || !slices.Contains(suspects, sqlState(err)) {
		return err
	}
	return &foreignEncodingError{encoding: encoding, err: err}
}

// foreignEncodingError is a refusal by a database whose encoding is not UTF8.
type foreignEncodingError struct {
	encoding string
	err      error
}

// Error implements error.
func (e *foreignEncodingError) Error() string { return e.err.Error() + ": " + e.step() }

// Unwrap returns the server's error.
func (e *foreignEncodingError) Unwrap() error { return e.err }

func (e *foreignEncodingError) step() string {
	return "the database's encoding is " + e.encoding + ": move the trail to one with encoding UTF8, which holds every text"
}
