package auditmigrate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hoc-analytics/coordaudit/auditmigrate"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

const (
	insertTile = `
	INSERT INTO coordination_audit_seal_tiles (epoch, level, idx, through, late_from, late_through, root, leaves, hashes)
	VALUES (1, 0, 0, 256, NULL, NULL, decode(repeat('1f', 32), 'hex'), '', decode(repeat('2e', 8192), 'hex'))`

	insertCheckpoint = `
	INSERT INTO coordination_audit_seal_checkpoints (epoch, size, previous_size, root, leaves, marks,
		records_through, gaps_through, statements_through, events_through, awaited, note)
	VALUES (1, 5, 0, decode(repeat('1f', 32), 'hex'), '', '', 5, 0, 0, 0, '{}', 'a note')`

	insertSealEvent = `
	INSERT INTO coordination_audit_seal_events (event_id, kind, epoch, body)
	VALUES (gen_random_uuid(), 'epoch opened', 2, 'a body')`

	wholeSeal = `
	SELECT t::text FROM coordination_audit_seal_tiles AS t
	UNION ALL SELECT c::text FROM coordination_audit_seal_checkpoints AS c
	UNION ALL SELECT e::text FROM coordination_audit_seal_events AS e`

	insertSeal = insertTile + ";" + insertCheckpoint + ";" + insertSealEvent
)

func TestSealIsImmutable(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, insertSeal)
	before := texts(t, db.Pool, wholeSeal)
	for _, role := range []string{"origin", "replica"} {
		for _, table := range []string{"coordination_audit_seal_tiles", "coordination_audit_seal_checkpoints", "coordination_audit_seal_events"} {
			for _, sql := range []string{"UPDATE " + table + " SET epoch = epoch", "DELETE FROM " + table, "TRUNCATE " + table} {
				_, err := db.Pool.Exec(t.Context(), "SET session_replication_role = "+role+"; "+sql)
				if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23000" {
					t.Errorf("as %s: %s: %v, want it refused", role, sql, err)
				}
			}
		}
	}
	if diff := cmp.Diff(before, texts(t, db.Pool, wholeSeal)); diff != "" {
		t.Errorf("seal (-before +after):\n%s", diff)
	}
}

// Two sealers can never sign two histories.
func TestCheckpointsHaveOneSuccessor(t *testing.T) {
	t.Parallel()
	db := testdb.New(t)
	execute(t, db.Pool, insertSeal)
	for name, sql := range map[string]string{
		"SameTile":     insertTile,
		"SameSize":     insertCheckpoint,
		"SamePrevious": strings.Replace(insertCheckpoint, "(1, 5, 0,", "(1, 6, 0,", 1),
	} {
		_, err := db.Pool.Exec(t.Context(), sql)
		if pgErr, _ := errors.AsType[*pgconn.PgError](err); pgErr == nil || pgErr.Code != "23505" {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	execute(t, db.Pool, strings.Replace(insertCheckpoint, "(1, 5, 0,", "(1, 6, 5,", 1))
	execute(t, db.Pool, strings.Replace(insertCheckpoint, "(1, 5, 0,", "(2, 5, 0,", 1))
}

func TestDownRefusesSeal(t *testing.T) {
	t.Parallel()
	for name, insert := range map[string]string{"Tile": insertTile, "Checkpoint": insertCheckpoint, "Event": insertSealEvent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.NewEmpty(t)
			upTo(t, db, 10)
			execute(t, db.Pool, insert)
			before := catalog(t, db.Pool)
			changes, err := open(t, db.URL, quiet()).Down(t.Context())
			want := "migrating down: reverting " + sealsName + ": ERROR: the tables of the seal hold tiles, checkpoints or events, dropping them would destroy them (SQLSTATE 23001)" +
				": to drop them all the same, pass --allow-data-loss (Config.AllowDataLoss)"
			if !errors.Is(err, auditmigrate.ErrDataLoss) || len(changes) > 0 || err.Error() != want {
				t.Errorf("changes %v, error is\n%q, want\n%q", changes, err, want)
			}
			if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
				t.Errorf("a refused down has changed:\n%s", diff)
			}
			if _, err := open(t, db.URL, auditmigrate.Config{AllowDataLoss: true}).Down(t.Context()); err != nil {
				t.Errorf("permitted to drop the seal: %v", err)
			}
		})
	}
}

