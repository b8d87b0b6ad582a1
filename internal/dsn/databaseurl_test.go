package dsn_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/dsn"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const secret = "hunter2"

func parse(text string) error {
	_, err := dsn.Parse(text, pgx.ParseConfig)
	_, poolErr := dsn.Parse(text, pgxpool.ParseConfig)
	if (err == nil) != (poolErr == nil) {
		return fmt.Errorf("one connection: %v; a pool: %v", err, poolErr) //nolint:errorlint // it is only shown
	}
	return err
}

func TestParseRefusesOtherText(t *testing.T) {
	t.Parallel()
	const good = "postgres://user:hunter2@db:5432/x"
	tests := []struct{ text, want string }{
		{`"` + good + `"`, "it begins with a quote"},
		{`"` + good + `?sslmode=disable"`, "it begins with a quote"},
		{"'" + good + "?sslmode=disable'", "it begins with a quote"},
		{"\u201c" + good + "\u201d", "it begins with a quote"},
		{good + `"`, "it ends with a quote"},
		{good + "?sslmode=disable'", "it ends with a quote"},
		{" " + good, "before it: remove"},
		{"\n" + good + "?sslmode=disable", "before it: remove"},
		{"\u200b" + good, "before it: remove"},
		{good + "\n", "around it: remove"},
		{good + "\r\n", "around it: remove"},
		{good + "?sslmode=disable ", "around it: remove"},
		{good + "\u00a0", "around it: remove"},
		{"\uFEFF" + good, "byte order mark"},
		{"\uFEFFhost=db password=hunter2", "byte order mark"},
		{"DATABASE_URL=" + good, "something comes before postgres://"},
		{"export DATABASE_URL=" + good, "something comes before postgres://"},
		{"psql " + good + "?sslmode=disable", "something comes before postgres://"},
		{"jdbc:postgresql://db/x?user=u", "something comes before postgres://"},
		{"POSTGRES://user:hunter2@db/x", "lower case"},
		{"mysql://user:hunter2@db/x", "its scheme is not postgres"},
		{"postgres+asyncpg://u:hunter2@db/x?sslmode=disable", "its scheme is not postgres"},
		{"postgres:/user:hunter2@db/x?a=b", "two slashes"},
		{"postgres%3A%2F%2Fuser%3Ahunter2%40db%2Fx", "neither a URL"},
		{strings.Repeat(" ", 3), "it is blank"},
		{"hunter2", "neither a URL"},
		{"user:hunter2@db", "neither a URL"},
		{"url=" + url.QueryEscape(good), "neither a URL"},
		{"secret=hunter2", "neither a URL"},
		{`"host=db password=hunter2"`, "it begins with a quote"},
		{"host=db password=my hunter2 port=1", "neither a URL"},
		{"host=db password='hunter2", "neither a URL"},
		{"host=db:5432 password=hunter2", "host holds a port"},
		{"host=" + good, "host is neither a name"},
		{"host=user:hunter2@db", "host is neither a name"},
		{"dbname=" + good, "dbname holds what looks like a URL"},
		{"host=db password=my hunter2=x", "knows one of its parameters"},
		{"host=db port=hunter2", "a port is not a number"},
		{"postgres://user:hunter2@:5432/x", "a host is missing"},
		{"postgres://user:hunter2@/x", "a host is missing"},
		{"postgres://:5432/x", "a host is missing"},
		{"postgres://user:hunter2@a,,b/x", "a host is missing"},
		{"postgres://user:hunter2@${HOST}/x", "host is neither a name"},
		{"postgres://user%3Ahunter2@db/x", "user holds a colon"},
		{"postgres:///" + url.QueryEscape(good), "dbname holds what looks like a URL"},
		{"postgres:///user:hunter2@db/x", "write @ as %40"},
		{"postgres://user:hun%zzter2@db/x", "write @ as %40"},
		{"postgres://user:hunter2%00@db/x", "write @ as %40"},
		{"postgres://user:hunter 2@db/x", "a blank or a control character"},
		{"postgres://user:hunter\x1b2@db/x", "a blank or a control character"},
		{"postgres://db/x?password=a&hunter2=x", "knows one of its parameters"},
		{"postgres://user:12/3?hunter2=4@db/x", "knows one of its parameters"},
		{"postgres://db/x?target_session_attrs=any%3Bpassword%3Dhunter2", "target_session_attrs is not valid"},
		{"postgres://db/x?password=hunter2&sslrootcert=/no;hunter2", "reading a file that it names"},
		{"postgres://db/x?sslmode=hunter2", "sslmode is invalid"},
		{"postgres://db/x?hunter2", "write @ as %40"},
		{"postgres://db/x?pool_max_conns=hunter2", "pool_max_conns is not valid"},
		{"postgres://db/x?default_query_exec_mode=hunter2", "default_query_exec_mode is not valid"},
		{"service=hunter2", "service cannot be read"},
	}
	for _, test := range tests {
		text, want := test.text, test.want
		err := parse(text)
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		if said := err.Error(); !strings.HasPrefix(said, "parsing the database URL: ") || !strings.Contains(said, want) {
			t.Errorf("%q: %q, want it to say %q", text, said, want)
		}
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			if said := fmt.Sprintf("%v %+v %#v", cause, cause, cause); strings.Contains(said, secret) || strings.Contains(said, "hunter") {
				t.Errorf("%q: the password is in %s", text, said)
			}
		}
	}
}

