package coordaudit_test

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit"
)

func TestNoErrorShowsThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://user:hunter2@[::1/db", "postgres://user:hunter2@host:port/db", "postgres://user:hunter2@host/db?sslmode=odd",
		"host=/nowhere password=hunter2 port=x", "postgres://user:hunter2", "host=a password=my hunter2 port=1",
		"postgres://user:my@hunter2@host/db", "postgres://user:hun%zzter2@host/db",
	} {
		if _, err := coordaudit.Open(t.Context(), url, quiet()); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("Open(%q) = %v, want an error without the password", url, err)
		}
	}
	store := openStore(t, "postgres://user:hunter2@127.0.0.1:1/db", quiet())
	if _, err := store.Persist(t.Context(), newRecord()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Persist() = %v, want an error without the password", err)
	}
}
