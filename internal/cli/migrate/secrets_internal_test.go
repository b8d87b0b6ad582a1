package migrate

import (
	"net"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const password = "s3cret"

func TestPasswordIsNeverPrinted(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	config := db.Pool.Config().ConnConfig
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := listener.Addr().String()
	_ = listener.Close()
	tests := map[string]struct {
		url  string
		args []string
		code int
	}{
		"Refused":      {"postgres://user:s3cret@" + refusing + "/db", []string{"up", "-v"}, cli.ExitFailed},
		"RefusedWait":  {"postgres://user:s3cret@" + refusing + "/db", []string{"wait", "--timeout", "500ms", "-v"}, cli.ExitFailed},
		"NoHost":       {"postgres://user:s3cret@host.invalid/db", []string{"validate"}, cli.ExitFailed},
		"NoDatabase":   {"postgres:///none?user=" + config.User + "&password=s3cret&sslmode=disable&host=" + config.Host, []string{"status"}, cli.ExitFailed},
		"BrokenURL":    {"postgres://user:s3cret@host:port/db", []string{"up"}, cli.ExitUsage},
		"NoAt":         {"postgres://user:s3cret", []string{"up"}, cli.ExitUsage},
		"OtherScheme":  {"mysql://user:s3cret@host/db", []string{"up"}, cli.ExitUsage},
		"Help":         {"postgres://user:s3cret@host/db", []string{"--help"}, cli.ExitDone},
		"CommandHelp":  {"postgres://user:s3cret@host/db", []string{"up", "--help"}, cli.ExitDone},
		"Argument":     {"", []string{"up", "postgres://user:s3cret@host/db"}, cli.ExitUsage},
		"Command":      {"", []string{"postgres://user:s3cret@host/db"}, cli.ExitUsage},
		"Setting":      {"", []string{"up", "--database-url", "host=h", "password=s3cret"}, cli.ExitUsage},
		"OtherFlag":    {"", []string{"up", "--lock-timeout=postgres://user:s3cret@host/db"}, cli.ExitUsage},
		"MistypedFlag": {"", []string{"up", "--databas-url=postgres://user:s3cret@host/db"}, cli.ExitUsage},
		"Version":      {"", []string{"up-to", "user:s3cret@host/db"}, cli.ExitUsage},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := migrate(t, test.url, test.args...)
			if got.code != test.code {
				t.Errorf("exit code %d, want %d: %s", got.code, test.code, got.stderr)
			}
			if strings.Contains(got.stdout+got.stderr, password) {
				t.Errorf("the password is in\n%s%s", got.stdout, got.stderr)
			}
			if test.code != cli.ExitDone && (got.stdout != "" || strings.Count(got.stderr, "\n") != 1 || !strings.HasPrefix(got.stderr, "migrate: ")) {
				t.Errorf("stdout is %q, stderr is %q; want one line on stderr", got.stdout, got.stderr)
			}
		})
	}
}
