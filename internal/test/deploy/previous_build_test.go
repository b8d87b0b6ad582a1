package deploy_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// previousCommit is from before the schema got the columns and the table of 00006 to 00008.
const previousCommit = "f48e0b2f5c5d2601ba127f938b46373b99f6b5b8"

// previousProgram uses each way to write and some to read of that release.
const previousProgram = `package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

func record() audit.Record {
	return audit.Record{AuditID: uuid.New(), EnvelopeID: "previous", EnvelopeClass: audit.Cost, Decision: audit.Applied, Reason: "by the previous release", DecisionTimestamp: time.Now()}
}

func must[T any](result T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return result
}

func main() {
	ctx := context.Background()
	pool := must(pgxpool.New(ctx, os.Args[1]))
	store := coordaudit.New(pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Timeout: 30 * time.Second})
	must(store.Persist(ctx, record()))
	must(store.PersistMany(ctx, []audit.Record{record(), record()}))
	must(store.Load(ctx, []audit.Record{record(), record()}))
	must(0, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		must(store.PersistTx(ctx, tx, record()))
		return nil
	}))
	recorder := must(store.NewRecorder(coordaudit.RecorderConfig{DeadLetterDir: os.Args[2]}))
	must(recorder.Record(ctx, record()))
	must(0, recorder.Enqueue(record()))
	must(0, recorder.Close(ctx))
	records := 0
	for _, err := range store.All(ctx, audit.Query{Scope: audit.AllTenants()}) {
		must(0, err)
		records++
	}
	must(store.Breakdown(ctx, audit.BreakdownQuery{Scope: audit.AllTenants()}))
	fmt.Println(records)
}
`

// The real build of the previous release works on the current schema, together with the current release.
func TestPreviousBuildWorks(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the previous release")
	}
	program := buildPrevious(t)
	db := testdb.New(t)
	store := coordaudit.New(db.Pool, coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Timeout: timeout})
	rec := fixture.NewRecord()
	rec.ReasonCode, rec.Links.CausedBy, rec.Details = "CODE", uuid.New(), `{"a": 1}`
	if _, err := store.Persist(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), program, db.URL, t.TempDir()).CombinedOutput()
	if err != nil || strings.TrimSpace(string(output)) != "9" {
		t.Fatalf("the previous release: %v, %s; want that it reads its 8 records and the one with a context", err, output)
	}
	records := 0
	for read, err := range store.All(t.Context(), audit.Query{Scope: audit.AllTenants()}) {
		if err != nil {
			t.Fatal(err)
		}
		if read.AuditID != rec.AuditID && (read.ReasonCode != "" || read.Details != "" || read.Links != (audit.Links{}) || read.Origin != (audit.Origin{})) {
			t.Errorf("a record of the previous release has a context: %+v", read)
		}
		records++
	}
	if records != 9 {
		t.Errorf("%d records, want 9", records)
	}
}

// buildPrevious builds previousProgram from the files of previousCommit.
func buildPrevious(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	archive, err := exec.CommandContext(t.Context(), "git", "-C", "../../..", "archive", previousCommit).Output()
	if err != nil {
		if failed, ok := errors.AsType[*exec.ExitError](err); ok || errors.Is(err, exec.ErrNotFound) {
			t.Skipf("the history of the project is not here: %v %v", err, failed)
		}
		t.Fatal(err)
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(archive)
	source := filepath.Join(dir, "cmd", "previous")
	err = errors.Join(runQuiet(unpack), os.Mkdir(source, fs.ModePerm), os.WriteFile(filepath.Join(source, "main.go"), []byte(previousProgram), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "previous")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/previous")
	build.Dir = dir
	if err := runQuiet(build); err != nil {
		t.Fatal(err)
	}
	return program
}

func runQuiet(command *exec.Cmd) error {
	output, err := command.CombinedOutput()
	if err != nil {
		return errors.Join(err, errors.New(string(output)))
	}
	return nil
}
