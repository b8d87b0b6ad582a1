package pgbouncer_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/test/pgbouncer"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// childVariable makes this test's binary the process that is killed. It holds the URL of
// the database.
const childVariable = "POOLER_TEST_CHILD"

func TestKilledProcessLeavesNoPooler(t *testing.T) {
	t.Parallel()
	if database := os.Getenv(childVariable); database != "" {
		fmt.Fprintln(os.Stdout, "\n"+pgbouncer.Start(t, database, pgbouncer.Config{}).URL(pgx.QueryExecModeExec))
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		return
	}
	db := testdb.New(t)
	pgbouncer.Start(t, db.URL, pgbouncer.Config{}) // skips where there is none
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), childVariable+"="+db.URL)
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	for lines := bufio.NewScanner(output); address == "" && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "postgres://") {
			address = lines.Text()
		}
	}
	parsed, err := url.Parse(address)
	if err != nil || address == "" {
		t.Fatalf("the child's pooler is at %q: %v", address, err)
	}
	connect(t, address)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	dir := parsed.Query().Get("host")
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return // the keeper removes it last, after PgBouncer has ended
		}
		if time.Now().After(end) {
			t.Fatalf("%s still exists", dir)
		}
	}
}
