package migrate

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// newRole returns a role that is dropped with the test.
func newRole(t *testing.T, db *testdb.DB) string {
	t.Helper()
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	execute(t, db, "CREATE ROLE "+role)
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Errorf("dropping role %s: %v", role, err)
		}
	})
	return role
}

// withRole is the URL of sessions that act as a role.
func withRole(url, role string) string { return url + "&role=" + role }
