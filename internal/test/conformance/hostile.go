package conformance

import (
	"maps"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/test/conformance/frame"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// RunHostile states the guarantees again in databases where the database and the role set
// everything that a session can set to another value than usual. All guarantees run in pgx's
// default mode, and those that make every call between them in each other mode.
func RunHostile(t *testing.T, open func(t *testing.T) Database) {
	t.Helper()
	engine{modes: frame.AllModes(), lacks: frame.DefaultSettings | frame.Timing | frame.Cluster, open: hostile(open)}.run(t)
}

// hostile opens databases whose sessions start with foreign settings. The settings of the
// role take precedence over those of the database.
func hostile(open func(t *testing.T) Database) func(t *testing.T, mode pgx.QueryExecMode) Database {
	ofRole := map[string]string{
		"client_encoding":               "LATIN1",
		"default_transaction_isolation": "serializable",
		"statement_timeout":             "20s",
		"lock_timeout":                  "15s",
	}
	return func(t *testing.T, mode pgx.QueryExecMode) Database {
		t.Helper()
		db := open(t)
		ofDatabase := frame.ForeignSettings(t, db.Pool)
		maps.Copy(ofDatabase, map[string]string{
			"client_encoding":               "WIN1252",
			"default_transaction_isolation": "repeatable read",
			"xmlbinary":                     "hex",
			"synchronous_commit":            "local",
		})
		name := pgx.Identifier{fixture.QueryText(t, db.Pool, "SELECT current_database()::text")}.Sanitize()
		for setting, value := range ofDatabase {
			fixture.MustExec(t, db.Pool, "ALTER DATABASE "+name+" SET "+setting+" TO '"+value+"'")
		}
		for setting, value := range ofRole {
			fixture.MustExec(t, db.Pool, "ALTER ROLE CURRENT_USER IN DATABASE "+name+" SET "+setting+" TO '"+value+"'")
		}
		if mode != pgx.QueryExecModeCacheStatement {
			db.URL = fixture.WithSetting(db.URL, "default_query_exec_mode="+strings.ReplaceAll(mode.String(), " ", "_"))
		}
		db.Pool = fixture.OpenPool(t, db.URL, nil)
		return db
	}
}
