package sealer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// refuses requires that nothing is signed and nothing is exported to the place.
func (s *sealed) refuses(t *testing.T, why string, kind error) {
	t.Helper()
	stored := fixture.QueryInt(t, s.pool, "SELECT count(*) FROM coordination_audit_seal_checkpoints")
	_, err := s.sealer(t).Once(t.Context())
	if !errors.Is(err, kind) || !strings.Contains(err.Error(), why) {
		t.Errorf("%v, want %v: %s", err, kind, why)
	}
	if n := fixture.QueryInt(t, s.pool, "SELECT count(*) FROM coordination_audit_seal_checkpoints"); n != stored {
		t.Errorf("%d checkpoints are stored, want %d", n, stored)
	}
}

// A directory that is missing was mistyped, or is not mounted. A new one would be no protected
// place, so it is not made, and neither is one that vanishes while the sealer is at work.
func TestMissingDirectoryIsNotMade(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	s.persist(t, 3)
	missing := filepath.Join(s.dir, "checkpoint")
	s.export = sealer.Directory(missing)
	s.refuses(t, missing+" does not exist", sealer.ErrExport)
	if err := s.export.Export(t.Context(), 1, 3, []byte("signed")); err == nil || !strings.Contains(err.Error(), missing+" does not exist") {
		t.Errorf("%v, want that the directory does not exist", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("the directory was made")
	}

	s.export = sealer.Directory(s.dir)
	s.once(t)
	if err := os.RemoveAll(filepath.Join(s.dir, "epoch-1")); err != nil { // an empty mount point is left
		t.Fatal(err)
	}
	s.persist(t, 3)
	s.refuses(t, "has lost all that it held", sealer.ErrExport)
	if err := s.export.Export(t.Context(), 1, 6, []byte("signed")); err == nil || !strings.Contains(err.Error(), "has lost all that it held") {
		t.Errorf("%v, want that the directory lost what it held", err)
	}
}

// A place that has none of the checkpoints that were exported is another one, and the log cannot
// be compared with them there. A first checkpoint may be missing: it is stored before it is
// exported.
func TestPlaceWithoutExportsIsRefused(t *testing.T) {
	t.Parallel()
	s := newSealed(t)
	another := func() sealer.Exporter { return sealer.Directory(t.TempDir()) }
	s.persist(t, 3)
	s.once(t)
	s.export = another()
	s.persist(t, 3)
	s.once(t) // as if the process had ended before its first export

	right := s.export
	s.export = another()
	s.refuses(t, "--new-checkpoints", sealer.ErrCannotSeal)
	if _, err := s.sealer(t).OpenEpoch(t.Context(), "a test"); !errors.Is(err, sealer.ErrCannotSeal) {
		t.Errorf("an epoch is opened: %v", err)
	}
	s.newPlace = true
	s.persist(t, 1)
	s.once(t)
	s.newPlace = false
	s.persist(t, 1)
	s.once(t) // it has one now
	s.mustVerify(t, 8)

	s.export = right
	if _, err := s.sealer(t).OpenEpoch(t.Context(), "a test"); err != nil {
		t.Fatal(err)
	}
	s.export = another()
	s.refuses(t, "the first checkpoint of epoch 2 was exported", sealer.ErrCannotSeal)
	s.export = right
	s.once(t)
	s.mustVerify(t, 9) // and the event
}
