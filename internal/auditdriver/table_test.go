package auditdriver_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A relation that can store nothing truthfully is refused before anything is sent, by what it is,
// and no record is blamed.
func TestUnfitTableIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ change, want string }{
		"View": {
			"ALTER TABLE coordination_audit_records RENAME TO elsewhere; CREATE VIEW coordination_audit_records AS SELECT * FROM elsewhere",
			"is no table",
		},
		"Children": {"CREATE TABLE child () INHERITS (coordination_audit_records)", "has child tables"},
		"Rule":     {"CREATE RULE silent AS ON INSERT TO coordination_audit_records DO INSTEAD NOTHING", "has a rule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			if _, err := db.Pool.Exec(t.Context(), test.change); err != nil {
				t.Fatal(err)
			}
			rec := record()
			_, err := auditdriver.NewInSchema(db.Pool, "public").Persist(t.Context(), &rec)
			if !errors.Is(err, audit.ErrRefused) || !auditdriver.RefusesAll(err) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want a refusal because it %s", err, test.want)
			}
			var stored int
			if err := db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM coordination_audit_records").Scan(&stored); err != nil || stored != 0 {
				t.Errorf("%d rows are stored, %v", stored, err)
			}
		})
	}
}
