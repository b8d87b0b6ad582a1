package auditadmin_test

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/auditadmin"
	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
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

// The functions belong to a role that cannot log in, so the owner of the trail cannot repair them. The
// error says who can.
func TestRepairOfTheRetentionNeedsASuperuser(t *testing.T) {
	t.Parallel()
	db, owner := owned(t)
	if _, err := migrator(t, db).ApplyGrants(t.Context(), auditmigrate.GrantConfig{Holders: []string{newRole(t, db)}}); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "GRANT EXECUTE ON FUNCTION coordination_audit_release_hold TO PUBLIC")
	_, actions := repair(t, connect(t, db, owner))
	if len(actions) != 1 || actions[0].Err == nil || !strings.HasSuffix(actions[0].Err.Error(), "run it as a superuser: coordaudit_retention owns the function") {
		t.Errorf("%+v", actions)
	}
	if left, _ := repair(t, connect(t, db, "")); len(auditadmin.Errors(left)) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A role of that name that was there before may log in, and then delete by itself. It is named, and
// migrate grants takes that from it.
func TestRetentionRoleThatMayLogInIsNamed(t *testing.T) {
	t.Parallel()
	db := testdb.NewOn(t, testdb.Durable(t)) // roles are those of the whole server
	execute(t, db, "CREATE ROLE coordaudit_retention LOGIN")
	config := auditmigrate.GrantConfig{Expirers: []string{newRole(t, db)}}
	plan, err := migrator(t, db).PlanGrants(t.Context(), config)
	if err != nil || !strings.Contains(strings.Join(plan.Statements, ";"), `ALTER ROLE "coordaudit_retention" NOLOGIN`) {
		t.Errorf("%+v, %v", plan, err)
	}
	if _, err := migrator(t, db).ApplyGrants(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, db, "")
	if found := check(t, conn); find(found, "role coordaudit_retention", auditadmin.Notice) != nil {
		t.Errorf("after the grants: %v", found)
	}
	execute(t, db, "ALTER ROLE coordaudit_retention LOGIN")
	d := find(check(t, conn), "role coordaudit_retention", auditadmin.Notice)
	if d == nil || !strings.Contains(d.Got, "may log in") || d.Repair != "ALTER ROLE coordaudit_retention NOLOGIN;" {
		t.Errorf("%+v", d)
	}
}
