package sealer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// meddling makes a trigger of the owner on a table of the seal. The guard of the table does not
// stand.
func (s *sealed) meddling(t *testing.T, table, timing, does string) {
	t.Helper()
	create := "CREATE TRIGGER meddles " + timing
	if strings.Contains(timing, "DEFERRABLE") {
		create = "CREATE CONSTRAINT TRIGGER meddles " + timing
	}
	fixture.MustExec(t, s.pool, strings.NewReplacer("its_table", table).Replace(`
		ALTER TABLE its_table DISABLE TRIGGER its_table_refuse_update_delete;
		CREATE FUNCTION meddles() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+does+` END $$;
		`+create+` EXECUTE FUNCTION meddles();
		ALTER TABLE its_table ENABLE ALWAYS TRIGGER meddles`))
}

// No checkpoint is exported that is not stored, or whose tiles are not, because a trigger of the
// owner removes or changes what the sealer stores. What was exported before goes on when the
// trigger is gone.
func TestNothingIsExportedThatATriggerTakesAway(t *testing.T) {
	t.Parallel()
	const checkpoints, tiles = "coordination_audit_seal_checkpoints", "coordination_audit_seal_tiles"
	for name, test := range map[string]struct{ table, timing, does string }{
		"CheckpointDeleted":      {checkpoints, "AFTER INSERT ON its_table FOR EACH STATEMENT", "DELETE FROM its_table WHERE size > 1; RETURN NULL;"},
		"CheckpointDeletedLater": {checkpoints, "AFTER INSERT ON its_table DEFERRABLE INITIALLY DEFERRED FOR EACH ROW", "DELETE FROM its_table WHERE size > 1; RETURN NULL;"},
		"CheckpointDiscarded":    {checkpoints, "BEFORE INSERT ON its_table FOR EACH ROW", "RETURN NULL;"},
		"CheckpointChanged":      {checkpoints, "BEFORE INSERT ON its_table FOR EACH ROW", "NEW.note := 'changed'; RETURN NEW;"},
		"TileDeleted":            {tiles, "AFTER INSERT ON its_table FOR EACH ROW", "DELETE FROM its_table; RETURN NULL;"},
		"TileDiscarded":          {tiles, "BEFORE INSERT ON its_table FOR EACH ROW", "RETURN NULL;"},
		"TileChanged":            {tiles, "AFTER INSERT ON its_table FOR EACH ROW", "UPDATE its_table SET hashes = overlay(hashes PLACING '\\x00' FROM 8192); RETURN NULL;"},
		"TileOfAnotherSeq":       {tiles, "BEFORE INSERT ON its_table FOR EACH ROW", "NEW.through := NEW.through + 1; RETURN NEW;"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSealed(t)
			s.persist(t, 1)
			s.once(t)
			before := string(s.checkpoint(t))
			s.meddling(t, test.table, test.timing, test.does)
			s.persist(t, 299)
			if n, err := s.sealer(t).Once(t.Context()); !errors.Is(err, sealer.ErrCannotSeal) || !strings.Contains(err.Error(), "trigger") || n != 0 {
				t.Errorf("Once() = %d, %v; want ErrCannotSeal that names the cause", n, err)
			}
			if got := string(s.checkpoint(t)); got != before {
				t.Errorf("exported:\n%s\nwant what was exported before:\n%s", got, before)
			}
			fixture.MustExec(t, s.pool, "DROP TRIGGER meddles ON "+test.table)
			if n := s.once(t); n != 299 {
				t.Errorf("%d rows sealed without the trigger, want 299", n)
			}
			s.mustVerify(t, 300)
		})
	}
}

// An epoch is not opened by an event that a trigger takes away.
func TestEpochIsNotOpenedByAnEventThatATriggerTakesAway(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.meddling(t, "coordination_audit_seal_events", "AFTER INSERT ON its_table FOR EACH ROW", "DELETE FROM its_table; RETURN NULL;")
	if epoch, err := s.sealer(t).OpenEpoch(t.Context(), "a test"); !errors.Is(err, sealer.ErrCannotSeal) || !strings.Contains(err.Error(), "trigger") {
		t.Errorf("OpenEpoch() = %d, %v; want ErrCannotSeal that names the cause", epoch, err)
	}
}
