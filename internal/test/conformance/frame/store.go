package frame

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

// NewStore returns a quiet store on the pool of the database.
func NewStore(db Database) *coordaudit.Store {
	return coordaudit.New(db.Pool, fixture.Quiet())
}

// PoolInMode returns a pool of one connection that sends in a mode.
func PoolInMode(t *testing.T, db Database, mode pgx.QueryExecMode) *pgxpool.Pool {
	t.Helper()
	return fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.ConnConfig.DefaultQueryExecMode = mode
		config.MaxConns = 1 // so that each use but the first finds a used connection
	})
}

// ForeignSettings are settings that a session may have and under which the library must
// work as usual. PostgreSQL 19 has no other standard_conforming_strings than on.
func ForeignSettings(t *testing.T, pool *pgxpool.Pool) map[string]string {
	t.Helper()
	settings := map[string]string{
		"client_encoding":             "LATIN1",
		"datestyle":                   "German, DMY",
		"intervalstyle":               "sql_standard",
		"timezone":                    "Asia/Kathmandu",
		"standard_conforming_strings": "off",
		"bytea_output":                "escape",
		"extra_float_digits":          "-15",
		"quote_all_identifiers":       "on",
		"client_min_messages":         "error",
		"array_nulls":                 "off",
	}
	if fixture.QueryInt(t, pool, "SELECT current_setting('server_version_num')::int") >= 190000 {
		delete(settings, "standard_conforming_strings")
	}
	return settings
}

const (
	// Timeout is how long a call of an impatient store may take.
	Timeout = 500 * time.Millisecond

	// Grace is how much longer it takes at most, as Config.Timeout's comment says.
	Grace = 250 * time.Millisecond
)

// Impatient is a quiet configuration with a short timeout.
func Impatient() coordaudit.Config {
	config := fixture.Quiet()
	config.Timeout = Timeout
	return config
}

// Within fails if call takes longer than a bound. It returns the error of call.
func Within(t *testing.T, bound time.Duration, call func() error) error {
	t.Helper()
	start := time.Now()
	err := call()
	if took := time.Since(start); took > bound {
		t.Errorf("the call took %v, its bound is %v", took, bound)
	}
	return err
}

// AtTimeout fails unless call, on an impatient store, ends when its time is up.
func AtTimeout(t *testing.T, call func()) {
	t.Helper()
	start := time.Now()
	call()
	if took := time.Since(start); took < Timeout || took > Timeout+Grace {
		t.Errorf("the call took %v, want %v and at most %v more", took, Timeout, Grace)
	}
}
