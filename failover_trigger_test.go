package coordaudit_test

import (
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

// A trigger after the row lowers synchronous_commit for its own transaction, when the statement
// has returned the level already. The commit then waits for no standby, and no call may
// acknowledge the record.
func TestTriggerLowersNoAcknowledgement(t *testing.T) {
	t.Parallel()
	p := testdb.StartPair(t, true)
	for _, sql := range []string{
		"CREATE FUNCTION hurries() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('synchronous_commit', 'local', true); RETURN NULL; END $$",
		"CREATE TRIGGER hurries AFTER INSERT ON coordination_audit_records FOR EACH ROW EXECUTE FUNCTION hurries()",
	} {
		if _, err := p.Open(t).Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	config := fixture.Quiet()
	config.Retries, config.Timeout = -1, time.Second
	store := fixture.OpenStore(t, p.Primary.URL(), config)
	if err := p.Standby.Freeze(); err != nil {
		t.Fatal(err)
	}
	for _, w := range ownWays() {
		wantDoubt(t, w, store, fixture.NewRecord(), "a trigger lowers synchronous_commit")
	}
	if err := p.Standby.Thaw(); err != nil {
		t.Fatal(err)
	}
}
