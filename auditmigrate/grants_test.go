package auditmigrate_test

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

func TestGrantsRevokeExcess(t *testing.T) {
	t.Parallel()
	db, owner, migrator := owned(t)
	mustUp(t, migrator)
	service, reader, sealer := newRole(t, db), newRole(t, db), newRole(t, db)
	config := auditmigrate.GrantConfig{Writers: []string{service}, Readers: []string{reader, service}, Sealers: []string{sealer}}
	// The documentation once recommended this, and people do it.
	execute(t, db.Pool, `
		GRANT ALL ON coordination_audit_records, coordination_audit_gaps, coordination_audit_statements, coordination_audit_seal_tiles, coordination_audit_seal_checkpoints, coordination_audit_seal_events, coordaudit_schema_version TO `+service+`, PUBLIC;
		GRANT SELECT, INSERT ON coordination_audit_records TO `+reader+` WITH GRANT OPTION;
		GRANT INSERT ON coordination_audit_records, coordination_audit_seal_tiles, coordination_audit_seal_events TO `+sealer+`;
		GRANT UPDATE (reason), INSERT (seq), REFERENCES (audit_id) ON coordination_audit_records TO `+service+`;
		GRANT ALL ON SEQUENCE coordination_audit_records_seq_seq, coordination_audit_gaps_seq_seq, coordination_audit_statements_seq_seq, coordination_audit_seal_events_seq_seq TO `+service+`, PUBLIC`)

	plan, err := migrator.PlanGrants(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	held := texts(t, db.Pool, grantsOf, owner)
	if len(plan.Statements) == 0 || len(held) == 0 {
		t.Fatalf("plan %+v, rights %v; want both", plan, held)
	}
	if diff := cmp.Diff(held, texts(t, db.Pool, grantsOf, owner)); diff != "" {
		t.Errorf("planning has changed the rights:\n%s", diff)
	}
	applied := mustApply(t, migrator, config)
	if diff := cmp.Diff(plan, applied); diff != "" {
		t.Errorf("applied is not what was planned (-planned +applied):\n%s", diff)
	}
	again := mustApply(t, migrator, config)
	if len(again.Statements) > 0 {
		t.Errorf("the second time: %v, want nothing to do", again.Statements)
	}
	for name, role := range map[string]string{"writer": service, "reader": reader, "sealer": sealer} {
		pool := poolAs(t, db, role)
		mustBeForbidden(t, pool, name, slices.Concat(forgeries(), edits())...)
	}
	if _, err := poolAs(t, db, service).Exec(t.Context(), insertRecord); err != nil {
		t.Errorf("a writer's record: %v", err)
	}
	mustBeForbidden(t, poolAs(t, db, reader), "reader", insertRecord, insertSealEvent)
	mustBeForbidden(t, poolAs(t, db, service), "writer", insertTile, insertCheckpoint, insertSealEvent)
	mustBeForbidden(t, poolAs(t, db, sealer), "sealer", insertRecord, insertGap, insertStatement)

	// The rights equal those of a database without excess rights.
	other, _, clean := owned(t)
	mustUp(t, clean)
	otherService, otherReader, otherSealer := newRole(t, other), newRole(t, other), newRole(t, other)
	mustApply(t, clean, auditmigrate.GrantConfig{Writers: []string{otherService}, Readers: []string{otherReader, otherService}, Sealers: []string{otherSealer}})
	rename := func(rights []string, writer, reader, sealer string) []string {
		var list []string
		replace := strings.NewReplacer(writer, "writer", reader, "reader", sealer, "sealer").Replace
		for _, right := range rights {
			right = replace(right)
			if !strings.HasPrefix(right, "PUBLIC") {
				list = append(list, right)
			}
		}
		slices.Sort(list)
		return list
	}
	want := rename(texts(t, other.Pool, grantsOf, ""), otherService, otherReader, otherSealer)
	got := rename(texts(t, db.Pool, grantsOf, ""), service, reader, sealer)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rights (-clean +cleaned):\n%s", diff)
	}
}

func TestGrantsUnknownRole(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	config := auditmigrate.GrantConfig{Writers: []string{newRole(t, db)}}
	if _, err := migrator.ApplyGrants(t.Context(), config); err == nil || !strings.Contains(err.Error(), "migrate up") {
		t.Errorf("before the migrations: %v, want it to say migrate up", err)
	}
	mustUp(t, migrator)
	if _, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{}); err == nil {
		t.Error("an empty list of roles was not refused")
	}
	config.Readers = []string{"no_such_role", "public", `Quoted "role`}
	_, err := migrator.ApplyGrants(t.Context(), config)
	if !errors.Is(err, auditmigrate.ErrUnknownRole) || !strings.Contains(err.Error(), `"no_such_role", "public", "Quoted \"role"`) {
		t.Errorf("error is %v, want every unknown role by name", err)
	}
	if rights := texts(t, db.Pool, grantsOf, ""); len(rights) > 0 {
		t.Errorf("rights after a refusal: %v", rights)
	}
	// A role that does not own the trail.
	config.Readers = nil
	other := newRole(t, db)
	if _, err := as(db, other).ApplyGrants(t.Context(), config); err == nil {
		t.Error("a role that does not own the trail has granted")
	}
	if rights := texts(t, db.Pool, grantsOf, ""); len(rights) > 0 {
		t.Errorf("rights after a refusal: %v", rights)
	}
}

