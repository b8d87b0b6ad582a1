package coordaudit

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// served is a console that the program runs.
type served struct {
	address string
	end     func() ran
}

// serve starts the command, and waits until it says where it listens.
func serve(t *testing.T, databaseURL string, args ...string) served {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var stdout, stderr lockedBuffer
	p := &cli.Program{
		Name: "coordaudit", Env: func(name string) string { return map[string]string{"DATABASE_URL": databaseURL}[name] },
		Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
	}
	ended := make(chan int, 1)
	go func() { ended <- Run(ctx, p, append([]string{"serve"}, args...)) }()
	s := served{end: func() ran {
		stop()
		return ran{code: <-ended, stdout: stdout.String(), stderr: stderr.String()}
	}}
	fixture.EventuallyWithin(t, 20*time.Second, func() bool {
		match := regexp.MustCompile(`serving (http://\S+) for`).FindStringSubmatch(stderr.String())
		if match != nil {
			s.address = match[1]
		}
		return match != nil
	})
	return s
}

func (s served) get(t *testing.T, path string, headers ...string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestServe(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	lost, guard, _ := preemption()
	persist(t, db, lost, guard)
	s := serve(t, db.URL, "--tenant=acme", "--listen=127.0.0.1:0", "--trace-url=https://traces.example/{trace_id}")
	status, body := s.get(t, "/records/"+lost.AuditID.String())
	if status != http.StatusOK || !strings.Contains(body, "took its place") || !strings.Contains(body, guard.AuditID.String()) {
		t.Errorf("%d: %s", status, body)
	}
	s.end().mustExit(t, cli.ExitDone)
}

func TestServeWithAToken(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("0123456789abcdef0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, db.URL, "--all-tenants", "--listen=0.0.0.0:0", "--token-file="+file)
	s.address = strings.Replace(s.address, "[::]", "127.0.0.1", 1)
	s.address = strings.Replace(s.address, "0.0.0.0", "127.0.0.1", 1)
	if status, _ := s.get(t, "/records"); status != http.StatusUnauthorized {
		t.Errorf("without the token: %d", status)
	}
	if status, _ := s.get(t, "/records", "Authorization", "Bearer 0123456789abcdef0123"); status != http.StatusOK {
		t.Errorf("with the token: %d", status)
	}
	if got := s.end(); strings.Contains(got.stderr+got.stdout, "0123456789abcdef") {
		t.Errorf("the token is shown: %s", got.stderr)
	}
}

func TestServeBadInput(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() }) // after the parallel tests
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return "--token-file=" + path
	}
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"NoScope":        {nil, cli.ExitUsage, "--tenant"},
		"TwoScopes":      {[]string{"--all-tenants", "--tenant-header=X-Tenant", "--trusted-proxy=10.0.0.1"}, cli.ExitUsage, "can't be used together"},
		"HeaderAlone":    {[]string{"--tenant-header=X-Tenant"}, cli.ExitUsage, "need each other"},
		"ProxyAlone":     {[]string{"--all-tenants", "--trusted-proxy=10.0.0.1"}, cli.ExitUsage, "need each other"},
		"NoHeader":       {[]string{"--tenant-header=X Tenant", "--trusted-proxy=10.0.0.1"}, cli.ExitUsage, "name of a header"},
		"NoProxy":        {[]string{"--tenant-header=X-Tenant", "--trusted-proxy=proxy\x1b"}, cli.ExitUsage, "neither an address nor a network"},
		"PortInUse":      {[]string{"--all-tenants", "--listen=" + taken.Addr().String()}, cli.ExitFailed, "another program listens on " + taken.Addr().String()},
		"NoPort":         {[]string{"--all-tenants", "--listen=127.0.0.1"}, cli.ExitUsage, "give it as 127.0.0.1:8080"},
		"OddPort":        {[]string{"--all-tenants", "--listen=127.0.0.1:99999"}, cli.ExitUsage, "give it as 127.0.0.1:8080"},
		"NoToken":        {[]string{"--all-tenants", "--listen=0.0.0.0:0"}, cli.ExitUsage, "pass --token-file"},
		"NoTokenByName":  {[]string{"--all-tenants", "--listen=:0"}, cli.ExitUsage, "pass --token-file"},
		"TokenAbsent":    {[]string{"--all-tenants", "--token-file=/nonexistent/token"}, cli.ExitUsage, "check the path"},
		"TokenReadable":  {[]string{"--all-tenants", file("a", "0123456789abcdef", 0o644)}, cli.ExitUsage, "chmod 600"},
		"TokenShort":     {[]string{"--all-tenants", file("b", "short", 0o600)}, cli.ExitUsage, "openssl rand"},
		"TokenOfWords":   {[]string{"--all-tenants", file("c", "a token of many words", 0o600)}, cli.ExitUsage, "one word"},
		"TokenDirectory": {[]string{"--all-tenants", "--token-file=" + t.TempDir()}, cli.ExitUsage, "not a file"},
		"TraceURL":       {[]string{"--all-tenants", "--trace-url=https://x"}, cli.ExitUsage, "{trace_id}"},
		"NoTime":         {[]string{"--all-tenants", "--timeout=0s"}, cli.ExitUsage, "must be positive"},
		"HostWithPort":   {[]string{"--all-tenants", "--host=audit.example:8080"}, cli.ExitUsage, "without a scheme and a port"},
		"HostWithScheme": {[]string{"--all-tenants", "--host=https://audit.example"}, cli.ExitUsage, "without a scheme and a port"},
		"ManyQueries":    {[]string{"--all-tenants", "--max-queries=3000000000"}, cli.ExitUsage, "--max-queries may be 1,000 at most"},
		"WideProxy":      {[]string{"--tenant-header=X-Tenant", "--trusted-proxy=::ffff:0:0/90"}, cli.ExitUsage, "neither an address nor a network"},
		"EmptyTenant":    {[]string{"--tenant="}, cli.ExitUsage, "--no-tenant"},
		"LongTenant":     {[]string{"--tenant=" + strings.Repeat("t", 101)}, cli.ExitUsage, "101 characters"},
		"NoKey":          {[]string{"--all-tenants", "--key=nonsense"}, cli.ExitUsage, "key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, db.URL, "", append([]string{"serve"}, test.args...)...)
			got.mustExit(t, test.code)
			mustContain(t, got.stderr, test.says)
			mustSteerNothing(t, name, got.stderr)
			if strings.Contains(got.stderr, "goroutine") || strings.Contains(got.stderr, "0123456789abcdef") {
				t.Errorf("%s", got.stderr)
			}
		})
	}
	got := run(t, "", "", "serve", "--all-tenants", "--listen=127.0.0.1:0")
	got.mustExit(t, cli.ExitUsage)
	mustContain(t, got.stderr, "set DATABASE_URL")
}

