package deploy_test

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"testing"
)

// newRole returns a role that is dropped when the test ends.
func newRole(t *testing.T, exec func(ctx context.Context, sql string) error) string {
	t.Helper()
	role := "coordaudit_test_" + strings.ToLower(rand.Text()[:10])
	if err := exec(t.Context(), "CREATE ROLE "+role); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, sql := range []string{"DROP OWNED BY " + role + " CASCADE", "DROP ROLE " + role} {
			if err := exec(context.Background(), sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	})
	return role
}

// The services' role has only the rights that migrate grants gives it. They cover the columns that a
// deploy adds as soon as the table has them.
func TestGrantsOutlastDeploy(t *testing.T) {
	t.Parallel()
	all := versions(t)
	for i, version := range all[:len(all)-1] {
		if version == 0 {
			continue
		}
		t.Run("from_"+strconv.FormatInt(version, 10), func(t *testing.T) {
			t.Parallel()
			db := older(t, version)
			role := newRole(t, func(ctx context.Context, sql string) error { _, err := db.Pool.Exec(ctx, sql); return err })
			mustMigrate(t, db.URL, "grants", "--writer", role, "--apply")
			writers := startWriting(t, db.URL+"&role="+role, version)
			mustDeploy(t, db.URL, all[i+1:])
			writers.mustHaveLostNothing(t, old)
			mustMigrate(t, db.URL, "grants", "--writer", role, "--apply", "--json")
		})
	}
}