func TestGrantsQuoteRoles(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	mustUp(t, migrator)
	name := `Röle; "x" ` + rand.Text()[:8]
	quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
	execute(t, db.Pool, "CREATE ROLE "+quoted)
	t.Cleanup(func() {
		if _, err := db.Pool.Exec(context.Background(), "DROP OWNED BY "+quoted+" CASCADE; DROP ROLE "+quoted); err != nil {
			t.Error(err)
		}
	})
	mustApply(t, migrator, auditmigrate.GrantConfig{Writers: []string{name}})
	if _, err := poolAs(t, db, name).Exec(t.Context(), insertRecord); err != nil {
		t.Error(err)
	}
}

func TestGrantsWarnings(t *testing.T) {
	t.Parallel()
	db, owner, migrator := owned(t)
	mustUp(t, migrator)
	super, member, editor, apprentice, owners := newRole(t, db), newRole(t, db), newRole(t, db), newRole(t, db), newRole(t, db)
	execute(t, db.Pool, "ALTER ROLE "+super+" SUPERUSER; GRANT pg_write_all_data TO "+member+"; GRANT "+editor+" TO "+apprentice+"; GRANT "+owner+" TO "+owners)
	execute(t, db.Pool, "GRANT UPDATE, DELETE ON coordination_audit_records TO "+editor+"; GRANT CREATE ON SCHEMA public TO PUBLIC; GRANT SELECT ON coordination_audit_records TO PUBLIC")
	grants, err := migrator.PlanGrants(t.Context(), auditmigrate.GrantConfig{Writers: []string{super, member, owners, owner}, Readers: []string{apprentice}})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(grants.Warnings, "\n")
	for _, want := range []string{
		`role "` + super + `" is a superuser`,
		`role "` + member + `" is a member of pg_write_all_data`,
		`role "` + owners + `" owns the trail, or is a member of its owner "` + owner + `"`,
		`role "` + owner + `" owns the trail`,
		`role "` + apprentice + `" is a member of "` + editor + `", which may DELETE on coordination_audit_records, UPDATE on coordination_audit_records`,
		`role "` + editor + `" may DELETE on coordination_audit_records, UPDATE`,
		`every role may create tables and functions in schema "public"`,
		`REVOKE CREATE ON SCHEMA "public" FROM PUBLIC`,
		"every role may read the trail",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("warnings are\n%s\nwant %q", text, want)
		}
	}
	if slices.ContainsFunc(grants.Statements, func(s string) bool {
		return strings.Contains(s, "FROM PUBLIC") || strings.Contains(s, `"`+owner+`"`)
	}) {
		t.Errorf("statements %v", grants.Statements)
	}
}

func TestRevokePublicCreate(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, "GRANT CREATE ON SCHEMA public TO PUBLIC")
	writer := newRole(t, db)
	execute(t, db.Pool, "GRANT CREATE ON SCHEMA public TO "+writer)
	migrator := open(t, db.URL, quiet())
	config := auditmigrate.GrantConfig{Writers: []string{writer}}
	mustApply(t, migrator, config)
	if _, err := poolAs(t, db, writer).Exec(t.Context(), "CREATE TABLE mine (n int); DROP TABLE mine"); err != nil {
		t.Errorf("without RevokePublicCreate: %v", err)
	}
	config.RevokePublicCreate = true
	mustApply(t, migrator, config)
	mustBeForbidden(t, poolAs(t, db, writer), "writer", "CREATE TABLE mine (n int)")
}

// Only the grantor can revoke a right. The server reports that in a warning.
func TestGrantsNameOtherGrantor(t *testing.T) {
	t.Parallel()
	db, _, migrator := owned(t)
	mustUp(t, migrator)
	grantor, writer := newRole(t, db), newRole(t, db)
	execute(t, db.Pool, "GRANT UPDATE ON coordination_audit_records TO "+grantor+" WITH GRANT OPTION")
	if _, err := poolAs(t, db, grantor).Exec(t.Context(), "GRANT UPDATE ON coordination_audit_records TO "+writer); err != nil {
		t.Fatal(err)
	}
	before := texts(t, db.Pool, grantsOf, "")
	_, err := migrator.ApplyGrants(t.Context(), auditmigrate.GrantConfig{Writers: []string{writer}})
	if err == nil || !strings.Contains(err.Error(), grantor) || !strings.Contains(err.Error(), "REVOKE UPDATE ON TABLE") {
		t.Errorf("error is %v, want the grantor and the statement", err)
	}
	if diff := cmp.Diff(before, texts(t, db.Pool, grantsOf, "")); diff != "" {
		t.Errorf("a refused grant has changed:\n%s", diff)
	}
	execute(t, db.Pool, "REVOKE UPDATE ON coordination_audit_records FROM "+grantor+" CASCADE")
}
