package recorder

import (
	"context"
	"log/slog"
	"slices"

	"github.com/hoc-analytics/coordaudit/internal/completeness"
)

// keep writes to disk what no stored statement says, before records are spooled. A failure
// keeps no record from the spool.
func (s *statements) keep(ctx context.Context) {
	s.mu.Lock()
	unsaved := s.stored+len(s.pending) > s.saved
	if !s.opened || s.book.own.RunsShort() || s.lines == 0 && !unsaved {
		s.state(s.book.own, completeness.Periodic)
	}
	s.mu.Unlock()
	s.save(ctx)
}

// preserve writes to disk which ordinals will never come. A killed process would forget it.
func (s *statements) preserve(ctx context.Context) {
	s.stateEach(s.book.all(), (*completeness.Account).HasNews)
	s.save(ctx)
}

// save writes to disk what is pending.
func (s *statements) save(ctx context.Context) {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	from, until := max(s.saved, s.stored), s.stored+len(s.pending)
	unsaved := slices.Clone(s.pending[from-s.stored:])
	s.mu.Unlock()
	if len(unsaved) == 0 {
		return
	}
	err := s.files.SaveStatements(unsaved)
	s.mu.Lock()
	first := err != nil && !s.failing
	s.failing = err != nil
	if err == nil {
		s.saved, s.lines = max(s.saved, until), s.lines+len(unsaved)
	}
	s.mu.Unlock()
	if first {
		s.notSaved(ctx, err)
	}
}

// maxSavedLines is how many statements the file may have that are in the database as well.
const maxSavedLines = 64

// shorten replaces the statements on disk, which the database has, by the next one, which
// names this source to a later run.
func (s *statements) shorten(ctx context.Context) {
	if !s.forget(ctx) {
		return
	}
	s.mu.Lock()
	s.state(s.book.own, completeness.Periodic)
	s.mu.Unlock()
	s.save(ctx)
}

// forget removes the file of statements once the database has them, the earlier sources go on,
// and no record is in the spool that they speak of. It reports whether the file is gone.
func (s *statements) forget(ctx context.Context) bool {
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	needed := len(s.pending)+len(s.found) > 0 || !s.files.Empty()
	s.mu.Unlock()
	if needed {
		return false
	}
	if err := s.files.ForgetStatements(); err != nil {
		s.notSaved(ctx, err)
		return false
	}
	s.mu.Lock()
	s.lines = 0
	s.mu.Unlock()
	return true
}

func (s *statements) notSaved(ctx context.Context, err error) {
	s.log.LogAttrs(ctx, slog.LevelWarn, "audit_spool_failing", slog.String("error", err.Error()))
}
