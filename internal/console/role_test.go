package console_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A role that may only read, in sessions that cannot write, is enough for every page and for the
// live tail.
func TestReaderRoleIsEnough(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	fixture.MustExec(t, db.Pool, "CREATE ROLE "+role)
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.WithoutCancel(t.Context()), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
	migrator := auditmigrate.New(db.Pool.Config().ConnConfig, auditmigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Readers: []string{role}}); err != nil {
		t.Fatal(err)
	}
	s := openOn(t, fixture.OpenPool(t, db.URL, func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["role"] = role
		config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	}), nil)
	writer := coordaudit.New(db.Pool, fixture.Quiet())
	rec := decision("acme", "envelope")
	fixture.MustPersist(t, writer, rec)
	for _, path := range pagesOf(rec.AuditID, "envelope") {
		if strings.HasSuffix(path, "/proof") {
			continue // it is not sealed
		}
		got := s.get(t, path).must(t, http.StatusOK)
		for _, word := range []string{"Not known", "not known", "may not read"} {
			if strings.Contains(got.body, word) {
				t.Errorf("%s: %s", path, main(got.body))
			}
		}
	}
	watcher := s.watch(t, "/live")
	fixture.MustPersist(t, writer, decision("acme", "live-envelope"))
	watcher.until(t, "live-envelope")
}

// What is not known has a cause, and a schema that is missing or old is no fault of the role.
func TestRefusalNamesItsCause(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		statement string
		paths     []string
		says      string
	}{
		"NoTable":   {"ALTER TABLE coordination_audit_records RENAME TO elsewhere", []string{"/records", "/signals", "/completeness?account=now"}, "Run migrate up, and check the search_path"},
		"NoColumn":  {"ALTER TABLE coordination_audit_records RENAME COLUMN actor TO elsewhere", []string{"/records", "/live"}, "older than this console"},
		"NoGaps":    {"ALTER TABLE coordination_audit_gaps RENAME TO elsewhere", []string{"/completeness"}, "Run migrate up, and check the search_path"},
		"NoLog":     {"ALTER TABLE coordination_audit_seal_tiles RENAME TO elsewhere; ALTER TABLE coordination_audit_seal_checkpoints RENAME COLUMN size TO elsewhere", []string{"/seal"}, "older than this console"},
		"NoAccount": {"ALTER TABLE coordination_audit_statements RENAME TO elsewhere", []string{"/completeness?account=now"}, "Run migrate up, and check the search_path"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, nil)
			fixture.MustExec(t, s.pool, test.statement)
			for _, path := range test.paths {
				if got := s.get(t, path); !strings.Contains(got.body, test.says) || strings.Contains(got.body, "role of this console") {
					t.Errorf("%s: %d: %s", path, got.status, main(got.body))
				}
			}
		})
	}
	s := open(t, nil)
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	fixture.MustExec(t, s.pool, "CREATE ROLE "+role)
	t.Cleanup(func() {
		if _, err := s.pool.Exec(context.WithoutCancel(t.Context()), "DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
	narrow := openOn(t, fixture.OpenPool(t, s.pool.Config().ConnString(), func(config *pgxpool.Config) { config.ConnConfig.RuntimeParams["role"] = role }), nil)
	for _, path := range []string{"/records", "/completeness", "/seal"} {
		if got := narrow.get(t, path); !strings.Contains(got.body, "The role of this console may not read") {
			t.Errorf("%s: %d: %s", path, got.status, main(got.body))
		}
	}
}