func TestServeHelp(t *testing.T) {
	t.Parallel()
	got := run(t, "", "", "serve", "--help")
	got.mustExit(t, cli.ExitDone)
	mustContain(t, got.stdout, "(--tenant=ID | --no-tenant | --all-tenants | --tenant-header=NAME)")
}

// The longest time is one that the database can hold.
func TestServeWithALongTimeout(t *testing.T) {
	t.Parallel()
	s := serve(t, testdb.New(t).URL, "--all-tenants", "--listen=127.0.0.1:0", "--timeout=100000h", "--host=[2001:db8::7]", "--host=Audit.Example.")
	if status, body := s.get(t, "/records"); status != http.StatusOK {
		t.Errorf("%d: %s", status, body)
	}
	for _, host := range []string{"[2001:db8::7]:8080", "audit.example", "AUDIT.example.:80"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.address+"/records", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, %v", host, resp.StatusCode, err)
		}
	}
	s.end().mustExit(t, cli.ExitDone)
}

// A proxy is one machine, however its address is written.
func TestServeTrustsAMappedAddress(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	for _, proxy := range []string{"127.0.0.1", "::ffff:127.0.0.1", "::ffff:127.0.0.0/104", "127.0.0.0/8"} {
		s := serve(t, db.URL, "--tenant-header=X-Tenant", "--trusted-proxy="+proxy, "--listen=127.0.0.1:0")
		if status, body := s.get(t, "/records", "X-Tenant", "acme"); status != http.StatusOK {
			t.Errorf("%s: %d: %s", proxy, status, body)
		}
		s.end().mustExit(t, cli.ExitDone)
	}
}
