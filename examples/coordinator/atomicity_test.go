package coordinator_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/examples/coordinator"
)

func TestRevert(t *testing.T) {
	t.Parallel()
	pool := database(t)
	c := coordinator.New(pool, newStore(pool), coordinator.Config{Clock: clock})
	apply(t, c, envelope("safe", audit.Safety, retries))
	if err := c.Revert(t.Context(), "acme", "safe"); err != nil {
		t.Fatal(err)
	}
	if err := c.Revert(t.Context(), "acme", "safe"); !errors.Is(err, coordinator.ErrNotActive) {
		t.Errorf("second revert: %v, want ErrNotActive", err)
	}
	if got := apply(t, c, envelope("cheap", audit.Cost, retries)); got != applied {
		t.Errorf("after the revert: %s, want APPLIED", got)
	}
	if got := trail(t, pool); len(got) != 2 {
		t.Errorf("the trail has %d records, want the 2 that were decided: %v", len(got), got)
	}
}

func TestKillSwitch(t *testing.T) {
	t.Parallel()
	pool := database(t)
	c := coordinator.New(pool, newStore(pool), coordinator.Config{Clock: clock})
	apply(t, c, envelope("safe", audit.Safety, retries))
	other := envelope("safe", audit.Safety, retries)
	other.TenantID = "globex"
	apply(t, c, other)

	ended, err := c.KillSwitch(t.Context(), "acme")
	if diff := cmp.Diff([]string{"safe"}, ended); err != nil || diff != "" {
		t.Fatalf("ended, error %v (-want +got):\n%s", err, diff)
	}
	if got := apply(t, c, envelope("safe", audit.Safety, retries)); got != rejected {
		t.Errorf("while killed: %s, want REJECTED", got)
	}
	records := trail(t, pool)
	want := row{"safe", audit.Safety, rejected, "Kill switch is on since 2026-01-05 09:00:00 UTC", "", "", 0}
	if diff := cmp.Diff(want, records[len(records)-1]); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"safe " + retries}, active(t, pool, "globex")); diff != "" {
		t.Errorf("the other tenant (-want +got):\n%s", diff)
	}

	if err := c.Reset(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if got := active(t, pool, "acme"); got != nil {
		t.Errorf("after the reset %v act, want none", got)
	}
	if got := apply(t, c, envelope("safe", audit.Safety, retries)); got != applied {
		t.Errorf("after the reset: %s, want APPLIED", got)
	}
}

// failingCommit lets every statement succeed and makes the commit fail.
const failingCommit = `
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
	CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON coordinator_active_envelopes
	    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`

func TestNoRecordNoDecision(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil string // what keeps the store from recording
		asks  coordinator.Envelope
		want  audit.Decision
	}{
		"AppliedIsRolledBack":         {"DROP TABLE coordination_audit_records", envelope("cheap", audit.Cost, batches), ""},
		"PreemptionIsRolledBack":      {"DROP TABLE coordination_audit_records", envelope("safe", audit.Safety, retries), ""},
		"RejectionStandsUnrecorded":   {"DROP TABLE coordination_audit_records", envelope("cheap", audit.Performance, retries), rejected},
		"RecordIsInvalid":             {"", envelope("", audit.Safety, batches), ""},
		"StateTableRefusesTheHolding": {"ALTER TABLE coordinator_active_envelopes ADD CHECK (parameter <> 'batch_size')", envelope("cheap", audit.Cost, batches), ""},
		"CommitFails":                 {failingCommit, envelope("cheap", audit.Cost, batches), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := database(t)
			c := coordinator.New(pool, newStore(pool), coordinator.Config{Clock: clock})
			apply(t, c, envelope("first", audit.Cost, retries))
			if _, err := pool.Exec(t.Context(), test.spoil); err != nil {
				t.Fatal(err)
			}
			got, err := c.Apply(t.Context(), test.asks)
			if err == nil || got != test.want {
				t.Errorf("Apply returned %q, %v; want %q and an error", got, err, test.want)
			}
			if diff := cmp.Diff([]string{"first " + retries}, active(t, pool, "acme")); diff != "" {
				t.Errorf("active envelopes (-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(test.spoil, "DROP") {
				if records := trail(t, pool); len(records) != 1 {
					t.Errorf("the trail has %d records, want the first one only: %v", len(records), records)
				}
			}
		})
	}
}

func TestIncompleteEnvelope(t *testing.T) {
	t.Parallel()
	c := coordinator.New(nil, newStore(nil), coordinator.Config{Clock: clock})
	for _, env := range []coordinator.Envelope{{ID: "a", Parameter: "b"}, {ID: "a", Subsystem: "b"}} {
		if decision, err := c.Apply(t.Context(), env); decision != "" || !errors.Is(err, coordinator.ErrInvalidEnvelope) {
			t.Errorf("%+v: %q, %v; want ErrInvalidEnvelope", env, decision, err)
		}
	}
}