func TestParseTakesAllForms(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"",
		"postgres://user:p%40ss%2Fword@host:5432/db?sslmode=disable",
		"postgres://user:a:b?c#d@host1:1,host2:2/db",
		"postgres://user:s3cret@[::1]:5432,[fe80::1%25eth0]/db",
		"postgres://%2Frun%2Fpostgresql/db",
		"postgres://user:s3cret@/db?host=/cloudsql/project:region:instance",
		"postgres:///db",
		"postgres://me%40example@host/db?application_name=a%20b&DateStyle=ISO&search_path=trail,public&my.own=1&options=-c%20geqo%3Doff",
		"postgres://host/db?sslnegotiation=direct&channel_binding=require&require_auth=scram-sha-256&ssl=true",
		"host=/run/postgresql dbname=db password='a b' user = me  ",
		"\n user=me\n password=it\\'s\n",
		"user=u pool_max_conns=3",
	} {
		if err := parse(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestForeignParameterIsExplained(t *testing.T) {
	t.Parallel()
	for name, hint := range map[string]string{
		"keepalives": "TCP keepalives are on", "schema": "search_path", "currentSchema": "search_path", "pgbouncer": "default_query_exec_mode",
		"connection_limit": "pool_max_conns", "hostaddr": "use host", "gssencmode": "pgx does not support it", "charset": "client_encoding",
		"ssl_min_protocol_version": "pgx does not support it", "sslmod": "check its name", "SSLMODE": "lower case", "shared_buffers": "check its name",
	} {
		for _, text := range []string{"postgres://user:hunter2@host/db?" + name + "=1", "host=host " + name + "=1 password=hunter2"} {
			err := parse(text)
			if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower("its parameter "+name+": ")) || !strings.Contains(err.Error(), hint) {
				t.Errorf("%q: %v; want it to name %s and to say %q", text, err, name, hint)
			}
		}
	}
}

func TestPoolParametersAreDropped(t *testing.T) {
	t.Parallel()
	const text = "postgres://host/db?pool_max_conns=3&pool_min_conns=1&pool_min_idle_conns=1&pool_max_conn_lifetime=1h&" +
		"pool_max_conn_lifetime_jitter=1m&pool_max_conn_idle_time=1m&pool_health_check_period=1m&pool_ping_timeout=1s&search_path=a"
	config, err := dsn.Parse(text, pgx.ParseConfig)
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.RuntimeParams {
		if strings.HasPrefix(name, "pool_") {
			t.Errorf("%s is sent to the server", name)
		}
	}
	if config.RuntimeParams["search_path"] != "a" {
		t.Error("search_path is not")
	}
	pool, err := dsn.Parse(text, pgxpool.ParseConfig)
	if err != nil || pool.MaxConns != 3 {
		t.Errorf("a pool: %v, %v", pool, err)
	}
}

// A setting that the server lets a session change is not a foreign parameter.
func TestServerSettingsAreTaken(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	rows, err := db.Pool.Query(t.Context(), "SELECT name FROM pg_settings WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend')")
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) < 100 {
		t.Fatalf("%d names, %v", len(names), err)
	}
	for _, name := range names {
		if err := parse("postgres://host/db?" + name + "=1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzErrorsHidePassword puts a password into every place that may hold one. Its first
// half looks like the beginning of something else.
func FuzzErrorsHidePassword(f *testing.F) {
	for _, text := range []string{
		"postgres://user:%s@host:port/db", "postgres://user:12/%s@host/db?x=1", "host=a password=%s b=c", "\"postgres://u:%s@db/x?sslmode=a\"",
		"postgres://u@db/x?password=%s&sslmode=b", "postgres://u@db/x?sslpassword=%s&sslkey=/a&sslcert=/b", "password = '%s host=x", "passfile=%s x=y",
		"DATABASE_URL=postgres://u:%s@h/x", "postgres:///u:%s@h", "postgres://h/d?password=a&%s=b", "host=a password=x %s=3", "user=u password=a\\ %s sslmode=x",
		"postgres://u:%s@h/d?sslrootcert=/a", "postgres://u:%s@h/d?service=x", "postgres://u:%s@h/d?min_protocol_version=x", "postgres://u:%s@h:99999999/d",
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, encoded bool) {
		const password = "Hunter2Zq"
		before, after, ok := strings.Cut(text, "%s")
		if !ok {
			return
		}
		shown := password
		if encoded {
			shown = "%48unter2%5Aq"
		}
		err := parse(before + shown + after)
		if err == nil {
			return
		}
		lower := strings.ToLower(err.Error())
		for _, part := range []string{"unter2"} {
			// A name of a parameter is no password, unless one stands before it.
			if strings.Contains(lower, part) && strings.ContainsAny(before, "@") || strings.Contains(lower, part) && strings.Contains(strings.ToLower(before), "password") {
				t.Errorf("%q: %v", before+shown+after, err)
			}
		}
	})
}
