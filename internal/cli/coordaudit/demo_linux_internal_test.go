package coordaudit

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/term"
	"github.com/hoc-analytics/coordaudit/internal/test/pty"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// The demo is read on a terminal, so its lines fit one, and nothing of it is cut.
func TestDemoFitsTheTerminal(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	for columns, parts := range map[int][]string{
		term.MinColumns: {"09:00:28  globex  PERFORMANCE\n          turbo-cache-1    PREEMPTED\n          cache.ttl goes to\n"},
		60: {
			"09:00:28  globex  PERFORMANCE  turbo-cache-1    PREEMPTED\n          cache.ttl goes to cache-guard-4 (SAFETY)\n",
			"Read back from the database:\n    8 APPLIED, 4 REJECTED, 1 PREEMPTED\n",
		},
		80: {
			"09:00:28  globex  PERFORMANCE  turbo-cache-1    PREEMPTED\n          cache.ttl goes to cache-guard-4 (SAFETY)\n",
			"Read back from the database: 8 APPLIED, 4 REJECTED, 1 PREEMPTED\n",
		},
		132: {"09:00:28  globex  PERFORMANCE  turbo-cache-1    PREEMPTED  cache.ttl goes to cache-guard-4 (SAFETY)\n"},
	} {
		code, written := pty.Start(t, columns, 24, onTerminal(t, db.URL, "demo")).Wait()
		if code != cli.ExitDone {
			t.Fatalf("%d columns: exit code %d: %s", columns, code, written)
		}
		shown := plain(written)
		mustContain(t, shown, parts...)
		for line := range strings.Lines(shown) {
			line = strings.TrimSuffix(line, "\n")
			if cells := term.Cells(line); cells > columns && !strings.HasSuffix(line, " demo --keep") { // it is to be copied
				t.Errorf("%d columns: %d cells: %q", columns, cells, line)
			}
		}
	}
}
