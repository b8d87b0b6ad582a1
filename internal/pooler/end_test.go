package pooler_test

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

	"github.com/hoc-analytics/coordaudit/internal/pooler"
	"github.com/hoc-analytics/coordaudit/internal/testdb"
)

// childVariable makes this test's binary the process that is killed; it holds the
// database's URL.
const childVariable = "POOLER_TEST_CHILD"

func TestAKilledProcessLeavesNoPooler(t *testing.T) {
	t.Parallel()
	if database := os.Getenv(childVariable); database != "" {
		fmt.Fprintln(os.Stdout, "\n"+pooler.Start(t, database, pooler.Config{}).URL(pgx.QueryExecModeExec))
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		return
	}
	db := testdb.New(t)
	pooler.Start(t, db.URL, pooler.Config{}) // skips where there is none
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
	_ = child.Wait() // killed, of course
	dir := parsed.Query().Get("host")
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return // the keeper removes it last, once PgBouncer has ended
		}
		if time.Now().After(end) {
			t.Fatalf("%s is left", dir)
		}
	}
}
