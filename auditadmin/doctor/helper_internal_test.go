package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// examine prepares an examination of a database.
func examine(t *testing.T, pool *pgxpool.Pool, set func(*examination)) *examination {
	t.Helper()
	x := &examination{pool: pool, limits: defaultLimits(), now: time.Now}
	if err := x.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if set != nil {
		set(x)
	}
	return x
}

// run runs the check of a name.
func (x *examination) run(t *testing.T, name string) []Finding {
	t.Helper()
	all := checks()
	i := slices.IndexFunc(all, func(c check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("there is no check %s", name)
	}
	findings, err := x.diagnose(t.Context(), all[i:i+1])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Check != name || f.Object == "" || f.Evidence == "" || f.Repair == "" {
			t.Errorf("a finding of %s lacks something: %+v", name, f)
		}
		if f.Severity != Unchecked && slices.Index(Severities(), f.Severity) < slices.Index(Severities(), all[i].Worst) {
			t.Errorf("%s finds worse than its worst severity, %s: %v", name, all[i].Worst, f)
		}
	}
	return findings
}

// mustFind runs a check and wants one finding: with a severity, and these texts in its line.
func (x *examination) mustFind(t *testing.T, name string, severity Severity, texts ...string) {
	t.Helper()
	findings := x.run(t, name)
	for _, f := range findings {
		line := f.String()
		if f.Severity == severity && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
			return
		}
	}
	t.Errorf("%s: want %s with %q, got %v", name, severity, texts, findings)
}

func (x *examination) mustBeQuiet(t *testing.T, name string) {
	t.Helper()
	if findings := x.run(t, name); len(findings) > 0 {
		t.Errorf("%s: want nothing, got %v", name, findings)
	}
}

func newRole(t *testing.T, db *testdb.DB) string {
	t.Helper()
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	fixture.MustExec(t, db.Pool, "CREATE ROLE "+role)
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
	return role
}

// ownServer starts a server with settings of its own.
func ownServer(t *testing.T, config pglocal.Config) *testdb.DB {
	t.Helper()
	server, err := pglocal.Start(t.Context(), config)
	if errors.Is(err, pglocal.ErrNoPrograms) && os.Getenv("COORDAUDIT_TEST_DATABASE_URL") != "" {
		t.Skip("needs installed PostgreSQL programs: a server of its own")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return testdb.NewOn(t, server)
}

const insertRecords = `
	INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
	SELECT gen_random_uuid(), 'envelope ' || n, 'COST', 'APPLIED', 'a reason', now() - interval '1 hour' FROM generate_series(1, 1000) AS n`
