package recorder

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/recorder/spool"
	"github.com/hoc-analytics/coordaudit/internal/test/testdb"
)

type gapDesk struct {
	*gapWriter
	db     *testdb.DB
	spool  *spool.Directory
	path   string
	output *strings.Builder
}

// newGapDesk returns a writer that has found a gap in its spool.
func newGapDesk(t *testing.T) *gapDesk {
	t.Helper()
	path := t.TempDir()
	dir, _, err := spool.Open(spool.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	gap := audit.Gap{
		GapID: uuid.New(), Dropped: map[audit.EnvelopeClass]int64{audit.Safety: 3}, FirstAuditID: uuid.New(), LastAuditID: uuid.New(),
		From: at, Until: at, Cause: "no room",
	}
	if err := errors.Join(dir.SaveGap(gap), dir.Close()); err != nil {
		t.Fatal(err)
	}
	dir, found, err := spool.Open(spool.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	d := &gapDesk{db: testdb.New(t), spool: dir, path: path, output: &strings.Builder{}}
	log := slog.New(slog.NewTextHandler(d.output, nil))
	d.gapWriter = &gapWriter{
		gaps: newGaps(time.Now, found.Gaps), database: auditdriver.New(d.db.Pool), files: dir,
		health: newHealth(time.Hour, func(bool) {}, log), log: log, timeout: 10 * time.Second, maxDelay: time.Hour,
	}
	return d
}

func (d *gapDesk) lose(t *testing.T) {
	t.Helper()
	if _, err := d.gaps.add(lostRecord(audit.Cost), errors.New("no room")); err != nil {
		t.Fatal(err)
	}
}

func (d *gapDesk) stored(t *testing.T) (n int) {
	t.Helper()
	if err := d.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM coordination_audit_gaps").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (d *gapDesk) onDisk(t *testing.T) (lines int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.path, "gaps.jsonl"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func (d *gapDesk) logged(t *testing.T, text string, want int) {
	t.Helper()
	if n := strings.Count(d.output.String(), text); n != want {
		t.Errorf("%q is logged %d times, want %d:\n%s", text, n, want, d.output)
	}
}

// A gap of an earlier run is recorded at once, and its line on disk goes. One that still grows
// waits, except at the end.
func TestGapsAreRecordedWhenDue(t *testing.T) {
	t.Parallel()
	d := newGapDesk(t)
	d.lose(t)
	if err := d.record(t.Context(), false); err != nil || d.stored(t) != 1 || d.onDisk(t) != 0 {
		t.Errorf("record() = %v, %d gaps are stored and %d on disk", err, d.stored(t), d.onDisk(t))
	}
	if err := d.record(t.Context(), true); err != nil || d.stored(t) != 2 {
		t.Errorf("record() = %v, %d gaps are stored at the end", err, d.stored(t))
	}
	d.logged(t, "level=ERROR msg=audit_gap_recorded", 2)
	d.logged(t, "msg=audit_gap_recorded gap_id=", 2)
}

// A gap that the database refuses waits, is reported once, and says nothing about the connection.
func TestRefusedGapIsReportedOnce(t *testing.T) {
	t.Parallel()
	d := newGapDesk(t)
	if _, err := d.db.Pool.Exec(t.Context(), "ALTER TABLE coordination_audit_gaps RENAME TO hidden"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.record(t.Context(), true); !errors.Is(err, errGapRefused) {
			t.Errorf("record() = %v, want errGapRefused", err)
		}
	}
	if err := d.record(t.Context(), false); err != nil || !d.health.answers() {
		t.Errorf("record() = %v before the gap is due again; the database answers: %t", err, d.health.answers())
	}
	d.logged(t, "level=ERROR msg=audit_gap_not_recorded", 1)
	if !strings.Contains(d.output.String(), "dropped=3") || !strings.Contains(d.output.String(), "error=") {
		t.Errorf("logged is %s", d.output)
	}
}

// A database that does not answer is noted as such. The end of the Recorder is no fault of the
// database, and no refusal.
func TestUnansweredGapWaits(t *testing.T) {
	t.Parallel()
	d := newGapDesk(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.record(ended, false); err == nil || errors.Is(err, errGapRefused) || !d.health.answers() {
		t.Errorf("record() = %v at the end; the database answers: %t", err, d.health.answers())
	}
	d.db.Pool.Close()
	if err := d.record(t.Context(), false); err == nil || errors.Is(err, errGapRefused) || d.health.answers() {
		t.Errorf("record() = %v without a database; the database answers: %t", err, d.health.answers())
	}
	d.logged(t, "audit_gap_not_recorded", 0)
	if d.onDisk(t) != 1 {
		t.Errorf("%d gaps are on disk, want the one that was found", d.onDisk(t))
	}
}

// At the end a gap is on record somewhere: in the database, else on disk, else in the log.
func TestGapIsKeptAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault          func(t *testing.T, d *gapDesk)
		stored, onDisk int
		logged         string
	}{
		"InTheDatabase": {func(*testing.T, *gapDesk) {}, 2, 0, "msg=audit_gap_recorded"},
		"OnDisk": {func(t *testing.T, d *gapDesk) {
			t.Helper()
			d.health.noteFailure(t.Context(), errors.New("away"))
		}, 0, 2, "level=WARN msg=audit_gap_not_recorded"},
		"OnDiskAfterARefusal": {func(t *testing.T, d *gapDesk) {
			t.Helper()
			if _, err := d.db.Pool.Exec(t.Context(), "ALTER TABLE coordination_audit_gaps ADD CHECK (dropped_safety <> 3)"); err != nil {
				t.Fatal(err)
			}
		}, 0, 2, "level=WARN msg=audit_gap_not_recorded"},
		"InTheLog": {func(t *testing.T, d *gapDesk) {
			t.Helper()
			d.health.noteFailure(t.Context(), errors.New("away"))
			if err := d.spool.Close(); err != nil {
				t.Fatal(err)
			}
		}, 0, 1, "level=ERROR msg=audit_gap_not_recorded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newGapDesk(t)
			d.lose(t)
			test.fault(t, d)
			d.keep(t.Context())
			if stored, onDisk := d.stored(t), d.onDisk(t); stored != test.stored || onDisk != test.onDisk {
				t.Errorf("%d gaps are stored and %d on disk, want %d and %d", stored, onDisk, test.stored, test.onDisk)
			}
			if !strings.Contains(d.output.String(), test.logged) {
				t.Errorf("logged is %s, want %s", d.output, test.logged)
			}
		})
	}
}
