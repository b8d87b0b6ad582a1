package coordaudit

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func followed(t *testing.T, text string) (ids []string) {
	t.Helper()
	for line := range strings.Lines(text) {
		var rec struct {
			EnvelopeID string `json:"envelope_id"`
		}
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		ids = append(ids, rec.EnvelopeID)
	}
	return ids
}

// Each record is printed once, in the order in which it was stored, over several runs on one
// cursor.
func TestFollowGoesOnFromItsCursor(t *testing.T) {
	t.Parallel()
	db, cursor := testdb.New(t), filepath.Join(t.TempDir(), "cursor")
	persist(t, db, applied(noon().Add(time.Hour), "acme", "one"), applied(noon(), "acme", "two"), applied(noon(), "other", "not acme's"))
	follow := []string{"follow", "--tenant=acme", "--from=beginning", "--once", "--json", "--cursor", cursor}
	got := run(t, db.URL, "", follow...)
	got.mustExit(t, cli.ExitDone)
	if ids := strings.Join(followed(t, got.stdout), " "); ids != "one two" {
		t.Errorf("followed %q", ids)
	}
	mustHaveKeys(t, "a followed record", []byte(strings.SplitN(got.stdout, "\n", 2)[0]), "audit_id", "envelope_id", "envelope_class", "decision", "reason",
		"decision_timestamp", "conflicting_envelope_id", "preempting_envelope_id", "active_envelopes_count", "tenant_id", "seq", "created_at", "late", "repeated")
	if got = run(t, db.URL, "", follow...); got.stdout != "" {
		t.Errorf("again: %q", got.stdout)
	}
	persist(t, db, applied(noon(), "acme", "three"))
	got = run(t, db.URL, "", follow...)
	if ids := strings.Join(followed(t, got.stdout), " "); ids != "three" {
		t.Errorf("then followed %q", ids)
	}
}

// A follower that was stopped before the first record begins where it began, and not at a
// later now.
func TestFollowKeepsItsFirstNow(t *testing.T) {
	t.Parallel()
	db, cursor := testdb.New(t), filepath.Join(t.TempDir(), "cursor")
	persist(t, db, applied(noon(), "acme", "before"))
	follow := []string{"follow", "--tenant=acme", "--once", "--json", "--cursor", cursor}
	run(t, db.URL, "", follow...).mustExit(t, cli.ExitDone)
	persist(t, db, applied(noon(), "acme", "between"))
	got := run(t, db.URL, "", follow...)
	if ids := strings.Join(followed(t, got.stdout), " "); ids != "between" {
		t.Errorf("followed %q", ids)
	}
}

func TestFollowFormats(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	persist(t, db, unpleasant()...)
	for format, key := range map[string]string{"json": "audit_id", "cloudevents": "specversion", "ecs": "@timestamp"} {
		got := run(t, db.URL, "", "follow", "--all-tenants", "--from=beginning", "--once", "--format", format)
		got.mustExit(t, cli.ExitDone)
		if lines := strings.Count(got.stdout, "\n"); lines != len(unpleasant()) {
			t.Errorf("%s: %d lines, want %d", format, lines, len(unpleasant()))
		}
		for line := range strings.Lines(got.stdout) {
			var object map[string]any
			if err := json.Unmarshal([]byte(line), &object); err != nil || object[key] == nil {
				t.Errorf("%s: %q: %v", format, line, err)
			}
		}
	}
	got := run(t, db.URL, "", "follow", "--all-tenants", "--from=beginning", "--once")
	if lines := strings.Count(got.stdout, "\n"); lines != len(unpleasant()) {
		t.Errorf("text: %d lines, want %d", lines, len(unpleasant()))
	}
	for _, r := range got.stdout {
		if r < ' ' && r != '\n' {
			t.Errorf("text has the control character %q", r)
		}
	}
}

// A bad cursor is named, with the next step, and nothing is printed.
func TestFollowNamesBadInput(t *testing.T) {
	t.Parallel()
	db, cursor := testdb.New(t), filepath.Join(t.TempDir(), "cursor")
	persist(t, db, applied(noon(), "acme", "one"))
	run(t, db.URL, "", "follow", "--tenant=acme", "--from=beginning", "--once", "--cursor", cursor).mustExit(t, cli.ExitDone)
	text, err := os.ReadFile(cursor)
	if err != nil {
		t.Fatal(err)
	}
	other := testdb.New(t)
	for name, c := range map[string]struct {
		url, cursor, scope string
		code               int
		want               []string
	}{
		"Cut":           {db.URL, string(text[:len(text)/2]), "--tenant=acme", cli.ExitFailed, []string{"damaged", "remove it"}},
		"NoCursor":      {db.URL, "hello", "--tenant=acme", cli.ExitFailed, []string{"damaged"}},
		"Empty":         {db.URL, "\n", "--tenant=acme", cli.ExitFailed, []string{"is empty", "remove it"}},
		"OtherScope":    {db.URL, string(text), "--tenant=other", cli.ExitFailed, []string{"another query"}},
		"OtherDatabase": {other.URL, string(text), "--tenant=acme", cli.ExitFailed, []string{"--resume-fork"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, c.url, "", "follow", c.scope, "--once", "--cursor", file(t, c.cursor))
			got.mustExit(t, c.code)
			mustContain(t, got.stderr, c.want...)
			if got.stdout != "" {
				t.Errorf("stdout %q", got.stdout)
			}
		})
	}
	run(t, db.URL, "", "follow", "--tenant=acme", "--from=soon", "--once").mustExit(t, cli.ExitUsage)
	run(t, db.URL, "", "follow", "--once").mustExit(t, cli.ExitUsage)
	run(t, db.URL, "", "follow", "--tenant=acme", "--poll=0s").mustExit(t, cli.ExitUsage)
}

// It goes on when the server was killed, and ends with its cursor written when it is stopped.
func TestFollowOutlivesTheServer(t *testing.T) {
	t.Parallel()
	server := testdb.Durable(t)
	db, cursor := testdb.NewOn(t, server), filepath.Join(t.TempDir(), "cursor")
	persist(t, db, applied(noon(), "acme", "before"))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan ran, 1)
	var out lockedBuffer
	go func() {
		ended <- runInto(ctx, db.URL, strings.NewReader(""), &out, "follow", "--tenant=acme", "--from=beginning", "--json", "--poll=10ms", "--cursor", cursor)
	}()
	fixture.Eventually(t, func() bool { return strings.Contains(out.String(), `"before"`) })
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	db.Pool.Reset()
	persist(t, db, applied(noon(), "acme", "after"))
	fixture.Eventually(t, func() bool { return strings.Contains(out.String(), `"after"`) })
	stop()
	got := <-ended
	got.mustExit(t, cli.ExitDone)
	if ids := strings.Join(followed(t, out.String()), " "); ids != "before after" {
		t.Errorf("followed %q", ids)
	}
	again := run(t, db.URL, "", "follow", "--tenant=acme", "--once", "--json", "--cursor", cursor)
	again.mustExit(t, cli.ExitDone)
	if again.stdout != "" {
		t.Errorf("again: %q", again.stdout)
	}
}
