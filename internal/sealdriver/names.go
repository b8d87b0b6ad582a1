package sealdriver

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// Each statement names the schema of its tables, so it needs no search_path. One that the database
// or the role is set to may put another operator in the place of one of PostgreSQL's own, which then
// hides rows. Triggers of the owner may need theirs, so a transaction that stores has it, behind
// PostgreSQL's names.
const (
	readNames   = "SELECT pg_catalog.pg_backend_pid(), pg_catalog.current_setting('search_path'), pg_catalog.array_to_string(pg_catalog.current_schemas(true), ',')"
	pinNames    = "SET search_path TO pg_catalog, pg_temp"
	unpinNames  = "SELECT pg_catalog.set_config('search_path', $1, true)"
	firstOfPath = "pg_catalog"
)

var errNamesShadowed = errors.New("the search_path has another schema before pg_catalog, whose operators could hide rows: connect to the server itself and not to a pooler, or name the schema with search_path in the URL")

// pinNames sets the search_path of the session. A pooler may share its backends with other clients,
// which would have that path, too. So there the path must be one that puts PostgreSQL's names first.
func (c *Conn) pinNames(ctx context.Context) error {
	answers, err := c.conn.PgConn().Exec(ctx, readNames).ReadAll()
	if err != nil {
		return c.readFailure(ctx, err)
	}
	found := answers[0].Rows[0]
	c.path = firstOfPath
	if usual := strings.TrimSpace(string(found[1])); usual != "" {
		c.path += ", " + usual
	}
	if string(found[0]) == strconv.FormatUint(uint64(c.conn.PgConn().PID()), 10) {
		_, err = c.conn.PgConn().Exec(ctx, pinNames).ReadAll()
		return c.readFailure(ctx, err)
	}
	for schema := range strings.SplitSeq(string(found[2]), ",") {
		if !strings.HasPrefix(schema, "pg_temp_") {
			if schema != firstOfPath {
				return errNamesShadowed
			}
			break
		}
	}
	return nil
}
