package coordaudit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/importer"
)

// ran is what one run of the program left.
type ran struct {
	code           int
	stdout, stderr string
}

// run runs the program in this process. Its only variable is DATABASE_URL.
func run(t *testing.T, databaseURL, stdin string, args ...string) ran {
	t.Helper()
	return runWith(t.Context(), databaseURL, strings.NewReader(stdin), args...)
}

func runWith(ctx context.Context, databaseURL string, stdin io.Reader, args ...string) ran {
	var stdout lockedBuffer
	return runInto(ctx, databaseURL, stdin, &stdout, args...)
}

// runInto runs the program with an output that can be read meanwhile.
func runInto(ctx context.Context, databaseURL string, stdin io.Reader, stdout *lockedBuffer, args ...string) ran {
	var stderr lockedBuffer
	p := &cli.Program{
		Name:   "coordaudit",
		Env:    func(name string) string { return map[string]string{"DATABASE_URL": databaseURL}[name] },
		Stdin:  stdin,
		Stdout: stdout,
		Stderr: &stderr,
	}
	code := Run(ctx, p, args)
	return ran{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// runOnTerminal runs the program as on a terminal of that width, without colours.
func runOnTerminal(t *testing.T, databaseURL string, columns int, args ...string) ran {
	t.Helper()
	var stdout, stderr lockedBuffer
	p := &cli.Program{
		Name:     "coordaudit",
		Env:      func(name string) string { return map[string]string{"DATABASE_URL": databaseURL}[name] },
		Stdin:    strings.NewReader(""),
		Stdout:   &stdout,
		Stderr:   &stderr,
		Terminal: func() (int, bool) { return columns, true },
	}
	code := Run(t.Context(), p, args)
	return ran{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

// lockedBuffer may be read while the program writes.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func (r ran) mustExit(t *testing.T, code int) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.stdout, r.stderr)
	}
}

func (r ran) counts(t *testing.T) importer.Counts {
	t.Helper()
	var counts importer.Counts
	decoder := json.NewDecoder(strings.NewReader(r.stdout))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&counts); err != nil || decoder.More() {
		t.Fatalf("standard output is not one JSON object: %v\n%s\n%s", err, r.stdout, r.stderr)
	}
	return counts
}

// number is the id of the nth record of a test.
func number(n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("11111111-1111-4111-8111-%012d", n))
}

// line is the nth record as callers of the predecessor write it. set replaces the raw JSON
// of keys.
func line(n int, set ...string) string {
	values := map[string]string{
		"audit_id":                fmt.Sprintf("%q", number(n)),
		"envelope_id":             fmt.Sprintf(`"envelope-%d"`, n%97),
		"envelope_class":          `"reliability"`,
		"decision":                `"applied"`,
		"reason":                  `"Applied successfully, preempted 0 envelope(s)"`,
		"decision_timestamp":      `"2026-01-31T12:00:00.123456+00:00"`,
		"conflicting_envelope_id": "null",
		"preempting_envelope_id":  "null",
		"active_envelopes_count":  "1",
		"tenant_id":               `"acme"`,
		"emit_traces":             "true",
	}
	for i := 0; i < len(set); i += 2 {
		values[set[i]] = set[i+1]
	}
	var parts []string
	for key, value := range values {
		parts = append(parts, fmt.Sprintf("%q: %s", key, value))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func lines(from, to int) string {
	var text strings.Builder
	for n := from; n < to; n++ {
		text.WriteString(line(n) + "\n")
	}
	return text.String()
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rejectsIn reads a file of refused lines. It returns nil if there is none.
func rejectsIn(t *testing.T, path string) []importer.RejectedLine {
	t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []importer.RejectedLine
	for one := range strings.Lines(string(text)) {
		var rejected importer.RejectedLine
		if err := json.Unmarshal([]byte(one), &rejected); err != nil {
			t.Fatalf("%v: %s", err, one)
		}
		all = append(all, rejected)
	}
	return all
}

// stored counts the rows, and fails if an id occurs twice.
func stored(t *testing.T, pool *pgxpool.Pool) int {
	t.Helper()
	rows, err := pool.Query(context.Background(), "SELECT count(*), count(DISTINCT audit_id) FROM coordination_audit_records")
	if err != nil {
		t.Fatal(err)
	}
	counts, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[struct{ All, IDs int }])
	if err != nil {
		t.Fatal(err)
	}
	if counts.All != counts.IDs {
		t.Errorf("%d rows, but %d ids", counts.All, counts.IDs)
	}
	return counts.All
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

// pause reports whether it paused to the end.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
