package auditadmin_test

import (
	"testing"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
)

// What migrate grants gives to the role of the retention is no difference. A member of it is named,
// and so is a right that it does not need.
func TestRetentionRoleIsKnown(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	role, member := newRole(t, db), newRole(t, db)
	config := auditmigrate.GrantConfig{Expirers: []string{role}, Erasers: []string{role}, Holders: []string{role}}
	if _, err := migrator(t, db).ApplyGrants(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db, owner)
	if found := check(t, conn); len(found) > 0 {
		t.Errorf("after the grants: %v", found)
	}
	execute(t, db, "GRANT UPDATE (tenant_id) ON coordination_audit_records TO coordaudit_retention; GRANT coordaudit_retention TO "+member)
	defer execute(t, db, "REVOKE coordaudit_retention FROM "+member)
	found := check(t, conn)
	for _, object := range []string{"privileges of coordaudit_retention on table public.coordination_audit_records", "role " + member} {
		if find(found, object, auditadmin.Notice) == nil {
			t.Errorf("want a notice about %s: %v", object, found)
		}
	}
}
