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
