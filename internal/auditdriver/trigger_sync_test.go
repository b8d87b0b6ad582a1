package auditdriver_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A trigger that lowers synchronous_commit after RETURNING was evaluated gets no gap and no
// statement acknowledged that the standby lacks. For records, TestTriggerLowersNoAcknowledgement
// of the root says so.
func TestTriggerLowersNoAcknowledgementOfGapsAndStatements(t *testing.T) {
	t.Parallel()
	p := testdb.StartPair(t, true)
	pool := p.Open(t)
	fixture.MustExec(t, pool, "CREATE FUNCTION hurries() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('synchronous_commit', 'local', true); RETURN NULL; END $$")
	for _, table := range []string{"coordination_audit_gaps", "coordination_audit_statements"} {
		fixture.MustExec(t, pool, "CREATE TRIGGER hurries AFTER INSERT ON "+table+" FOR EACH ROW EXECUTE FUNCTION hurries()")
	}
	driver := auditdriver.New(pool)
	gap := audit.Gap{GapID: uuid.New(), Dropped: map[audit.EnvelopeClass]int64{audit.Cost: 1}, From: time.Now(), Until: time.Now(), Cause: "a test"}
	statement := statementOf(uuid.Must(uuid.NewV7()), 1)
	if err := p.Standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	for name, persist := range map[string]func(context.Context) error{
		"gap":       func(ctx context.Context) error { return driver.PersistGap(ctx, &gap) },
		"statement": func(ctx context.Context) error { return driver.PersistStatement(ctx, &statement) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := persist(ctx); !errors.Is(err, audit.ErrOutcomeUnknown) {
			t.Errorf("%s: %v, want an unknown outcome", name, err)
		}
		cancel()
	}
	if err := p.Standby.Thaw(); err != nil {
		t.Fatal(err)
	}
}
