package auditadmin_test

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/auditadmin"
)

// The newest row of a version says whether it is applied, as it does for migrate up.
func TestRevertedVersionIsMissing(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"NotApplied": "UPDATE coordaudit_schema_version SET is_applied = false WHERE version_id >= 4",
		"Reverted":   "INSERT INTO coordaudit_schema_version (version_id, is_applied) SELECT max(version_id), false FROM coordaudit_schema_version",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, owner := owned(t)
			execute(t, db, sql)
			d := find(check(t, connect(t, db, owner)), "table public.coordaudit_schema_version", auditadmin.Error)
			if d == nil || d.Repair != "migrate up" {
				t.Errorf("want a version that is missing: %+v", d)
			}
		})
	}
}
