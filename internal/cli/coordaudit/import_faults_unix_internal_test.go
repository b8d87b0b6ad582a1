//go:build unix

package coordaudit

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestImportWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	db := testdb.NewOn(t, server)
	stdin, feed := io.Pipe()
	done := make(chan ran)
	go func() {
		done <- runWith(t.Context(), db.URL, stdin, "import", "-", "--json", "--batch", "100", "--patience", "60s")
	}()
	write := func(from, to int) {
		if _, err := io.WriteString(feed, lines(from, to)); err != nil {
			t.Error(err)
		}
	}
	write(0, 1000)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	go func() {
		write(1000, 3000)
		_ = feed.Close()
	}()
	timer := time.NewTimer(300 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}

	got := <-done
	got.mustExit(t, cli.ExitDone)
	if counts := got.counts(t); counts.Persisted+counts.AlreadyPersisted != 3000 {
		t.Errorf("summary: %+v", counts)
	}
	mustContain(t, got.stderr, "; trying again for up to 1m0s\n")
	db.Pool.Reset() // its connections are of the server that was killed
	if n := stored(t, db.Pool); n != 3000 {
		t.Errorf("%d rows, want 3000", n)
	}
}

func TestImportPatienceEnds(t *testing.T) {
	t.Parallel()
	server, err := pglocal.Start(t.Context(), pglocal.Config{})
	if err != nil {
		t.Fatal(err)
	}
	db := testdb.NewOn(t, server)
	t.Cleanup(func() { _ = server.Stop() })
	stdin, feed := io.Pipe()
	done := make(chan ran)
	go func() {
		done <- runWith(t.Context(), db.URL, stdin, "import", "-", "--json", "--batch", "100", "--patience", "200ms")
	}()
	go func() { // ends when the import closes the pipe
		_, _ = io.WriteString(feed, lines(0, 500)+strings.Repeat("\n", 1<<20))
		for n := 0; n < 500 && t.Context().Err() == nil; time.Sleep(10 * time.Millisecond) { // it is stored while more is read
			if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM coordination_audit_records").Scan(&n); err != nil {
				t.Error(err)
				break
			}
		}
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(feed, lines(500, 1000))
		_ = feed.Close()
	}()
	got := <-done
	_ = stdin.Close()
	got.mustExit(t, cli.ExitFailed)
	if got.stdout != "" {
		t.Errorf("standard output has %q; an import that did not end has no result", got.stdout)
	}
	mustContain(t, got.stderr,
		"so far: 500 lines read, 500 persisted, 0 already persisted, 0 skipped, 0 rejected\n",
		"coordaudit: importing -: stopped at line 1049077, 500 records stored before it: ",
		": fix the cause, then run the same command again, nothing is stored twice\n")
}

func TestImportStopsAtARefusal(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	got := run(t, db.URL, lines(0, 10), "import", "-", "--json")
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "coordaudit: importing -: stopped at line 1, 0 records stored before it: refused by the database: ",
		"run the migrations (migrate up)")
	if strings.Contains(got.stderr, "trying again") {
		t.Errorf("it was not to be tried again:\n%s", got.stderr)
	}
}

func TestImportInterruptedWhileWaiting(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // within its patience, after its first try
	defer cancel()
	got := runWith(ctx, "postgres://someone:secret@127.0.0.1:1/nowhere", strings.NewReader(line(1)), "import", "-")
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "line 1: database unavailable: ", "stopped at line 1, 0 records stored before it: ")
	if strings.Contains(got.stderr, "secret") {
		t.Errorf("the password is shown:\n%s", got.stderr)
	}
}

func TestImportCannotKeepRefusedLines(t *testing.T) {
	t.Parallel()
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		t.Skip("this system has no file that is always full")
	}
	db := testdb.New(t)
	got := run(t, db.URL, line(1)+"\noops\n", "import", "-", "--rejects", full)
	got.mustExit(t, cli.ExitFailed)
	mustContain(t, got.stderr, "writing the refused lines: ", "no space left on device")
	if diff := cmp.Diff("", got.stdout); diff != "" {
		t.Errorf("standard output (-want +got):\n%s", diff)
	}
}
