package sealer_test

import (
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// A table that a crash of the server empties would take the log, or the rows, with it. The
// sealer goes on, and logs each once.
func TestUnloggedTableIsLogged(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	tables := []string{"records", "gaps", "statements", "seal_tiles", "seal_checkpoints", "seal_events"}
	for _, table := range tables {
		s.superuser(t, "ALTER TABLE coordination_audit_"+table+" SET UNLOGGED")
	}
	log := &fixture.Log{}
	config := s.config()
	config.Logger = log.Logger()
	sealing, err := sealer.New(s.pool, config)
	if err != nil {
		t.Fatal(err)
	}
	s.persist(t, 300)
	for range 2 {
		if _, err := sealing.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	found := map[any]any{}
	events := log.Events(t, "audit_durability_reduced")
	for _, event := range events {
		found[event["setting"]] = event["value"]
		if meaning, _ := event["meaning"].(string); !strings.Contains(meaning, "SET LOGGED") {
			t.Errorf("%v says nothing of what to do", event)
		}
	}
	for _, table := range tables {
		if found["coordination_audit_"+table] != "unlogged" {
			t.Errorf("%s is reported as %v, want unlogged", table, found["coordination_audit_"+table])
		}
	}
	if len(events) != len(tables) {
		t.Errorf("%d events, want one for each of %d tables: %v", len(events), len(tables), events)
	}
	s.mustVerify(t, 300)
}