// A deploy must not stop a service that writes records.
func TestSealTablesNeedNoLock(t *testing.T) {
	t.Parallel()
	db := testdb.NewEmpty(t)
	upTo(t, db, 9)
	inTransaction(t, db.Pool, "LOCK TABLE coordination_audit_records, coordination_audit_gaps, coordination_audit_statements IN ACCESS EXCLUSIVE MODE")
	changes, err := open(t, db.URL, quiet()).UpTo(t.Context(), 10)
	if diff := diffChanges(changesUp(10, 10), changes); diff != "" || err != nil {
		t.Errorf("%v, changes (-want +got):\n%s", err, diff)
	}
}

// A dump may hold the tables of the seal without the version table.
func TestUpAdoptsSeal(t *testing.T) {
	t.Parallel()
	requireAdopted(t, insertSeal, wholeSeal,
		"ALTER TABLE coordination_audit_seal_tiles DISABLE TRIGGER coordination_audit_seal_tiles_refuse_truncate",
		"ALTER TABLE coordination_audit_seal_checkpoints DROP CONSTRAINT coordination_audit_seal_checkpoints_root_valid",
		"DROP INDEX coordination_audit_seal_checkpoints_previous_idx",
		"ALTER TABLE coordination_audit_seal_events ALTER COLUMN made_at DROP DEFAULT")
}

func TestForeignSealRefused(t *testing.T) {
	t.Parallel()
	const swallow = "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
	tests := map[string]struct{ change, fault string }{
		"View":      {"ALTER TABLE coordination_audit_seal_tiles RENAME TO gone; CREATE VIEW coordination_audit_seal_tiles AS SELECT * FROM gone", "has another shape: coordination_audit_seal_tiles is no table"},
		"OtherType": {"ALTER TABLE coordination_audit_seal_events ALTER COLUMN kind TYPE text", "has another shape: coordination_audit_seal_events.kind must be varchar(20) NOT NULL"},
		"TakesNULL": {"ALTER TABLE coordination_audit_seal_checkpoints ALTER COLUMN note DROP NOT NULL", "has another shape: coordination_audit_seal_checkpoints.note must be text NOT NULL"},
		"OwnSeq":    {"ALTER TABLE coordination_audit_seal_events ALTER COLUMN seq DROP IDENTITY", "has another shape: coordination_audit_seal_events.seq must be bigint NOT NULL GENERATED ALWAYS AS IDENTITY"},
		"Rule":      {"CREATE RULE quiet AS ON DELETE TO coordination_audit_seal_tiles DO INSTEAD NOTHING", "coordination_audit_seal_tiles has rule quiet"},
		"Swallows":  {swallow + "CREATE TRIGGER swallow BEFORE INSERT ON coordination_audit_seal_events FOR EACH ROW EXECUTE FUNCTION swallow()", "coordination_audit_seal_events has trigger swallow"},
		"Security":  {"ALTER TABLE coordination_audit_seal_checkpoints ENABLE ROW LEVEL SECURITY", "coordination_audit_seal_checkpoints has row-level security, which hides rows"},
		"Unlogged":  {"ALTER TABLE coordination_audit_seal_tiles SET UNLOGGED", "coordination_audit_seal_tiles is UNLOGGED"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t)
			execute(t, db.Pool, test.change)
			execute(t, db.Pool, "DELETE FROM "+auditmigrate.VersionTable+" WHERE version_id = 10")
			before := catalog(t, db.Pool)
			changes, err := open(t, db.URL, quiet()).Up(t.Context())
			if err == nil || len(changes) > 0 {
				t.Fatalf("changes %v, error %v; want a refusal", changes, err)
			}
			text := err.Error()
			if !strings.HasPrefix(text, "migrating up: applying "+sealsName+": ERROR: a table of the seal stands already and has ") ||
				!strings.Contains(text, test.fault) || !strings.HasSuffix(text, ", and migrate again") {
				t.Errorf("error is %q", text)
			}
			if diff := cmp.Diff(before, catalog(t, db.Pool)); diff != "" {
				t.Errorf("a refusal has changed:\n%s", diff)
			}
		})
	}
}
