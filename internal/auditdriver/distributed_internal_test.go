package auditdriver

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/dbgen"
)

// Each statement that stores rows returns nothing of the session, and is the same otherwise.
func TestNothingOfTheSessionIsReturnedFromShards(t *testing.T) {
	t.Parallel()
	trail := newTrail("audit")
	for name, text := range map[string]string{
		"record": dbgen.PersistAuditRecord, "records": dbgen.PersistAuditRecords, "gap": dbgen.PersistAuditGap, "statement": dbgen.PersistAuditStatement,
	} {
		plain, sharded := trail.sql(text), trail.shardSQL(text)
		before, returning, _ := strings.Cut(sharded, "RETURNING")
		if !strings.HasPrefix(plain, before+"RETURNING") {
			t.Errorf("%s: what is stored differs", name)
		}
		if strings.Contains(returning, "current_setting") || strings.Contains(returning, "multirange") || strings.Contains(returning, "SELECT") {
			t.Errorf("%s returns something of the session:%s", name, returning)
		}
		if !strings.Contains(returning, "''::pg_catalog.text AS session") {
			t.Errorf("%s lost the column:%s", name, returning)
		}
		if trail.shardSQL(text) != sharded || trail.sql(text) != plain {
			t.Errorf("%s: another text the second time", name)
		}
	}
	if text := "SELECT seq FROM coordination_audit_records"; trail.shardSQL(text) != trail.sql(text) {
		t.Error("a query is changed")
	}
}
