package testdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/dsn"
)

// address is the address of a server: a URL or a keyword/value string, and what the environment and
// service files add to it.
type address struct {
	text  string
	admin *pgx.ConnConfig // a connection that creates and drops databases
}

func parseAddress(text string) (*address, error) {
	if _, err := withDatabase(text, prefix); err != nil {
		return nil, err
	}
	config, err := dsn.Parse(text, pgxpool.ParseConfig) // pgxpool knows the pool_ settings, and pgx would send them to the server
	if err != nil {
		return nil, err
	}
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // works through poolers too
	return &address{text: text, admin: config.ConnConfig}, nil
}

// in returns the URL of another database on the server and its configuration. Every connection made
// from the configuration checks which database it has reached.
//
// A URL's path and query, a keyword, PGDATABASE and a service file can all name the database, and each
// client has its own order of precedence. So the URL names it in its path and again at its end, where
// nothing overrides it. pgx must read the same from the URL as from the address, except the database.
func (a *address) in(database string) (string, *pgxpool.Config, error) {
	text, err := withDatabase(a.text, database)
	if err != nil {
		return "", nil, err
	}
	config, err := dsn.Parse(text, pgxpool.ParseConfig)
	if err == nil && config.ConnConfig.Password != a.admin.Password {
		// A password file may have a line only for the database that the address names.
		text += "&password=" + escape(a.admin.Password)
		config, err = dsn.Parse(text, pgxpool.ParseConfig)
	}
	if err != nil {
		return "", nil, err
	}
	if err := sameServer(a.admin, config.ConnConfig); err != nil {
		return "", nil, err
	}
	if got := config.ConnConfig.Database; got != database {
		return "", nil, fmt.Errorf("naming database %s: the URL made for it would open %q", database, got)
	}
	config.ConnConfig.AfterConnect = landedIn(database)
	return text, config, nil
}

// withDatabase returns the address as a URL of the database. It always has a query, so that a caller
// can add settings with an ampersand.
func withDatabase(text, database string) (string, error) {
	head, pairs := "postgres://", []string(nil)
	if scheme, rest, isURL := strings.Cut(text, "://"); isURL && (scheme == "postgres" || scheme == "postgresql") {
		end := 0 // of user and password, which may contain a question mark
		if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
			end = i + 1
		}
		hosts, query, _ := strings.Cut(rest[end:], "?")
		hosts, _, _ = strings.Cut(hosts, "/")
		head += rest[:end] + hosts
		for pair := range strings.SplitSeq(query, "&") {
			name, _, _ := strings.Cut(pair, "=")
			if name, err := url.PathUnescape(name); err == nil && pair != "" && !leftOut(name) {
				pairs = append(pairs, pair)
			}
		}
	} else {
		settings, err := parseKeywords(text)
		if err != nil {
			return "", err
		}
		for _, s := range settings {
			if !leftOut(s.name) {
				pairs = append(pairs, escape(s.name)+"="+escape(s.value))
			}
		}
	}
	pairs = append(pairs, "dbname="+escape(database))
	return head + "/" + escape(database) + "?" + strings.Join(pairs, "&"), nil
}

// leftOut reports the settings that the URL leaves out: the database, and the settings of pgx's pool,
// because only a pool could open a URL with them.
func leftOut(setting string) bool {
	setting = strings.TrimSpace(setting)
	return setting == "dbname" || setting == "database" || strings.HasPrefix(setting, "pool_")
}

// escape writes a blank as %20, because a plus is only a plus in a database URL.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

// sameServer compares the settings that decide which server answers, and for which user.
func sameServer(want, got *pgx.ConnConfig) error {
	switch {
	case !slices.Equal(hostsOf(want), hostsOf(got)):
		return errors.New("rewriting the database URL: it would name another host. Name the host in the form postgres://user@host:port/database")
	case want.User != got.User, want.Password != got.Password:
		return errors.New("rewriting the database URL: it would name another user. Name the user in the form postgres://user:password@host:port/database")
	case !maps.Equal(want.RuntimeParams, got.RuntimeParams):
		return errors.New("rewriting the database URL: its settings would change; give them as name=value pairs behind a question mark")
	}
	return nil
}

func hostsOf(config *pgx.ConnConfig) []string {
	hosts := []string{fmt.Sprintf("%s %d %t", config.Host, config.Port, config.TLSConfig != nil)}
	for _, fallback := range config.Fallbacks {
		hosts = append(hosts, fmt.Sprintf("%s %d %t", fallback.Host, fallback.Port, fallback.TLSConfig != nil))
	}
	return hosts
}

// landedIn refuses a connection to any other database before anything is sent on it. A pooler in
// between may connect to another one.
func landedIn(database string) pgconn.AfterConnectFunc {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		results, err := conn.Exec(ctx, "SELECT pg_catalog.current_database()").ReadAll()
		if err != nil {
			return fmt.Errorf("asking which database this is: %w", err)
		}
		got := string(results[0].Rows[0][0])
		if got != database {
			return fmt.Errorf("connecting to test database %s: the server opened %q, which these tests have not made and will not write into; "+
				"let %s name the server itself, without a pooler that chooses the database", database, got, urlVariable)
		}
		return nil
	}
}
