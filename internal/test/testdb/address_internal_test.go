package testdb

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// real is a server with a database that no test may touch, and its parts.
type real struct {
	admin     string // opens the maintenance database
	prod      string // opens the database that no test may touch
	directory string // of the socket
}

func startReal(t *testing.T) *real {
	t.Helper()
	server, err := pglocal.Start(t.Context(), pglocal.Config{})
	if errors.Is(err, pglocal.ErrNoPrograms) {
		t.Skip("needs installed PostgreSQL programs: a server of its own")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	exec(t, server.URL(), "CREATE DATABASE prod")
	address, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	return &real{admin: server.URL(), prod: server.DatabaseURL("prod"), directory: address.Query().Get("host")}
}

// mustBeUntouched also checks the maintenance database, which belongs to someone too.
func (r *real) mustBeUntouched(t *testing.T) {
	t.Helper()
	for _, address := range []string{r.prod, r.admin} {
		if n := ask[int](t, address, "SELECT count(*)::int FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != 0 {
			t.Fatalf("%d tables or indexes were made in a database that the tests have not made", n)
		}
	}
}

func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}

func exec(t *testing.T, address, sql string) {
	t.Helper()
	if _, err := connect(t, address).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func ask[T any](t *testing.T, address, sql string, args ...any) (answer T) {
	t.Helper()
	if err := connect(t, address).QueryRow(t.Context(), sql, args...).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// mustBeOwn checks that every way to open the test's database reaches it.
func mustBeOwn(t *testing.T, db *DB) {
	t.Helper()
	var name string
	if err := db.Pool.QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil || !strings.HasPrefix(name, prefix) {
		t.Fatalf("the pool is in %q, %v", name, err)
	}
	for _, address := range []string{db.URL, db.URL + "&application_name=another", db.Pool.Config().ConnString()} {
		if got := ask[string](t, address, "SELECT current_database()"); got != name {
			t.Fatalf("another connection is in %q, not in %q", got, name)
		}
	}
	var rows int
	if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM coordination_audit_records").Scan(&rows); err != nil || rows != 0 {
		t.Fatalf("%d rows, %v, want a trail of the test's own", rows, err)
	}
}

func TestURLFormsReachOwnDatabase(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	host := strings.ReplaceAll(url.QueryEscape(r.directory), "+", "%20")
	for name, text := range map[string]string{
		"path":                   "postgres:///prod?user=postgres&host=" + host,
		"dbname":                 "postgres:///postgres?user=postgres&dbname=prod&host=" + host,
		"database":               "postgres:///postgres?user=postgres&database=prod&host=" + host,
		"both, twice":            "postgres:///postgres?database=prod&dbname=postgres&user=postgres&dbname=prod&host=" + host,
		"percent-encoded name":   "postgres:///postgres?user=postgres&%64bname=prod&host=" + host,
		"percent-encoded value":  "postgres:///p%72od?user=postgres&host=" + host,
		"blanks around the name": "postgres:///postgres?user=postgres&%20dbname=prod&host=" + host,
		"no path":                "postgres://?dbname=prod&user=postgres&host=" + host,
		"another scheme":         "postgresql:///prod?user=postgres&host=" + host,
		"host in the authority":  "postgres://postgres@" + host + "/prod",
		"no query":               "postgres://postgres@" + host + "/prod",
		"several hosts":          "postgres://postgres@%2Fnowhere:1," + host + ":5432/prod?target_session_attrs=read-write",
		"several hosts in query": "postgres:///postgres?dbname=prod&user=postgres&host=%2Fnowhere," + host + "&port=1,5432",
		"keywords":               "host=" + r.directory + " user=postgres dbname=prod",
		"keywords, quoted":       `dbname = 'pr\od' host='` + r.directory + `' user = postgres application_name='it''s' `,
		"keywords, twice":        "host=" + r.directory + " user=postgres dbname=postgres database=prod",
		"settings of a pool":     "postgres:///prod?pool_max_conns=3&user=postgres&host=" + host,
	} {
		if name == "keywords, quoted" {
			text = strings.ReplaceAll(text, "it''s", `it\'s one`)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(name, "blanks") {
				if _, _, err := OnURL(text).Clone(t.Context()); err != nil {
					return // pgx may refuse it, but must not reach another database
				}
			}
			mustBeOwn(t, OnURL(text).New(t))
			r.mustBeUntouched(t)
		})
	}
}

