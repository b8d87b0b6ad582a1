package auditmigrate_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// E'\v' is a vertical tab since PostgreSQL 16, and was the letter v before.
func TestLetterVIsNotBlank(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	const record = `INSERT INTO coordination_audit_records (audit_id, envelope_id, envelope_class, decision, reason, decision_timestamp)
		VALUES (gen_random_uuid(), 'envelope', 'UNKNOWN', 'APPLIED', $1, now())`
	const gap = `INSERT INTO coordination_audit_gaps (gap_id, dropped_safety, dropped_reliability, dropped_cost, dropped_performance, dropped_unknown,
		first_audit_id, last_audit_id, lost_from, lost_until, cause) VALUES (gen_random_uuid(), 0, 0, 1, 0, 0, gen_random_uuid(), gen_random_uuid(), now(), now(), $1)`
	for _, insert := range []string{record, gap} {
		if _, err := db.Pool.Exec(t.Context(), insert, "v"); err != nil {
			t.Errorf("the letter v: %v", err)
		}
		_, err := db.Pool.Exec(t.Context(), insert, " \t\n\v\f\r")
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23514" {
			t.Errorf("blanks alone: %v, want a check violation", err)
		}
	}
}
