package frame

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// MustRefuseEdits tries each edit in a plain session and in one that switches plain triggers
// off.
func MustRefuseEdits(t *testing.T, db Database, edits []string) {
	t.Helper()
	for _, role := range []string{"origin", "replica"} {
		for _, edit := range edits {
			err := pgx.BeginFunc(t.Context(), db.Pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), "SET LOCAL session_replication_role = "+role); err != nil {
					return err
				}
				_, err := tx.Exec(t.Context(), edit)
				return err
			})
			MustBeImmutable(t, "as "+role+": "+edit, err)
		}
	}
}

// MustBeImmutable fails unless the error is the refusal of an edit.
func MustBeImmutable(t *testing.T, edit string, err error) {
	t.Helper()
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pgErr.Code != "23000" || !strings.Contains(pgErr.Message, "audit records are immutable") {
		t.Errorf("%s: %v, want it refused", edit, err)
	}
}