// The whole process shares its environment, so these tests are not parallel.
func TestEnvironmentReachesOwnDatabase(t *testing.T) {
	r := startReal(t)
	services := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(services, []byte(fmt.Sprintf("[live]\nhost=%s\nuser=postgres\ndbname=prod\n", r.directory)), 0o600); err != nil {
		t.Fatal(err)
	}
	host := strings.ReplaceAll(url.QueryEscape(r.directory), "+", "%20")
	for name, test := range map[string]struct {
		text string
		env  map[string]string
	}{
		"PGDATABASE, and a URL of no database":   {"postgres://postgres@" + host, map[string]string{"PGDATABASE": "prod"}},
		"PGDATABASE, and a URL of another":       {"postgres://postgres@" + host + "/postgres", map[string]string{"PGDATABASE": "prod"}},
		"PGDATABASE and PGHOST alone":            {"user=postgres", map[string]string{"PGDATABASE": "prod", "PGHOST": r.directory}},
		"a service in the URL":                   {"postgres:///?service=live", map[string]string{"PGSERVICEFILE": services}},
		"a service by keyword":                   {"service=live", map[string]string{"PGSERVICEFILE": services}},
		"a service of the environment":           {"postgres:///postgres", map[string]string{"PGSERVICEFILE": services, "PGSERVICE": "live"}},
		"a service, named with another database": {"service=live dbname=postgres", map[string]string{"PGSERVICEFILE": services}},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range test.env {
				t.Setenv(variable, value)
			}
			mustBeOwn(t, OnURL(test.text).New(t))
			r.mustBeUntouched(t)
		})
	}
}

// A pooler in between may map every database to one, so the requested name proves nothing.
func TestWrongDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	address, err := parseAddress(r.admin)
	if err != nil {
		t.Fatal(err)
	}
	_, config, err := address.in("coordaudit_test_elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Database = "prod" // what such a pooler does
	migrator := auditmigrate.New(config.ConnConfig, auditmigrate.Config{})
	if _, err := migrator.Up(t.Context()); err == nil || !strings.Contains(err.Error(), `the server opened "prod", which these tests have not made`) {
		t.Errorf("migrating answered %v, want a refusal that names both databases", err)
	}
	r.mustBeUntouched(t)
}

func TestBadAddressHidesPassword(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`"postgres://u:secret@127.0.0.1:1/x?a=b"`, ` postgres://u:secret@127.0.0.1:1/x?a=b`, "mysql://u:secret@127.0.0.1:1/x?a=b", "host='127.0.0.1 password=secret",
		"secret", "pass word=secret", "=secret", "postgres://u:secret@127.0.0.1:1/x?dbname", "postgres://u:sec/ret@127.0.0.1:1/x", "host=127.0.0.1 password=secret port=x",
	} {
		_, _, err := OnURL(text).Clone(t.Context())
		if err == nil || strings.Contains(err.Error(), "connect") {
			t.Errorf("%s: %v, want a refusal before anybody is asked", text, err)
		} else if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "ret@") {
			t.Errorf("the password is shown: %v", err)
		}
	}
}

func TestRewritingKeepsServer(t *testing.T) {
	t.Parallel()
	address, err := parseAddress("host=a user=u password=p dbname=x application_name=app")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"host=b user=u password=p application_name=app", "host=a,b user=u password=p application_name=app", "host=a user=v password=p application_name=app",
		"host=a user=u password=q application_name=app", "host=a user=u password=p", "host=a port=1 user=u password=p application_name=app",
	} {
		other, err := parseAddress(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := sameServer(address.admin, other.admin); err == nil {
			t.Errorf("%s passes for the same server", text)
		}
	}
}
